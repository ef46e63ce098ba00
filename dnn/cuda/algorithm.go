package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
)

// How a convolution's algorithm is chosen.

// memory is where the tensors of a convolution are, and the workspace.
type memory struct{ x, w, y, space cu.DevicePtr }

// direction is one of the three convolutions: what there is to call for it.
type direction struct {
	name string
	ask  func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error)                         // for algorithms as the library rates them
	find func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) // and as it measures them
	run  func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error
}

var (
	forward = direction{"forward", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.ForwardAlgorithms(c.x, c.w, c.desc, c.y)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindForwardAlgorithms(c.x, at.x, c.w, at.w, c.desc, c.y, at.y, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionForward(1, c.x, at.x, c.w, at.w, c.desc, cudnn.ConvFwdAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.y, at.y)
	}}
	byData = direction{"gradient by data", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.BackwardDataAlgorithms(c.w, c.y, c.desc, c.x)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardDataAlgorithms(c.w, at.w, c.y, at.y, c.desc, c.x, at.x, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionBackwardData(1, c.w, at.w, c.y, at.y, c.desc, cudnn.ConvBwdDataAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.x, at.x)
	}}
	byWeights = direction{"gradient by weights", func(h *cudnn.Handle, c *conv) ([]cudnn.Perf, error) {
		return h.BackwardFilterAlgorithms(c.x, c.y, c.desc, c.w)
	}, func(h *cudnn.Handle, c *conv, at memory, bytes int64) ([]cudnn.Perf, error) {
		return h.FindBackwardFilterAlgorithms(c.x, at.x, c.y, at.y, c.desc, c.w, at.w, at.space, bytes)
	}, func(h *cudnn.Handle, c *conv, algo cudnn.Perf, at memory) error {
		return h.ConvolutionBackwardFilter(1, c.x, at.x, c.y, at.y, c.desc, cudnn.ConvBwdFilterAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.w, at.w)
	}}
)

// errNoAlgorithm says that a convolution cannot be done as it was asked for.
var errNoAlgorithm = errors.New("there is no algorithm for it")

// convolution describes a convolution and chooses its algorithm. Where cuDNN has
// none for bfloat16, it is done in TF32, on copies.
func (p *preparation) convolution(d direction, o dnn.Conv) (c *conv, algo cudnn.Perf, err error) {
	for _, done := range []dnn.Format{o.Format, dnn.Float32} {
		if c, err = p.conv(o, done); err != nil {
			return nil, algo, err
		}
		if algo, err = c.algorithm(p, d); !errors.Is(err, errNoAlgorithm) || done == dnn.Float32 {
			return c, algo, err
		}
	}
	return nil, algo, err
}

// algorithm chooses one: of those that the library thinks best or, when the device
// tunes itself, of those that were measured, the first that does what it promises.
// What was chosen once is remembered.
func (c *conv) algorithm(p *preparation, d direction) (cudnn.Perf, error) {
	t := p.device.tuned
	key := fmt.Sprintf("%s: %v, precision %v, workspace %d", d.name, c, c.precision, p.device.options.workspace())
	if known, ok := t.Convolutions[key]; ok {
		best, err := c.choose(p, d, []cudnn.Perf{known}, t.tried[key])
		if !errors.Is(err, errNoAlgorithm) {
			t.tried[key] = true
			return best, err
		}
	}
	list, err := c.offers(p, d)
	if errors.Is(err, cudnn.NotSupported) || errors.Is(err, cudnn.BadParam) {
		return cudnn.Perf{}, fmt.Errorf("%s: %w: %w", c, errNoAlgorithm, err)
	}
	if err != nil {
		return cudnn.Perf{}, fmt.Errorf("algorithms for %s: %w", c, err)
	}
	best, err := c.choose(p, d, list, c.done == dnn.Float32) // of which cuDNN keeps its promises
	if err == nil {
		t.Convolutions[key], t.tried[key] = best, true
		t.write()
	}
	return best, err
}

// offers returns the algorithms, the best first. They are measured in memory of their
// own, since that overwrites results.
func (c *conv) offers(p *preparation, d direction) (list []cudnn.Perf, err error) {
	if !p.device.options.Autotune {
		return d.ask(p.device.dnn, c)
	}
	bytes := p.device.options.workspace()
	err = c.borrow(p, bytes, func(at memory) (err error) {
		list, err = d.find(p.device.dnn, c, at, bytes)
		return err
	})
	return list, err
}

// borrow calls use with memory for the convolution's tensors.
func (c *conv) borrow(p *preparation, space int64, use func(at memory) error) error {
	size := c.done.Bytes()
	return p.borrow([]int64{size * c.inputs(), size * c.weights(), size * c.outputs(), max(space, 1)}, func(at []cu.DevicePtr) error {
		return use(memory{at[0], at[1], at[2], at[3]})
	})
}

// choose takes the first of the algorithms that stays within the workspace and works;
// before all others those that give the same bits each time, although another may be
// faster. What was tried before is not tried again.
func (c *conv) choose(p *preparation, d direction, list []cudnn.Perf, tried bool) (cudnn.Perf, error) {
	limit := p.device.options.workspace()
	list = slices.DeleteFunc(list, func(a cudnn.Perf) bool { return int64(a.Memory) > limit })
	slices.SortStableFunc(list, func(a, b cudnn.Perf) int { return cmp.Compare(b.Determinism, a.Determinism) })
	why := fmt.Errorf("%s: %w within a workspace of %d bytes: allow more (-workspace)", c, errNoAlgorithm, limit)
	for _, a := range list {
		if c.precision != FP32 { // then the algorithm says what it makes of its numbers
			c.math(p, a.Math)
		}
		p.task.how = fmt.Sprintf("%v, algorithm %d, math %d", c.done, a.Algo, a.Math)
		if p.err != nil || tried {
			return a, p.err
		}
		refused, err := p.try(func() error {
			return c.borrow(p, int64(a.Memory), func(at memory) error { return d.run(p.device.dnn, c, a, at) })
		})
		switch {
		case err != nil:
			return a, err
		case refused == nil:
			return a, nil
		}
		why = fmt.Errorf("%s: %w: %w", c, errNoAlgorithm, refused)
	}
	return cudnn.Perf{}, why
}

// try does work of cuDNN's on the device and waits for it. That cuDNN refuses is told
// apart from errors after which nothing works. Without memory to try it, the work
// counts as done.
func (p *preparation) try(work func() error) (refused, err error) {
	err = work()
	if errors.Is(err, cu.ErrorOutOfMemory) {
		return nil, nil
	}
	dead := p.device.ctx.Synchronize()
	var library *cudnn.Error
	if dead == nil && errors.As(err, &library) {
		return err, nil
	}
	return nil, cmp.Or(dead, err)
}
