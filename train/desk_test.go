package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"alexnet/checkpoint"
	"alexnet/dsl"
	"alexnet/internal/lock"
	"alexnet/internal/metrics"
)

// long makes a run that ends when it is ordered to, and slow enough that orders
// come between its steps.
func long(t *testing.T) Config {
	net, set, devices := open(t, "cpu")
	c := config(t, net, set, devices, func(metrics.Metric) {})
	setText(t, &c, strings.Replace(tiny, "passes 2", "passes 10000", 1))
	c.Progress = func(int64, int64) { time.Sleep(time.Millisecond) }
	return c
}

// setText makes c a run of the network that a text describes.
func setText(t *testing.T, c *Config, text string) {
	t.Helper()
	net, err := dsl.Parse("tiny.net", []byte(text))
	check(t, err)
	c.Net, c.Text = net, text
}

// whileRunning runs c beside do, which gets a context that ends with the run, and
// returns the error of the run.
func whileRunning(t *testing.T, c Config, do func(ctx context.Context)) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var done sync.WaitGroup
	done.Go(func() { do(ctx) })
	defer done.Wait()
	return Run(ctx, c)
}

// copyRun copies a run's folder as it is on disk at this moment: what a kill would
// leave.
func copyRun(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	check(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// TestOrders: what is ordered while a run goes on is carried out, recorded, and in
// a checkpoint when the order is answered; what cannot be done is answered with the
// reason and changes nothing.
func TestOrders(t *testing.T) {
	c := long(t)
	c.Desk = NewDesk()
	var killed string
	var at int64
	err := whileRunning(t, c, func(ctx context.Context) {
		last := int64(0)
		place := func(o Order, want string) {
			t.Helper()
			step, err := c.Desk.Place(ctx, o)
			switch {
			case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%+v: error %v, want %q", o, err, want)
			case err == nil && step < last:
				t.Errorf("%+v: carried out after %d steps, and the one before after %d", o, step, last)
			}
			last = max(last, step)
		}
		place(Order{Divide: 10, By: "the page"}, "")
		at = last
		killed = copyRun(t, c.Dir)
		place(Order{Divide: 4, Layer: "fc2"}, "")
		place(Order{Divide: 2, Layer: "fc9"}, `tiny has no layer "fc9" that learns`)
		place(Order{Divide: 2, Layer: "conv1.relu"}, `tiny has no layer "conv1.relu" that learns`)
		place(Order{Divide: -1}, "cannot be divided by -1")
		place(Order{Divide: 1e-60}, "cannot be divided by 1e-60")
		place(Order{Divide: 1e300}, "cannot be divided by 1e+300: it would be 1e-304")
		place(Order{Divide: 1e45, Layer: "fc2"}, "cannot be divided by 1e+45: it would be ")
		place(Order{}, "an empty order")
		place(Order{Layer: "fc2", Checkpoint: true}, "by what is the rate of fc2 to be divided?")
		place(Order{Checkpoint: true}, "")
		if saved, err := checkpoint.Read(filepath.Join(c.Dir, Newest)); err != nil || saved.Step < last {
			t.Errorf("the checkpoint that was ordered after %d steps: %v", last, err)
		}
		place(Order{Stop: true}, "")
		place(Order{Checkpoint: true}, "the training has ended")
	})
	if !errors.Is(err, ErrStopped) {
		t.Fatalf("the run ended with %v, want %v", err, ErrStopped)
	}

	changes := func(dir string) (list []metrics.Metric) {
		t.Helper()
		ms, err := metrics.Read(filepath.Join(dir, MetricsFile))
		check(t, err)
		for _, m := range ms {
			if m.Kind == metrics.Change {
				list = append(list, m)
			}
		}
		return list
	}
	list := changes(c.Dir)
	if len(list) != 2 || list[0].Rate != 0.0001 || list[0].Layer != "" || list[0].Why != "by hand, from the page" || list[0].Step != at ||
		list[1].Rate != 0.000025 || list[1].Layer != "fc2" || list[1].Why != "by hand" {
		t.Errorf("changes: %+v", list)
	}

	// Both resume with the rates that they had, and with each change recorded once.
	for _, c := range []struct {
		dir     string
		changes int
		fc2     float64
	}{{killed, 1, 0.0001}, {c.Dir, 2, 0.000025}} {
		again := long(t)
		again.Dir, again.Resume = c.dir, true
		var rates []float64
		again.Log = func(m metrics.Metric) {
			if m.Kind == metrics.Train {
				rates = append(rates, m.Rate)
			}
		}
		saved, err := checkpoint.Read(filepath.Join(c.dir, Newest))
		check(t, err)
		again.Steps = saved.Step + 3
		check(t, Run(t.Context(), again))
		if !slices.Equal(rates, []float64{0.0001, 0.0001, 0.0001}) {
			t.Errorf("rates of the resumed run: %v", rates)
		}
		if list := changes(c.dir); len(list) != c.changes {
			t.Errorf("changes after resuming: %+v", list)
		}
		s, err := parseSchedule(saved.Schedule)
		check(t, err)
		if r := s.rates(again.Net, int64(s.Tested)); again.Net.Layers[2].Name != "fc2" || r.layer[2] != c.fc2 {
			t.Errorf("fc2 learns at %g, want %g", r.layer[2], c.fc2)
		}
	}
}

// TestSend: orders reach a run through its folder.
func TestSend(t *testing.T) {
	c := long(t)
	if _, err := Send(t.Context(), c.Dir, Order{Stop: true}); err == nil || !strings.Contains(err.Error(), "holds no run") {
		t.Errorf("to no run: error %v", err)
	}
	another := long(t)
	another.Dir = c.Dir
	err := whileRunning(t, c, func(ctx context.Context) {
		for ctx.Err() == nil { // until there is a run
			if _, err := Send(ctx, c.Dir, Order{Divide: 10, By: "a test"}); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if _, err := Send(ctx, c.Dir, Order{Divide: 10, Layer: "nobody"}); err == nil || !strings.Contains(err.Error(), `no layer "nobody"`) {
			t.Errorf("an order that cannot be carried out: error %v", err)
		}
		if err := Run(ctx, another); err == nil || !strings.Contains(err.Error(), "holds a run already") {
			t.Errorf("a second run in the folder: error %v", err)
		}
		another.Resume = true
		if err := Run(ctx, another); err == nil || !strings.Contains(err.Error(), "another training goes on in") {
			t.Errorf("resumed while it goes on: error %v", err)
		}
		// What is no order is answered, and does not stop those after it.
		bad := filepath.Join(c.Dir, ordersDir, "bad")
		check(t, os.WriteFile(bad+orderEnd, []byte(`{"divide":"ten"}`), 0o666))
		var answer []byte
		for answer == nil && ctx.Err() == nil {
			answer, _ = os.ReadFile(bad + answerEnd)
			time.Sleep(time.Millisecond)
		}
		if _, err := readAnswer(bad+answerEnd, answer); err == nil || !strings.Contains(err.Error(), "cannot unmarshal") {
			t.Errorf("what is no order: %v", err)
		}
		if _, err := Send(ctx, c.Dir, Order{Stop: true}); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, ErrStopped) {
		t.Fatalf("the run ended with %v", err)
	}
	if _, err := Send(t.Context(), c.Dir, Order{Divide: 10}); err == nil || !strings.Contains(err.Error(), "no training goes on in") {
		t.Errorf("to a run that has ended: error %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(c.Dir, ordersDir)); err != nil || len(left) > 0 {
		t.Errorf("left in the folder of orders: %v, %v", left, err)
	}
}

// TestSendBeforeRun: an order that comes after a run has taken the folder's lock and
// before it sweeps the orders away is not waited for.
func TestSendBeforeRun(t *testing.T) {
	run := t.TempDir()
	dir := filepath.Join(run, ordersDir)
	check(t, errors.Join(os.WriteFile(filepath.Join(run, ConfigFile), nil, 0o666), os.Mkdir(dir, 0o777)))
	held, err := lock.Take(filepath.Join(run, lockFile))
	check(t, err)
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sent := make(chan error)
	go func() {
		_, err := Send(ctx, run, Order{Stop: true})
		sent <- err
	}()
	for waiting := 0; waiting == 0 && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		orders, err := filepath.Glob(filepath.Join(dir, "*"+orderEnd))
		check(t, err)
		waiting = len(orders)
	}
	check(t, openMailbox(dir))
	if err := <-sent; err == nil || !strings.Contains(err.Error(), "give it again") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder of orders: %v, %v", left, err)
	}
}
