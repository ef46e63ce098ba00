package cpu

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"alexnet/dnn"
)

// hold is a task that waits until release is closed.
func hold(d *Device, release chan struct{}) dnn.Task {
	return &task{op: dnn.Scale{}, device: d, loops: []loop{{n: 1, body: func(*worker, int) { <-release }}}}
}

// note is a task that appends to a list.
func note[T any](d *Device, list *[]T, v T) dnn.Task {
	return &task{op: dnn.Scale{}, device: d, loops: []loop{{n: 1, body: func(*worker, int) { *list = append(*list, v) }}}}
}

func TestStreamKeepsOrder(t *testing.T) {
	r := newRig(t)
	var got []int
	const n = 3 * queueLength
	for i := range n {
		check(t, r.stream.Launch(note(r.device, &got, i)))
	}
	check(t, r.stream.Synchronize(t.Context()))
	for i := range n {
		if got[i] != i {
			t.Fatalf("work %d was done at place %d", got[i], i)
		}
	}
}

// Two devices pass a list to and fro; the race detector sees any gap between
// them.
func TestEventsOrderDevices(t *testing.T) {
	a, b := newRig(t), newRig(t)
	ea, err := a.device.NewEvent()
	check(t, err)
	eb, err := b.device.NewEvent()
	check(t, err)
	var got []int
	for i := range 200 {
		check(t, a.stream.Wait(eb)) // the first time never recorded: reached
		check(t, a.stream.Launch(note(a.device, &got, 2*i)))
		check(t, a.stream.Record(ea))
		check(t, b.stream.Wait(ea))
		check(t, b.stream.Launch(note(b.device, &got, 2*i+1)))
		check(t, b.stream.Record(eb))
	}
	check(t, b.stream.Synchronize(t.Context()))
	check(t, a.stream.Synchronize(t.Context()))
	for i, v := range got {
		if v != i {
			t.Fatalf("work %d was done at place %d", v, i)
		}
	}
	if len(got) != 400 {
		t.Fatalf("%d of 400 pieces of work were done", len(got))
	}
	check(t, errors.Join(ea.Close(), eb.Close()))
}

// A wait is for the record before it, not for one that comes later, even if the
// event has moved to another stream in between.
func TestWaitTakesTheRecordBeforeIt(t *testing.T) {
	a, b, c := newRig(t), newRig(t), newRig(t)
	e, err := a.device.NewEvent()
	check(t, err)
	check(t, a.stream.Record(e))
	check(t, c.stream.Wait(e))
	later := make(chan struct{})
	check(t, b.stream.Launch(hold(b.device, later)))
	check(t, b.stream.Record(e)) // not reached until later is closed
	check(t, c.stream.Synchronize(t.Context()))

	// And one on a stream that is still behind is not reached because the event
	// was recorded again by a stream that is ahead.
	early := make(chan struct{})
	check(t, a.stream.Launch(hold(a.device, early)))
	check(t, a.stream.Record(e))
	var got []string
	check(t, c.stream.Wait(e))
	check(t, c.stream.Launch(note(c.device, &got, "after a")))
	close(later)
	check(t, b.stream.Record(e))
	check(t, b.stream.Synchronize(t.Context()))
	close(early)
	check(t, c.stream.Synchronize(t.Context()))
	if len(got) != 1 {
		t.Error("work after the wait was not done")
	}
	s := a.stream.(*stream)
	if s.reached != s.issued {
		t.Error("the waiting stream went ahead of the point it had to wait for")
	}
}

func TestCopies(t *testing.T) {
	a, b := newRig(t), newRig(t)
	src := a.floats([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	dst := b.floats(make([]float32, 9))
	rows := dnn.Rows{Count: 2, Width: 3, DstOffset: 1, DstStride: 4, SrcOffset: 2, SrcStride: 5}
	check(t, b.stream.Copy(b.at(dst), a.at(src), rows))
	if got, want := fmt.Sprint(b.read(dst)), "[0 2 3 4 0 7 8 9 0]"; got != want {
		t.Errorf("copied %s, want %s", got, want)
	}
	for _, bad := range []dnn.Rows{
		{Count: -1, Width: 1}, {Count: 1, Width: -1}, {Count: 1, Width: 10}, {Count: 1, Width: 1, SrcOffset: 10},
		{Count: 1, Width: 1, DstOffset: -1}, {Count: 3, Width: 3, DstStride: 4}, {Count: 2, Width: 1, SrcStride: 1 << 62},
		{Count: 1 << 62, Width: 1, SrcStride: 1, DstStride: 1}, {Count: 2, Width: 1, SrcStride: -1},
	} {
		if err := b.stream.Copy(b.at(dst), a.at(src), bad); err == nil {
			t.Errorf("Copy(%+v) of 10 numbers to 9 was accepted", bad)
		}
	}
	check(t, b.stream.Copy(b.at(dst), a.at(src), dnn.Rows{}))
	if err := a.stream.Upload(a.at(src), make([]byte, 41)); err == nil {
		t.Error("upload of 41 bytes to 40 was accepted")
	}
	if err := a.stream.Download(make([]byte, 41), a.at(src)); err == nil {
		t.Error("download of 41 bytes from 40 was accepted")
	}
}

func TestErrorsComeOutOfSynchronize(t *testing.T) {
	r := newRig(t)
	broken := &task{op: dnn.Scale{}, device: r.device, loops: []loop{{n: 100, body: func(_ *worker, i int) {
		if i == 50 {
			panic("broken on purpose")
		}
	}}}}
	var got []int
	check(t, r.stream.Launch(broken))
	check(t, r.stream.Launch(note(r.device, &got, 1)))
	err := r.stream.Synchronize(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cpu:0: Scale: panic: broken on purpose") {
		t.Errorf("error %v, want one that names device, operation and cause", err)
	}
	check(t, r.stream.Synchronize(t.Context()))
	if len(got) != 1 {
		t.Error("the work after the one that failed was not done")
	}

	labels := r.ints([]int32{0, 3})
	x, y, stats := r.floats(make([]float32, 6)), r.poison(6), r.poison(dnn.StatFloats)
	check(t, r.stream.Launch(r.prepare(dnn.SoftmaxForward{Batch: 2, Classes: 3, X: x, Y: y, Labels: labels, Stats: stats})))
	if err := r.stream.Synchronize(t.Context()); err == nil || !strings.Contains(err.Error(), "SoftmaxForward: image 1 of the batch has label 3") {
		t.Errorf("label 3 of 3 classes: error %v", err)
	}
	in := dnn.Input{Batch: 1, Out: dnn.Shape{C: 3, H: 2, W: 2}, MeanH: 3, MeanW: 3}
	in.Pixels, in.Views, in.Mean, in.Y = r.bytes(make([]byte, 12)), r.floats([]float32{2, 0, 0, 0, 0, 0}), r.floats(make([]float32, 27)), r.poison(12)
	check(t, r.stream.Launch(r.prepare(in)))
	if err := r.stream.Synchronize(t.Context()); err == nil || !strings.Contains(err.Error(), "row 2, column 0") {
		t.Errorf("a patch outside its image: error %v", err)
	}
}

// The host waits for the point of an event and no further, and sees errors that
// the stream keeps.
func TestEventSynchronize(t *testing.T) {
	r := newRig(t)
	e, err := r.device.NewEvent()
	check(t, err)
	check(t, e.Synchronize(t.Context())) // never recorded: reached
	var got []int
	behind := make(chan struct{})
	check(t, r.stream.Launch(note(r.device, &got, 1)))
	check(t, r.stream.Record(e))
	check(t, r.stream.Launch(hold(r.device, behind)))
	check(t, e.Synchronize(t.Context()))
	if len(got) != 1 {
		t.Error("the point was not reached")
	}
	broken := &task{op: dnn.Scale{}, device: r.device, loops: []loop{{n: 1, body: func(*worker, int) { panic("broken on purpose") }}}}
	check(t, r.stream.Launch(broken))
	check(t, e.Synchronize(t.Context())) // the point is where it was
	check(t, r.stream.Record(e))
	close(behind)
	for range 2 {
		if err := e.Synchronize(t.Context()); err == nil || !strings.Contains(err.Error(), "broken on purpose") {
			t.Errorf("after a task that failed: error %v", err)
		}
	}
	if err := r.stream.Synchronize(t.Context()); err == nil || !strings.Contains(err.Error(), "broken on purpose") {
		t.Errorf("the stream lost its error: %v", err)
	}
	check(t, errors.Join(e.Synchronize(t.Context()), e.Close()))
}

func TestSynchronizeHeedsContext(t *testing.T) {
	r := newRig(t)
	e, err := r.device.NewEvent()
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{r.stream.Synchronize(ctx), e.Synchronize(ctx)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	a, err := New("a")
	check(t, err)
	b, err := New("b")
	check(t, err)
	s, err := a.NewStream()
	check(t, err)
	buf, err := a.NewBuffer(64)
	check(t, err)
	mem, err := a.NewHost(64)
	check(t, err)
	e, err := a.NewEvent()
	check(t, err)
	var got []int
	check(t, s.Launch(note(a, &got, 1)))
	if err := a.Close(); err == nil || !strings.Contains(err.Error(), "1 streams, 1 buffers and 1 blocks of host memory") {
		t.Errorf("Close with an open stream, buffer and host memory: error %v", err)
	}
	check(t, s.Close())
	if len(got) != 1 {
		t.Error("Close did not wait for the queued work")
	}
	check(t, errors.Join(s.Close(), buf.Close(), buf.Close()))
	if err := a.Close(); err == nil {
		t.Error("Close with open host memory was accepted")
	}
	check(t, errors.Join(mem.Close(), mem.Close(), a.Close(), a.Close(), b.Close()))
	for name, err := range map[string]error{
		"Launch": s.Launch(note(a, &got, 1)), "Record": s.Record(e), "Synchronize": s.Synchronize(t.Context()),
		"Upload": s.Upload(buf, nil),
	} {
		if err == nil {
			t.Errorf("%s after Close was accepted", name)
		}
	}
	_, err1 := a.NewBuffer(1)
	_, err2 := a.NewStream()
	_, err3 := a.NewEvent()
	_, err4 := a.Prepare(dnn.Scale{}, nil)
	_, err5 := a.NewHost(1)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if err == nil {
			t.Errorf("call %d on a closed device was accepted", i)
		}
	}
	// All goroutines have been waited for; the runtime may take a moment to
	// forget the last, and more where its thread has to wait for a processor.
	for range 10_000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestForeignThingsAreRefused(t *testing.T) {
	a, b := newRig(t), newRig(t)
	if err := a.stream.Launch(note(b.device, new([]int), 1)); err == nil {
		t.Error("another device's task was accepted")
	}
	type alien struct{ dnn.Buffer }
	if err := a.stream.Upload(alien{}, nil); err == nil {
		t.Error("a foreign buffer was accepted")
	}
	if err := a.stream.Wait(&struct{ dnn.Event }{}); err == nil {
		t.Error("a foreign event was accepted")
	}
	if err := a.stream.Record(nil); err == nil {
		t.Error("no event was accepted")
	}
}

func TestBuffers(t *testing.T) {
	d, err := New("cpu:7")
	check(t, err)
	for _, n := range []int64{0, 1, 63, 1 << 20} {
		b, err := d.NewBuffer(n)
		check(t, err)
		if m, err := memoryOf(b); err != nil || len(m.mem) != int(n) || n > 0 && address(&m.mem[0])%alignment != 0 {
			t.Errorf("NewBuffer(%d) has %d bytes or is not aligned: %v", n, b.Bytes(), err)
		}
		part := b.Slice(n/3, n/3)
		if part.Bytes() != n/3 {
			t.Errorf("Slice has %d bytes, want %d", part.Bytes(), n/3)
		}
		check(t, part.Close())
		for _, bad := range [][2]int64{{-1, 0}, {0, -1}, {0, n + 1}, {n + 1, 0}, {1 << 62, 1 << 62}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("Slice(%d, %d) of %d bytes did not panic", bad[0], bad[1], n)
					}
				}()
				b.Slice(bad[0], bad[1])
			}()
		}
		check(t, b.Close())
		if _, err := memoryOf(part); err == nil {
			t.Error("a part of a closed buffer was accepted")
		}
	}
	if runtime.GOOS == "linux" {
		if _, err := d.NewBuffer(1 << 60); err == nil || !strings.Contains(err.Error(), "the machine has") {
			t.Errorf("more memory than there is: error %v", err)
		}
	}
	if _, err := d.NewBuffer(-1); err == nil {
		t.Error("a buffer of -1 bytes was made")
	}
	check(t, d.Close())
}

func TestHostMemory(t *testing.T) {
	d, err := New("cpu:7")
	check(t, err)
	before := held.Load()
	for _, n := range []int64{0, 1, 63, 1 << 20} {
		h, err := d.NewHost(n)
		check(t, err)
		b := h.Bytes()
		if len(b) != int(n) || n > 0 && address(&b[0])%alignment != 0 || held.Load() != before+n {
			t.Errorf("NewHost(%d) has %d bytes, is not aligned, or not counted", n, len(b))
		}
		check(t, errors.Join(h.Close(), h.Close()))
		if h.Bytes() != nil || held.Load() != before {
			t.Errorf("NewHost(%d): Close left something", n)
		}
	}
	if runtime.GOOS == "linux" {
		if _, err := d.NewHost(1 << 60); err == nil || !strings.Contains(err.Error(), "cpu:7: host memory of 1099511627776 MiB does not fit: the machine has") {
			t.Errorf("more memory than there is: error %v", err)
		}
	}
	if _, err := d.NewHost(-1); err == nil {
		t.Error("host memory of -1 bytes was made")
	}
	check(t, d.Close())
}
