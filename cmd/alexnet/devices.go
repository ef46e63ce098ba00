package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/sim"

	"github.com/urfave/cli/v2"
)

// The flags that say where to run, and how.
func devicesFlag() cli.Flag {
	return &cli.StringFlag{Name: "devices", Value: "cpu",
		Usage: "where to run: cpu, cuda:0, sim:0 (a simulated GPU), or one for each column, as cuda:0,cuda:1 or cuda:0,cuda:0 (`LIST`)"}
}

func runFlags() []cli.Flag {
	return []cli.Flag{
		devicesFlag(),
		&cli.StringFlag{Name: "precision", Value: cuda.FP32.String(), Usage: "of convolutions and matrix products on a GPU: fp32, tf32 or bf16 (`P`)"},
		&cli.BoolFlag{Name: "autotune", Usage: "measure the GPU's algorithms instead of asking its libraries which are the fastest"},
		&cli.IntFlag{Name: "workspace", Value: cuda.DefaultWorkspace >> 20, Usage: "let an algorithm on a GPU use up to `N` MiB of memory of its own"},
	}
}

// place is a device as the user names it: cuda:1 is number 1 of the kind cuda.
type place struct {
	kind   string
	number int
	name   string // for the user's eyes, and different for each device
}

// places splits the value of -devices. Several devices of the CPU are cpu:0,
// cpu:1 and so on; several on one GPU are cuda:0/1, cuda:0/2.
func places(list string) ([]place, error) {
	var all []place
	count := map[string]int{}
	for _, name := range strings.Split(list, ",") {
		kind, number, numbered := strings.Cut(name, ":")
		p := place{kind: kind, name: name}
		switch kind {
		case "cpu":
			if numbered {
				return nil, usagef("-devices %s: there is but one CPU: write cpu", list)
			}
		case "cuda", "sim":
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil {
				return nil, usagef("-devices %s: which GPU is %q? Write %s:0 for the first", list, name, kind)
			}
			p.number = int(n)
			p.name = fmt.Sprintf("%s:%d", kind, n)
		default:
			return nil, usagef("-devices %s: there is no device %q: there are cpu, cuda:N and sim:N", list, name)
		}
		if len(all) > 0 && kind != all[0].kind {
			return nil, usagef("-devices %s: devices of different kinds cannot copy to each other", list)
		}
		count[p.name]++
		all = append(all, p)
	}
	seen := map[string]int{}
	for i, p := range all {
		if count[p.name] == 1 && p.kind != "cpu" || len(all) == 1 {
			continue
		}
		if p.kind == "cpu" {
			all[i].name = fmt.Sprintf("cpu:%d", i)
			continue
		}
		seen[p.name]++
		all[i].name = fmt.Sprintf("%s/%d", p.name, seen[p.name])
	}
	return all, nil
}

// deviceNames returns the names of the devices of -devices.
func deviceNames(list string) ([]string, error) {
	all, err := places(list)
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	return names, err
}

// openDevices opens the devices of -devices. close ends them.
func openDevices(c *cli.Context) (devices []dnn.Device, close func() error, err error) {
	all, err := places(c.String("devices"))
	if err != nil {
		return nil, nil, err
	}
	if all[0].kind == "cpu" {
		for _, name := range []string{"precision", "autotune", "workspace"} {
			if c.IsSet(name) {
				return nil, nil, usagef("-%s is for GPUs: the CPU computes in fp32", name)
			}
		}
	}
	var o cuda.Options
	if o.Precision, err = cuda.ParsePrecision(c.String("precision")); err != nil {
		return nil, nil, usageError{fmt.Errorf("-precision: %w", err)}
	}
	if o.Autotune = c.Bool("autotune"); c.Int("workspace") < 0 {
		return nil, nil, usagef("-workspace %d: want 0 or more", c.Int("workspace"))
	}
	if o.Workspace = int64(c.Int("workspace")) << 20; o.Workspace == 0 {
		o.Workspace = -1
	}

	var ends []func() error
	end := func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	if all[0].kind == "cpu" {
		for _, p := range all {
			d, err := cpu.New(p.name)
			if err != nil {
				return nil, nil, err
			}
			ends, devices = append(ends, d.Close), append(devices, d)
		}
		return devices, end, nil
	}
	libraries, endLibraries, err := openLibraries(all)
	if err != nil {
		return nil, nil, err
	}
	ends = append(ends, endLibraries)
	var gpus []*cuda.Device
	for _, p := range all {
		d, err := libraries.New(p.name, p.number, o)
		if err != nil {
			return nil, nil, err
		}
		ends, devices, gpus = append(ends, d.Close), append(devices, d), append(gpus, d)
	}
	return devices, end, cuda.Connect(gpus)
}

// simulation is the environment variable that says how simulated GPUs behave;
// see sim.Parse.
const simulation = "ALEXNET_SIM"

// openLibraries opens NVIDIA's libraries, or a simulation of them.
func openLibraries(all []place) (*cuda.Libraries, func() error, error) {
	if all[0].kind == "cuda" {
		l, err := cuda.Open()
		if err != nil {
			err = fmt.Errorf("NVIDIA GPUs cannot be used here.\n%w\nWithout a GPU: -devices cpu", err)
		}
		return l, func() error { return nil }, err
	}
	o, err := sim.Parse(os.Getenv(simulation))
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("%s: %w", simulation, err)}
	}
	for _, p := range all {
		o.GPUs = max(o.GPUs, p.number+1)
	}
	m, err := sim.New(o)
	if err != nil {
		return nil, nil, err
	}
	l, err := m.Libraries()
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return l, m.Close, nil
}
