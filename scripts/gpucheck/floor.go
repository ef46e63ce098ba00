package main

import (
	"os"
	"path/filepath"

	"alexnet/bench"
	"alexnet/dsl"
	"alexnet/model"
)

// readNet reads the network that is timed.
func (c *check) readNet() (*model.Net, error) {
	path := filepath.Join(c.folder, "alexnet.net")
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return dsl.Parse(path, src)
}

// floor returns the least time of a step by what the part ceilings measured. It is
// not known without that part.
func (c *check) floor(precision string, batch int) (f bench.Floor, known bool, err error) {
	gflops, gbs := c.result.Ceilings(precision)
	if gflops == 0 || gbs == 0 {
		return f, false, nil
	}
	net, err := c.readNet()
	if err != nil {
		return f, false, err
	}
	f, err = bench.FloorOf(net, batch, precision, bench.Ceilings{GFLOPs: gflops, GBs: gbs})
	return f, err == nil, err
}

// shares returns the floor in milliseconds and, of each speed in images per second, how
// much of the step's time the floor is: nils where something is not known.
func (c *check) shares(precision string, batch int, speeds ...any) (all []any, err error) {
	all = make([]any, 1+len(speeds))
	f, known, err := c.floor(precision, batch)
	if !known {
		return all, err
	}
	all[0] = f.Overlapped()
	for i, speed := range speeds {
		if s, ok := speed.(float64); ok {
			all[1+i] = f.Overlapped() / (float64(batch) / s * 1e3)
		}
	}
	return all, nil
}

const floorNote = "The floor is what a step takes at least by the products and the copy of the part ceilings, if the two overlap perfectly; " +
	"the share is the floor's of the time that the step took."

// floors adds the floor of every case that is timed.
func (c *check) floors(p *Part) error {
	t := p.NewTable("Floor of a training step of alexnet.net", "precision", "batch", "products_ms", "memory_ms", "floor_ms", "sum_ms")
	for _, precision := range precisions {
		for _, batch := range c.batches() {
			f, known, err := c.floor(precision, batch)
			if err != nil {
				return err
			}
			if known {
				t.Add(precision, batch, f.Arithmetic, f.Memory, f.Overlapped(), f.Sum())
			}
		}
	}
	p.Note("The floor of a step is the larger of its products and its memory traffic, which perfectly overlap then; the sum is without overlap. " +
		"Memory counts each weight, momentum, gradient and activation that backward needs once each way: go doc alexnet/bench FloorOf.")
	return nil
}
