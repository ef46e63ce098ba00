package train

import (
	"context"
	"errors"
	"fmt"

	"alexnet/internal/raw"
	"alexnet/plan"
)

// diverged says where a loss that is no number comes from: the step's forward
// pass is done again with every layer's output kept.
func (r *run) diverged(ctx context.Context, loss float64) error {
	where, err := r.firstBad(ctx)
	if err != nil {
		where = fmt.Sprintf("the first layer could not be found: %v", err)
	}
	return divergence{fmt.Errorf("step %d: the loss is %g: %s: %s", r.step+1, loss, where, r.advice())}
}

// advice says how a run that diverged can go on.
func (r *run) advice() string {
	net := *r.Net
	net.Train.Rate /= 10
	if r.before > 0 && r.before < r.Net.Train.Rate { // at which it did not diverge
		net.Train.Rate = r.before
	}
	how := fmt.Sprintf("%s -set train.rate=%.6g", r.Again, net.Train.Rate)
	if r.sched.rates(&net, int64(r.sched.Tested)).base == r.rates.base { // an at line has set the rate
		how = fmt.Sprintf("lower the at lines in %s, then %s", r.path(ConfigFile), r.Again)
	}
	if r.saved < 0 {
		return fmt.Sprintf("nothing is saved yet: start anew with a lower rate (%s), or in a new run with smaller initial deviations", how)
	}
	return fmt.Sprintf("the newest checkpoint, of step %d, is as it was: go on from it with a lower rate (%s)", r.saved, how)
}

func (r *run) firstBad(ctx context.Context) (where string, err error) {
	info := r.Set.Info()
	p, err := r.Placement.Compile(r.Net, plan.Options{Batch: r.train.Batch, MeanH: info.Height, MeanW: info.Width, KeepAll: true})
	if err != nil {
		return "", err
	}
	if err := save(ctx, r.runner, r.train, r.tensors); err != nil {
		return "", err
	}
	runner, err := plan.NewRunner(r.Devices, p)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, runner.Close()) }()
	if err := load(ctx, runner, p, r.tensors); err != nil {
		return "", err
	}
	if err := runner.Launch(ctx, p, 0, p.Forward, &r.host.slots); err != nil {
		return "", err
	}
	if err := runner.Synchronize(ctx); err != nil {
		return "", err
	}
	named := byName(r.tensors)
	for i, l := range r.Net.Layers {
		for _, suffix := range []string{".weight", ".bias"} {
			if t := named[l.Name+suffix]; t != nil && raw.FirstNotFinite(t.Data) >= 0 {
				return fmt.Sprintf("the first bad numbers are in %s%s", l.Name, suffix), nil
			}
		}
		for device := range p.Devices {
			t := p.Devices[device].Outputs[i]
			if t == 0 {
				continue
			}
			out := make([]float32, p.Devices[device].Tensors[t].Bytes/4)
			if err := runner.Read(ctx, p, device, t, raw.Bytes(out)); err != nil {
				return "", err
			}
			if raw.FirstNotFinite(out) >= 0 {
				return fmt.Sprintf("the first bad numbers are in the output of %s", l.Name), nil
			}
		}
	}
	return fmt.Sprintf("all layers are finite, but the loss overflows in %s", r.Net.Layers[len(r.Net.Layers)-1].Name), nil
}
