// Package devices opens the devices that the user names: cpu, cuda:0, or one for
// each column, as cuda:0,cuda:1. A + stands between those of replicas of the network,
// which share each batch, as in cuda:0+cuda:1 or cuda:0,cuda:1+cuda:2,cuda:3.
package devices

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/sim"
	"alexnet/plan"
)

// Error is a slip in what the user wrote.
type Error string

func (e Error) Error() string { return string(e) }

func errorf(format string, args ...any) error { return Error(fmt.Sprintf(format, args...)) }

// place is a device as the user names it: cuda:1 is number 1 of the kind cuda.
type place struct {
	kind   string
	number int
	name   string // for the user's eyes, and different for each device
}

// Names returns the names of the devices of a list, and of how many replicas they are.
// Several devices of the CPU, cpu,cpu, are cpu:0 and cpu:1; several on one GPU are
// cuda:0/1 and cuda:0/2.
func Names(list string) (names []string, replicas int, err error) {
	all, replicas, err := places(list)
	for _, p := range all {
		names = append(names, p.name)
	}
	return names, replicas, err
}

// OnCPU reports whether the devices of a list are the CPU's.
func OnCPU(list string) bool {
	all, _, err := places(list)
	return err == nil && all[0].kind == "cpu"
}

func places(list string) (all []place, replicas int, err error) {
	var names []string
	for _, replica := range strings.Split(list, "+") {
		names = append(names, strings.Split(replica, ",")...)
		if replicas++; len(names) != replicas*(1+strings.Count(replica, ",")) {
			return nil, 0, errorf("devices %s: on each side of a + there must be as many", list)
		}
	}
	count := map[string]int{}
	for _, name := range names {
		kind, number, numbered := strings.Cut(name, ":")
		p := place{kind: kind, name: name}
		switch kind {
		case "cpu":
			if numbered {
				return nil, 0, errorf("devices %s: there is but one CPU: write cpu", list)
			}
		case "cuda", "sim":
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil {
				return nil, 0, errorf("devices %s: which GPU is %q? Write %s:0 for the first", list, name, kind)
			}
			p.number = int(n)
			p.name = fmt.Sprintf("%s:%d", kind, n)
		default:
			return nil, 0, errorf("devices %s: there is no device %q: there are cpu, cuda:N and sim:N", list, name)
		}
		if len(all) > 0 && kind != all[0].kind {
			return nil, 0, errorf("devices %s: devices of different kinds cannot copy to each other", list)
		}
		count[p.name]++
		all = append(all, p)
	}
	seen := map[string]int{}
	for i, p := range all {
		switch {
		case count[p.name] == 1: // its name is its own
		case p.kind == "cpu":
			all[i].name = fmt.Sprintf("cpu:%d", i)
		default:
			seen[p.name]++
			all[i].name = fmt.Sprintf("%s/%d", p.name, seen[p.name])
		}
	}
	return all, replicas, nil
}

// Set is open devices, in the order of the list.
type Set struct {
	plan.Placement
	GPUs []*cuda.Device // the same devices, unless they are the CPU's
	ends []func() error
}

// Close ends the devices, and the machine of simulated ones, of which nothing may
// be left.
func (s *Set) Close() error {
	var errs []error
	for i := len(s.ends) - 1; i >= 0; i-- {
		errs = append(errs, s.ends[i]())
	}
	s.ends = nil
	return errors.Join(errs...)
}

// Open opens the devices of a list. o is for GPUs.
func Open(list string, o cuda.Options) (*Set, error) {
	all, replicas, err := places(list)
	if err != nil {
		return nil, err
	}
	s := &Set{Placement: plan.Placement{Replicas: replicas}}
	if all[0].kind == "cpu" {
		err = s.openCPUs(all)
	} else {
		err = s.openGPUs(all, o)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) openCPUs(all []place) error {
	for _, p := range all {
		d, err := cpu.New(p.name)
		if err != nil {
			return err
		}
		s.ends, s.Devices = append(s.ends, d.Close), append(s.Devices, d)
	}
	return nil
}

func (s *Set) openGPUs(all []place, o cuda.Options) error {
	libraries, err := s.libraries(all)
	if err != nil {
		return err
	}
	for _, p := range all {
		d, err := libraries.New(p.name, p.number, o)
		if err != nil {
			return err
		}
		s.ends, s.Devices, s.GPUs = append(s.ends, d.Close), append(s.Devices, d), append(s.GPUs, d)
	}
	return cuda.Connect(s.GPUs)
}

// Simulation is the environment variable that says how simulated GPUs behave;
// see sim.Parse.
const Simulation = "ALEXNET_SIM"

// libraries opens NVIDIA's libraries, or a simulation of them.
func (s *Set) libraries(all []place) (*cuda.Libraries, error) {
	if all[0].kind == "cuda" {
		l, err := cuda.Open()
		if err != nil {
			err = fmt.Errorf("NVIDIA GPUs cannot be used here.\n%w\nWithout a GPU: -devices cpu", err)
		}
		return l, err
	}
	o, err := sim.Parse(os.Getenv(Simulation))
	if err != nil {
		return nil, errorf("%s: %v", Simulation, err)
	}
	for _, p := range all {
		o.GPUs = max(o.GPUs, p.number+1)
	}
	m, err := sim.New(o)
	if err != nil {
		return nil, errorf("%s: %v", Simulation, err)
	}
	s.ends = append(s.ends, m.Close)
	return m.Libraries()
}
