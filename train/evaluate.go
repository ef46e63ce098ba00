package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"alexnet/dnn"
	"alexnet/internal/raw"
	"alexnet/loader"
	"alexnet/plan"
)

// Result is what a test found.
type Result struct {
	Images    int64   `json:"images"`
	Views     int     `json:"views"` // patches of each image whose outputs were averaged
	Top1Error float64 `json:"top1_error"`
	Top5Error float64 `json:"top5_error"`
	Loss      float64 `json:"loss"` // cross-entropy in nats, mean over images
}

// MarshalJSON writes a loss that is no number, which JSON does not have, as null.
func (r Result) MarshalJSON() ([]byte, error) {
	type plain Result
	if !math.IsNaN(r.Loss) && !math.IsInf(r.Loss, 0) {
		return json.Marshal(plain(r))
	}
	return json.Marshal(struct {
		plain
		Loss *float64 `json:"loss"`
	}{plain: plain(r)})
}

// tally counts errors image by image.
type tally struct {
	images           int64
	loss, top1, top5 float64
}

// add takes the logits of one image, and does what the softmax does in training. If a
// logit is not a number, the image counts as wrong.
func (t *tally) add(label int32, logits []float64) {
	t.images++
	largest, log := logSum(logits)
	t.loss += log - (logits[label] - largest)
	likelier := likelier(label, logits)
	if likelier >= 1 {
		t.top1++
	}
	if likelier >= 5 {
		t.top5++
	}
}

// likelier counts the classes that are likelier than the right one. Of equal ones
// the lower class is; and so is every class where there is no number to compare.
func likelier(label int32, logits []float64) (n int) {
	for c, v := range logits {
		if c != int(label) && !(v < logits[label]) && (v != logits[label] || c < int(label)) {
			n++
		}
	}
	return n
}

func (t *tally) result(views int) Result {
	n := float64(t.images)
	return Result{Images: t.images, Views: views, Top1Error: t.top1 / n, Top5Error: t.top5 / n, Loss: t.loss / n}
}

// predict runs a test program over one pass of a set's test split and calls each
// with every image's index, label and logits, in order. With several views they are
// the logits of the mean of the views' probabilities (section 4.1). The logits are
// each's only until it returns.
// Batches are made in memory of the host that device takes.
func predict(ctx context.Context, device dnn.Device, r *plan.Runner, p *plan.Program, h *host, set *loader.Set, views int,
	each func(image int64, label int32, logits []float64)) (err error) {
	m := memory{device: device}
	defer func() { err = errors.Join(err, m.Close()) }()
	o := batchOptions(p, views, m.take)
	o.Split = "test"
	batches, err := set.Test(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, batches.Close()) }()
	return average(ctx, r, p, h, batches, views, each)
}

// finite returns an error if what a network or a layer made of an image is not finite.
// Its weights are: checkpoints are read and saved only so.
func finite(out []float32, image int64, of string) error {
	if i := raw.FirstNotFinite(out); i >= 0 {
		return divergence{fmt.Errorf("image %d: output %d of %s is %g: the weights are so large that it overflows, as after a training that diverged; take an earlier checkpoint",
			image, i, of, out[i])}
	}
	return nil
}

// average calls each with every image's logits, averaged over its views.
func average(ctx context.Context, r *plan.Runner, p *plan.Program, h *host, from batches, views int,
	each func(image int64, label int32, logits []float64)) error {
	classes := p.Net.Classes()
	logits, sum, seen := make([]float64, classes), newMixture(classes), 0
	return forward(ctx, r, p, h, from, func(row int, image int64, label int32) error {
		out := h.logits[row*classes:][:classes]
		if err := finite(out, image, p.Net.Name); err != nil {
			return err
		}
		for c, v := range out {
			logits[c] = float64(v)
		}
		if views > 1 {
			sum.add(0, logits, 1)
			if seen++; seen < views {
				return nil
			}
			sum.mean(logits, 0, views)
			sum.clear()
			seen = 0
		}
		each(image, label, logits)
		return nil
	}, nil)
}
