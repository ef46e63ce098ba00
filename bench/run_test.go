package bench

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/internal/raw"
	"alexnet/plan"
)

func TestRepeatsFor(t *testing.T) {
	for _, k := range []struct {
		once time.Duration
		want int
	}{{0, mostRepeats}, {time.Microsecond, mostRepeats}, {100 * time.Microsecond, 10}, {300 * time.Microsecond, 4}, {time.Millisecond, 1}, {time.Second, 1}} {
		if got := repeatsFor(k.once, time.Millisecond); got != k.want {
			t.Errorf("%v is repeated %d times, want %d", k.once, got, k.want)
		}
	}
}

// launches counts what is launched, and waits as long as a device would work.
type launches struct {
	all    []int // first steps
	waited int
	takes  time.Duration
	fail   error

	slowFirst time.Duration // the first wait, more
}

func (l *launches) Launch(_ context.Context, first, _ int) error {
	l.all = append(l.all, first)
	return l.fail
}

func (l *launches) Repeat(_ context.Context, step, times int) error {
	l.all = append(l.all, slices.Repeat([]int{step}, times)...)
	return l.fail
}

func (l *launches) Wait(context.Context) error {
	l.waited++
	if l.waited == 1 {
		time.Sleep(l.slowFirst)
	}
	time.Sleep(l.takes)
	return nil
}

// TestPart: repeats are issued without a wait in between, and share the time.
func TestPart(t *testing.T) {
	p, l := &part{first: 3, end: 4, repeats: 10}, &launches{takes: 20 * time.Millisecond}
	if err := p.measure(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.all, []int{3, 3, 3, 3, 3, 3, 3, 3, 3, 3}) || l.waited != 1 || len(p.ms) != 1 || p.ms[0] < 2 || p.ms[0] > 15 {
		t.Errorf("%+v gave %v", l, p.ms)
	}

	// One that is not to be repeated, or takes very long, is run once to be settled;
	// a short one three times, and the fastest counts.
	for _, k := range []struct {
		least, takes  time.Duration
		runs, repeats int
	}{{0, 0, 1, 1}, {time.Microsecond, time.Millisecond, 1, 1}, {time.Millisecond, 2 * time.Millisecond, 3, 1}, {time.Hour, 0, 3, mostRepeats}} {
		p, l := &part{least: k.least}, &launches{takes: k.takes}
		if err := p.settle(t.Context(), l); err != nil || p.repeats != k.repeats || len(l.all) != k.runs || len(p.ms) > 0 {
			t.Errorf("%+v: %v, %d repeats after %d runs", k, err, p.repeats, len(l.all))
		}
	}
	// One operation is run twice more: then it is as it will be.
	l = &launches{}
	if p := (&part{first: 7, end: 8, least: time.Hour}); p.settle(t.Context(), l) != nil || len(l.all) != 3+2*mostRepeats || l.waited != 5 {
		t.Errorf("to settle an operation it was run %d times in %d goes", len(l.all), l.waited)
	}
	l = &launches{slowFirst: 30 * time.Millisecond}
	if p := (&part{least: 10 * time.Millisecond}); p.settle(t.Context(), l) != nil || p.repeats < 10 {
		t.Errorf("after a slow first run there are %d repeats", p.repeats)
	}

	bad := errors.New("out of luck")
	if err := p.measure(t.Context(), &launches{fail: bad}); !errors.Is(err, bad) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.measure(ctx, l); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRepeatsDoNoHarm: after rounds in which every operation was repeated, those in
// place among them, a step has the loss that it had, but for what the updates did.
func TestRepeatsDoNoHarm(t *testing.T) {
	net := parse(t, `net inplace
input 3x8x8
columns 2
conv1 conv 4 3x3 pad 1 init 0.01
      tanh
      maxpool 2x2 stride 2
conv2 conv 4 3x3 pad 1 across init 0.1
      relu
fc3   full 8 across init 0.1
      relu
      dropout 0.5
fc4   full 4 across init 0.1
      softmax
train {
	batch 4
	rate 0.1
	passes 1
}
`)
	for _, list := range []string{"cpu", "cpu,cpu"} {
		s, err := NewStep(t.Context(), net, open(t, list), plan.Options{Batch: 4})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		loss := func() float64 {
			t.Helper()
			if err := errors.Join(s.Launch(t.Context(), 0, len(s.Program.Steps)), s.Wait(t.Context())); err != nil {
				t.Fatal(err)
			}
			return float64(raw.Numbers[float32](s.host[plan.Stats])[dnn.StatLoss])
		}
		before := loss()
		var r Report
		steps, err := r.rounds(t.Context(), s, Options{Batch: 4, Rounds: 3, Progress: func(int64, int64) {}})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range steps {
			if p.first != i || p.repeats < 1 || p.repeats > mostRepeats || len(p.ms) != 3 {
				t.Errorf("%s: %+v", s.Program.StepName(i), p)
			}
		}
		if !slices.ContainsFunc(steps, func(p *part) bool { return p.repeats > 1 }) || r.Repeats < 2 || len(r.Passes) != 3 {
			t.Errorf("on %s nothing was repeated: %+v", list, r)
		}
		if after := loss(); !(before > 0) || math.Abs(after-before) > 0.1*before {
			t.Errorf("on %s the loss was %g and is %g", list, before, after)
		}
	}
}

// TestHow: of a GPU the report says how operations were done.
func TestHow(t *testing.T) {
	net := parse(t, "net small\ninput 3x8x8\nconv1 conv 8 3x3 init 0.01\nrelu\nfc2 full 4\nsoftmax\n")
	on := openWith(t, "sim:0", cuda.Options{Precision: cuda.BF16, KernelCache: t.TempDir()})
	r, err := Run(t.Context(), Options{Net: net, Placement: on, Batch: 2, Precision: "bf16", Rounds: 1, Progress: func(int64, int64) {}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Graphs[0] == 0 || r.Graphs[0] != r.Graphs[1] {
		t.Errorf("%d graphs of %d", r.Graphs[0], r.Graphs[1])
	}
	for _, o := range r.Operations {
		conv := strings.HasPrefix(o.What, "Conv") && o.What != "Convert"
		if conv != strings.HasPrefix(o.How, "bfloat16 channels last, algorithm ") || (o.What == "ConvForward") != strings.HasSuffix(o.How, ", with bias and ReLU") {
			t.Errorf("%s of %s is done %q", o.What, o.Layer, o.How)
		}
	}
}
