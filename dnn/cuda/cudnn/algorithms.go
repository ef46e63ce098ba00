package cudnn

import (
	"fmt"
	"slices"
	"strings"

	"alexnet/dnn/cuda/cu"
)

// ForwardAlgorithms returns cuDNN's algorithms for a convolution forward, the
// one that it expects to be the fastest first
// (cudnnGetConvolutionForwardAlgorithm_v7).
func (h *Handle) ForwardAlgorithms(x *Tensor, w *Filter, c *Convolution, y *Tensor) ([]Perf, error) {
	return h.algorithms("cudnnGetConvolutionForwardAlgorithm_v7", c,
		[]named{{"x", x}, {"w", w}, {"convolution", c}, {"y", y}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.GetConvolutionForwardAlgorithm(h.raw, x.raw, w.raw, c.raw, y.raw, n, got, list)
		})
}

// BackwardDataAlgorithms is ForwardAlgorithms for the gradient by the input
// (cudnnGetConvolutionBackwardDataAlgorithm_v7).
func (h *Handle) BackwardDataAlgorithms(w *Filter, dy *Tensor, c *Convolution, dx *Tensor) ([]Perf, error) {
	return h.algorithms("cudnnGetConvolutionBackwardDataAlgorithm_v7", c,
		[]named{{"w", w}, {"dy", dy}, {"convolution", c}, {"dx", dx}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.GetConvolutionBackwardDataAlgorithm(h.raw, w.raw, dy.raw, c.raw, dx.raw, n, got, list)
		})
}

// BackwardFilterAlgorithms is ForwardAlgorithms for the gradient by the weights
// (cudnnGetConvolutionBackwardFilterAlgorithm_v7).
func (h *Handle) BackwardFilterAlgorithms(x, dy *Tensor, c *Convolution, dw *Filter) ([]Perf, error) {
	return h.algorithms("cudnnGetConvolutionBackwardFilterAlgorithm_v7", c,
		[]named{{"x", x}, {"dy", dy}, {"convolution", c}, {"dw", dw}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.GetConvolutionBackwardFilterAlgorithm(h.raw, x.raw, dy.raw, c.raw, dw.raw, n, got, list)
		})
}

// FindForwardAlgorithms runs cuDNN's algorithms for a convolution forward and
// returns them with the time that each took, the fastest first. What is in y and
// in the workspace is lost. It waits for the GPU
// (cudnnFindConvolutionForwardAlgorithmEx).
func (h *Handle) FindForwardAlgorithms(x *Tensor, xp cu.DevicePtr, w *Filter, wp cu.DevicePtr, c *Convolution, y *Tensor, yp cu.DevicePtr, workspace cu.DevicePtr, bytes int64) ([]Perf, error) {
	return h.algorithms("cudnnFindConvolutionForwardAlgorithmEx", c,
		[]named{{"x", x}, {"w", w}, {"convolution", c}, {"y", y}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.FindConvolutionForwardAlgorithmEx(h.raw, x.raw, xp, w.raw, wp, c.raw, y.raw, yp, n, got, list, workspace, size(bytes))
		})
}

// FindBackwardDataAlgorithms is FindForwardAlgorithms for the gradient by the
// input; what is in dx is lost (cudnnFindConvolutionBackwardDataAlgorithmEx).
func (h *Handle) FindBackwardDataAlgorithms(w *Filter, wp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, c *Convolution, dx *Tensor, dxp cu.DevicePtr, workspace cu.DevicePtr, bytes int64) ([]Perf, error) {
	return h.algorithms("cudnnFindConvolutionBackwardDataAlgorithmEx", c,
		[]named{{"w", w}, {"dy", dy}, {"convolution", c}, {"dx", dx}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.FindConvolutionBackwardDataAlgorithmEx(h.raw, w.raw, wp, dy.raw, dyp, c.raw, dx.raw, dxp, n, got, list, workspace, size(bytes))
		})
}

// FindBackwardFilterAlgorithms is FindForwardAlgorithms for the gradient by the
// weights; what is in dw is lost
// (cudnnFindConvolutionBackwardFilterAlgorithmEx).
func (h *Handle) FindBackwardFilterAlgorithms(x *Tensor, xp cu.DevicePtr, dy *Tensor, dyp cu.DevicePtr, c *Convolution, dw *Filter, dwp cu.DevicePtr, workspace cu.DevicePtr, bytes int64) ([]Perf, error) {
	return h.algorithms("cudnnFindConvolutionBackwardFilterAlgorithmEx", c,
		[]named{{"x", x}, {"dy", dy}, {"convolution", c}, {"dw", dw}}, func(n int32, got *int32, list *Perf) Status {
			return h.lib.f.FindConvolutionBackwardFilterAlgorithmEx(h.raw, x.raw, xp, dy.raw, dyp, c.raw, dw.raw, dwp, n, got, list, workspace, size(bytes))
		})
}

// named is an argument of a call, for its error.
type named struct {
	name string
	resource
}

// most is more algorithms than cuDNN has for one convolution, each with every
// MathType.
const most = 32

// algorithms asks cuDNN for its algorithms and returns those that can do
// what was asked, in cuDNN's order, which is best first; at least one if there
// is no error.
func (h *Handle) algorithms(function string, c *Convolution, args []named, ask func(n int32, got *int32, list *Perf) Status) ([]Perf, error) {
	used, texts := make([]resource, len(args)), make([]string, len(args))
	for i, a := range args {
		used[i] = a
	}
	if err := h.enter(function, used...); err != nil {
		return nil, err
	}
	defer h.ctx.Leave()
	list, got := make([]Perf, most), int32(0)
	s := ask(most, &got, &list[0])
	list = list[:max(0, min(int(got), most))]
	able := slices.DeleteFunc(slices.Clone(list), func(p Perf) bool {
		return p.Status != Success || c.exact && p.Math != FmaMath // which it may offer all the same
	})
	if s == Success && len(able) > 0 {
		return able, nil
	}
	for i, a := range args {
		texts[i] = fmt.Sprintf("%s %v", a.name, a.resource)
	}
	call := fmt.Sprintf("%s(%s)", function, strings.Join(texts, ", "))
	if s == Success {
		return nil, h.lib.failure(NotSupported, "%s offers %d algorithms, and none can", call, len(list))
	}
	return nil, h.lib.failure(s, "%s", call)
}
