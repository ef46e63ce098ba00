package cuda_test

import (
	"reflect"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/sim"
)

// TestWhatCuDNNLacks: a convolution of bfloat16 that cuDNN cannot do in one with its
// ReLU, or only says it can, is done in two steps; one that it cannot do with the best
// algorithm with another, and one that it cannot do at all in float32, on copies.
func TestWhatCuDNNLacks(t *testing.T) {
	for name, lose := range map[string]func(f *cudnn.Functions, used *int){
		"one with ReLU": func(f *cudnn.Functions, used *int) {
			f.ConvolutionBiasActivationForward = refuse(f.ConvolutionBiasActivationForward, cudnn.NotSupported, 1, used)
		},
		"one with ReLU, says otherwise": func(f *cudnn.Functions, used *int) {
			f.ConvolutionBiasActivationForward = refuse(f.ConvolutionBiasActivationForward, cudnn.BadParam, 1, used)
		},
		"one with ReLU, does nothing": func(f *cudnn.Functions, used *int) {
			f.ConvolutionBiasActivationForward = refuse(f.ConvolutionBiasActivationForward, cudnn.Success, 1, used)
		},
		"the best algorithms": func(f *cudnn.Functions, used *int) {
			const forward, gradients = 7, 7 // which argument is the algorithm
			f.ConvolutionForward = refuseFirst(f.ConvolutionForward, forward, used)
			f.ConvolutionBackwardData = refuseFirst(f.ConvolutionBackwardData, gradients, used)
			f.ConvolutionBackwardFilter = refuseFirst(f.ConvolutionBackwardFilter, gradients, used)
		},
		"bfloat16": func(f *cudnn.Functions, used *int) {
			// The first of two questions is about bfloat16.
			f.GetConvolutionForwardAlgorithm = refuse(f.GetConvolutionForwardAlgorithm, cudnn.NotSupported, 2, used)
			f.GetConvolutionBackwardDataAlgorithm = refuse(f.GetConvolutionBackwardDataAlgorithm, cudnn.NotSupported, 2, used)
			f.GetConvolutionBackwardFilterAlgorithm = refuse(f.GetConvolutionBackwardFilterAlgorithm, cudnn.NotSupported, 2, used)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := sim.New(sim.Options{GPUs: 1})
			check(t, err)
			defer func() { check(t, m.Close()) }()
			used := 0
			libs := tabled(t, m, func(f *tables) { lose(f.dnn, &used) })
			d, err := libs.New("gpu", 0, cuda.Options{Precision: cuda.BF16, KernelCache: t.TempDir()})
			check(t, err)
			r := newRig(t, d, cuda.BF16, 1)
			conv := dnn.Conv{Batch: 2, Groups: 2, Format: dnn.BFloat16Last, In: dnn.Shape{C: 16, H: 7, W: 6}, Out: dnn.Shape{C: 8, H: 4, W: 3}, Window: dnn.Window{H: 3, W: 3, Stride: 2, Pad: 1}}
			over := conv // whose last windows hang over the edge
			over.In.H, over.Window.Pad = 8, 0
			for _, c := range []dnn.Conv{conv, over} {
				r.run(dnn.ConvForward{Conv: c, Relu: true, X: 1, W: 2, B: 3, Y: 4})
				r.run(dnn.ConvForward{Conv: c, X: 1, W: 2, B: 3, Y: 4})
				r.run(dnn.ConvBackwardData{Conv: c, W: 1, DY: 2, DX: 3})
				r.run(dnn.ConvBackwardWeights{Conv: c, X: 1, DY: 2, DW: 3, DB: 4})
			}
			if used == 0 {
				t.Error("nothing was refused")
			}
			r.close()
			check(t, d.Close())
		})
	}
}

// refuse returns a function that fails with status the first of every so many times it
// is called, and else is f.
func refuse[F any](f F, status cudnn.Status, every int, used *int) F {
	v, calls := reflect.ValueOf(f), 0
	return reflect.MakeFunc(v.Type(), func(args []reflect.Value) []reflect.Value {
		if calls++; (calls-1)%every > 0 {
			return v.Call(args)
		}
		*used++
		return []reflect.Value{reflect.ValueOf(status)}
	}).Interface().(F)
}

// refuseFirst returns a function that always fails for the algorithm that it is asked
// for first, and else is f.
func refuseFirst[F any](f F, argument int, used *int) F {
	v, first := reflect.ValueOf(f), int64(-1)
	return reflect.MakeFunc(v.Type(), func(args []reflect.Value) []reflect.Value {
		algo := args[argument].Int()
		if first < 0 {
			first = algo
		}
		if algo != first {
			return v.Call(args)
		}
		*used++
		return []reflect.Value{reflect.ValueOf(cudnn.NotSupported)}
	}).Interface().(F)
}
