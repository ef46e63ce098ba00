package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
)

// Convolution, bias and ReLU in one call of cuDNN.

// rectifier returns the ReLU of a convolution that cuDNN does with its bias and ReLU
// in one, or nil if it is not to, or cannot, which shows only when it is tried.
//
// Of NaN this ReLU makes 0, and no other is to be had in one with a convolution. A
// network that has diverged is seen all the same: its loss, which no ReLU follows, is
// NaN from the next step on.
func (c *conv) rectifier(p *preparation, relu bool, algo cudnn.Perf) (*cudnn.Activation, error) {
	if !relu || c.done != dnn.BFloat16Last {
		return nil, nil
	}
	a, err := p.device.libs.CuDNN.NewActivation(cudnn.ReLU, cudnn.NotPropagateNan, 0)
	if own(p, a, err); err != nil {
		return nil, err
	}
	t := p.device.tuned
	key := fmt.Sprintf("%v, algorithm %d, math %d", c, algo.Algo, algo.Math)
	fuses, known := t.fuses[key]
	if !known {
		refused, err := p.try(func() error { return c.tryFused(p, a, algo) })
		if err != nil {
			return nil, err
		}
		fuses = refused == nil
		t.fuses[key] = fuses
	}
	if !fuses {
		return nil, nil
	}
	return a, nil
}

// tryFused does the convolution of nothing but zeros, and a bias of ones, over NaN. It
// fails as cuDNN does, or if that does not make ones.
func (c *conv) tryFused(p *preparation, relu *cudnn.Activation, algo cudnn.Perf) (err error) {
	s, err := p.device.ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	size := c.done.Bytes()
	ones := slices.Repeat([]byte{0x80, 0x3f}, c.Out.C)
	return c.borrow(p, int64(algo.Memory), func(at memory) error {
		return p.borrow([]int64{int64(len(ones))}, func(bias []cu.DevicePtr) error {
			got := make([]byte, min(size*c.outputs(), 1<<16))
			err := errors.Join(s.MemsetD8Async(at.x, 0, size*c.inputs()), s.MemsetD8Async(at.w, 0, size*c.weights()), s.MemsetD8Async(at.y, 0xff, size*c.outputs()),
				s.MemcpyHtoDAsync(bias[0], ones), s.Synchronize())
			if err == nil {
				err = c.fused(p.device.dnn, relu, algo, at, bias[0])
			}
			if err == nil {
				err = errors.Join(p.device.ctx.Synchronize(), s.MemcpyDtoHAsync(got, at.y), s.Synchronize())
			}
			if err == nil && !bytes.Equal(got, slices.Repeat(ones[:2], len(got)/2)) {
				err = &cudnn.Error{Function: "cudnnConvolutionBiasActivationForward", Status: cudnn.NotSupported, Text: "of zeros and a bias of 1 it does not make 1"}
			}
			return err
		})
	})
}

// fused is the convolution with bias and ReLU in one call.
func (c *conv) fused(h *cudnn.Handle, relu *cudnn.Activation, algo cudnn.Perf, at memory, b cu.DevicePtr) error {
	return h.ConvolutionBiasActivationForward(1, c.x, at.x, c.w, at.w, c.desc, cudnn.ConvFwdAlgo(algo.Algo), at.space, int64(algo.Memory), 0, c.y, at.y, c.bias, b, relu, c.y, at.y)
}
