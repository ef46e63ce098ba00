package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"alexnet/internal/metrics"
)

// Order is what a person asks of a training while it goes on. A rate that was
// divided is in a checkpoint before the order counts as carried out.
type Order struct {
	Divide     float64 `json:"divide,omitempty"`     // the rate by so much, if not 0
	Layer      string  `json:"layer,omitempty"`      // that of this layer alone, if not ""
	Checkpoint bool    `json:"checkpoint,omitempty"` // save one
	Stop       bool    `json:"stop,omitempty"`       // save one and leave
	By         string  `json:"by,omitempty"`         // whom it comes from: "the page"
}

// ReadOrder reads an order in JSON: one value, with no other fields and nothing
// behind it.
func ReadOrder(r io.Reader) (o Order, err error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return Order{}, fmt.Errorf("the order: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Order{}, errors.New("the order: something follows its JSON value")
	}
	return o, nil
}

// ErrStopped is the error of a run that was ordered to stop. It is saved.
var ErrStopped = errors.New("stopped by an order")

var errEnded = errors.New("the training has ended")

// Desk takes orders for one run, from any goroutine.
type Desk struct {
	requests chan *request
	ended    chan struct{}
	once     sync.Once
}

type request struct {
	Order
	answer chan answer // of room for one
}

type answer struct {
	step int64
	err  error
}

// NewDesk returns a desk for [Config].
func NewDesk() *Desk { return &Desk{requests: make(chan *request), ended: make(chan struct{})} }

// Place gives an order and waits until it is carried out, which is before the
// next step or after a test that is going on. It returns how many steps had been
// done then. The error is that of the order, or says that the run has ended.
func (d *Desk) Place(ctx context.Context, o Order) (step int64, err error) {
	q := &request{Order: o, answer: make(chan answer, 1)}
	select {
	case d.requests <- q:
	case <-d.ended:
		return 0, errEnded
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case a := <-q.answer:
		return a.step, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("%w; the order may still be carried out", ctx.Err())
	}
}

// end turns away everybody who waits and who will come.
func (d *Desk) end() { d.once.Do(func() { close(d.ended) }) }

// next returns an order that waits, or nil.
func (d *Desk) next() *request {
	select {
	case q := <-d.requests:
		return q
	default:
		return nil
	}
}

// carryOut does what a request asks for. The error ends the run; one of the order
// itself only answers it.
func (r *run) carryOut(q *request) error {
	err := r.follow(q.Order)
	q.answer <- answer{r.step, err}
	var mistake orderError
	switch {
	case errors.As(err, &mistake):
		return nil
	case err == nil && q.Stop:
		return ErrStopped
	}
	return err
}

// orderError says what is wrong with an order.
type orderError string

func (e orderError) Error() string { return string(e) }

func (r *run) follow(o Order) error {
	switch {
	case o.Divide == 0 && o.Layer != "":
		return orderError(fmt.Sprintf("by what is the rate of %s to be divided?", o.Layer))
	case o.Divide == 0 && !o.Checkpoint && !o.Stop:
		return orderError("an empty order: divide the rate, save a checkpoint, or stop")
	}
	var changes []change
	if o.Divide != 0 {
		var err error
		if changes, err = r.divide(o); err != nil {
			return err
		}
	}
	if r.saved != r.step || len(changes) > 0 {
		if err := errors.Join(r.writeLine(), r.save()); err != nil {
			return err
		}
	}
	// A line at the step of a checkpoint is written again on resuming, from the
	// checkpoint.
	return r.announce(changes)
}

// divide changes rates as an order says.
func (r *run) divide(o Order) ([]change, error) {
	if l := r.Net.Named(o.Layer); o.Layer != "" && (l == nil || !l.Learns()) {
		return nil, orderError(fmt.Sprintf("%s has no layer %q that learns", r.Net.Name, o.Layer))
	}
	next := r.sched.clone()
	next.divideByHand(o.Layer, o.Divide)
	to := next.rates(r.Net, int64(next.Tested))
	before, after := r.rates.all(), to.all()
	for i, rate := range after {
		if stands := rate == 0 && before[i] == 0; !stands && !(rate >= math.SmallestNonzeroFloat32 && rate <= math.MaxFloat32) {
			return nil, orderError(fmt.Sprintf("the rate cannot be divided by %g: it would be %g", o.Divide, rate))
		}
	}
	if by := next.ByHand[o.Layer]; !positive(by) {
		return nil, orderError(fmt.Sprintf("the rate cannot be divided by %g: by hand it would be divided by %g in all", o.Divide, by))
	}
	why := "by hand"
	if o.By != "" {
		why += ", from " + o.By
	}
	changes := next.changed(r.Net, r.rates, to, r.step, why)
	r.sched, r.rates = next, to
	return changes, nil
}

// announce writes changes of rates into the record.
func (r *run) announce(changes []change) error {
	for _, c := range changes {
		m := r.metric(c)
		r.Log(m)
		if err := r.record.Write(m); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		return r.record.Sync()
	}
	return nil
}

// metric returns the line of a change at the run's step.
func (r *run) metric(c change) metrics.Metric {
	nan := math.NaN()
	return metrics.Metric{Kind: metrics.Change, Step: c.Step, Epoch: r.epoch(), Layer: c.Layer, Rate: c.Rate, Why: c.Why,
		Loss: nan, Top1Error: nan, Top5Error: nan, ImagesPerSecond: nan}
}
