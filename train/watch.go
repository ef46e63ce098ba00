package train

import (
	"context"

	"alexnet/checkpoint"
	"alexnet/plan"
)

// Watch looks on while a run goes on. The loop waits for its methods: they take a
// copy of what they need and return at once.
type Watch interface {
	// Started says that training begins after step, of steps in all, with what
	// programs on the devices. It is called once.
	Started(step, steps int64, programs ...*plan.Program)
	// WantsKernels reports whether the first layer is to be read back from the
	// devices now. It is asked after each step, and each yes costs a wait for the
	// devices.
	WantsKernels() bool
	// Kernels hands over the weights of the first convolution, [kernels,
	// channels/groups, height, width].
	Kernels(step int64, layer string, t *checkpoint.Tensor)
	// Tested hands over what [Model.Predict] does, of each image of a test.
	Tested(image int64, label int32, logits []float64)
}

// show hands the first layer to whoever looks on and wants it.
func (r *run) show() error {
	if r.Watch == nil || !r.Watch.WantsKernels() {
		return nil
	}
	layer, t, err := r.kernels(context.Background())
	if err == nil && t != nil {
		r.Watch.Kernels(r.step, layer, t)
	}
	return err
}
