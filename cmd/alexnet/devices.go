package main

import (
	"fmt"

	"alexnet/dnn/cuda"
	"alexnet/internal/devices"
	"alexnet/model"
	"alexnet/plan"

	"github.com/urfave/cli/v2"
)

// The flags that say where to run, and how.
func devicesFlag() cli.Flag {
	return &cli.StringFlag{Name: "devices", Value: "cpu",
		Usage: "where to run: cpu, cuda:0, sim:0 (a simulated GPU), or one for each column, as cuda:0,cuda:1 or cuda:0,cuda:0; with a + between those that share each batch, as cuda:0+cuda:1 (`LIST`)"}
}

func precisionFlag() cli.Flag {
	return &cli.StringFlag{Name: "precision", Value: cuda.FP32.String(), Usage: "of convolutions and matrix products on a GPU: fp32, tf32 or bf16 (`P`)"}
}

// planned returns what -devices names, and with which options a step of net is planned there.
func planned(c *cli.Context, net *model.Net) (names []string, o plan.Options, err error) {
	o.Batch = net.Train.Batch
	if names, o.Replicas, err = devices.Names(c.String("devices")); err != nil {
		return nil, o, err
	}
	gpu, err := gpuOptions(c)
	o.BFloat16 = gpu.Precision == cuda.BF16
	return names, o, err
}

func runFlags() []cli.Flag {
	return []cli.Flag{
		devicesFlag(),
		precisionFlag(),
		&cli.BoolFlag{Name: "autotune", Usage: "measure the GPU's algorithms instead of asking its libraries which are the fastest"},
		&cli.BoolFlag{Name: "no-graphs", Usage: "launch every operation on a GPU by itself, not as part of a CUDA graph"},
		&cli.IntFlag{Name: "workspace", Value: cuda.DefaultWorkspace >> 20, Usage: "let an algorithm on a GPU use up to `N` MiB of memory of its own"},
	}
}

// openDevices opens the devices of -devices.
func openDevices(c *cli.Context) (*devices.Set, error) {
	o, err := gpuOptions(c)
	if err != nil {
		return nil, err
	}
	return devices.Open(c.String("devices"), o)
}

// gpuOptions returns what the flags say about GPUs.
func gpuOptions(c *cli.Context) (o cuda.Options, err error) {
	if devices.OnCPU(c.String("devices")) {
		for _, name := range []string{"precision", "autotune", "no-graphs", "workspace"} {
			if c.IsSet(name) {
				return o, usagef("-%s is for GPUs: the CPU computes in fp32", name)
			}
		}
	}
	precision, err := cuda.ParsePrecision(c.String("precision"))
	if err != nil {
		return o, usageError{fmt.Errorf("-precision: %w", err)}
	}
	o = cuda.Options{Precision: precision, Autotune: c.Bool("autotune"), NoGraphs: c.Bool("no-graphs"), Workspace: int64(c.Int("workspace")) << 20}
	switch {
	case o.Workspace < 0:
		return o, usagef("-workspace %d: want 0 or more", c.Int("workspace"))
	case o.Workspace == 0:
		o.Workspace = -1 // none
	}
	return o, nil
}
