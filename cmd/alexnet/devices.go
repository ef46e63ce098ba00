package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"alexnet/dnn"
	"alexnet/dnn/cpu"

	"github.com/urfave/cli/v2"
)

func devicesFlag() cli.Flag {
	return &cli.StringFlag{Name: "devices", Value: "cpu", Usage: "where to run: cpu, or cpu,cpu for one column each (`LIST`)"}
}

// deviceNames splits the value of -devices. Of several devices of one kind each
// gets its number: cpu,cpu is cpu:0 and cpu:1.
func deviceNames(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for i, name := range names {
		if name != "cpu" {
			return nil, usagef("-devices %s: there is no device %q: this program runs on cpu", list, name)
		}
		if len(names) > 1 {
			names[i] = fmt.Sprintf("cpu:%d", i)
		}
	}
	return names, nil
}

// openDevices opens the devices of -devices. close ends them.
func openDevices(c *cli.Context) (devices []dnn.Device, close func() error, err error) {
	names, err := deviceNames(c.String("devices"))
	if err != nil {
		return nil, nil, err
	}
	close = func() error {
		var errs []error
		for _, d := range devices {
			errs = append(errs, d.Close())
		}
		return errors.Join(errs...)
	}
	for _, name := range names {
		d, err := cpu.New(name)
		if err != nil {
			return nil, nil, errors.Join(err, close())
		}
		devices = append(devices, d)
	}
	return devices, close, nil
}

var devicesCommand = &cli.Command{
	Name:  "devices",
	Usage: "show what this machine offers",
	Action: func(c *cli.Context) error {
		d, err := cpu.New("cpu")
		if err != nil {
			return err
		}
		defer d.Close()
		w := c.App.Writer
		fmt.Fprintf(w, "cpu    %s/%s, %d cores in use\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
		fmt.Fprintf(w, "       matrix products: %s\n", cpu.BLAS())
		return nil
	},
}
