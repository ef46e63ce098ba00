package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// peer is a program that does the same as alexnet bench.
type peer struct {
	name    string
	env     []string // variables that suit it
	command func(c *StepCase) []string
}

// Peer says what was measured beside alexnet.
type Peer struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	BLAS      string   `json:"matrix_products,omitempty"` // the library, and for which processor its kernels are
	Variables []string `json:"variables"`
}

// peers returns those that this machine has, and says which it has not.
func (b *stepsBench) peers(ctx context.Context) (all []peer, err error) {
	python, err := choosePython(ctx, b.python, "torch")
	switch {
	case err == nil:
		all = append(all, b.pytorch(python))
	case errors.Is(err, errNoPython):
		fmt.Fprintf(b.log, "PyTorch is left out: %v\n", err)
	default:
		return nil, err
	}
	if !b.oneDNN {
		return all, nil
	}
	fmt.Fprintln(b.log, "building onednn_step")
	program, err := buildOneDNN(ctx, b.root, b.work)
	switch {
	case err == nil:
		all = append(all, b.onednn("oneDNN", program, "auto"), b.onednn("oneDNN, direct", program, "direct"))
	case errors.Is(err, errNoOneDNN):
		fmt.Fprintf(b.log, "oneDNN is left out: %v\n", err)
	default:
		return nil, err
	}
	return all, nil
}

func (b *stepsBench) pytorch(python string) peer {
	return peer{"PyTorch", torchVariables, func(c *StepCase) []string {
		args := []string{python, filepath.Join(b.root, "scripts", "bench", "pytorch_step.py"), b.torch, fmt.Sprint(c.Batch),
			b.same.weights, b.same.pixels, fmt.Sprint(b.rate), "--steps", fmt.Sprint(b.steps)}
		if c.Forward {
			args = append(args, "--forward")
		}
		return args
	}}
}

// onednn is oneDNN with the convolutions that it chooses, or with direct ones alone.
func (b *stepsBench) onednn(name, program, convolutions string) peer {
	return peer{name, nil, func(c *StepCase) []string {
		args := []string{program, fmt.Sprint(c.Batch), fmt.Sprint(b.steps), b.same.weights, b.same.pixels, fmt.Sprint(b.rate), convolutions}
		if c.Forward {
			args = append(args, "forward")
		}
		return args
	}}
}
