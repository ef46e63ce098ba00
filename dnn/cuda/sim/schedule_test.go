package sim

import (
	"fmt"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
)

// seeds has every policy several times.
const seeds = 12

// each runs a test on machines of many seeds.
func each(t *testing.T, test func(t *testing.T, r *rig)) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { test(t, newRig(t, Options{Seed: seed})) })
	}
}

// Work runs when somebody waits for it, and memory is read then.
func TestLate(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s, p := r.stream(), r.put(0, 0)
		from, to, heap := r.host(1, 2), r.host(0, 0), []float32{3, 4}
		r.ok(r.upload(p, from, s))
		r.ok(r.download(to, p, s))
		copy(from, []float32{5, 6}) // page-locked: seen, since nothing has run
		same(t, "before", to, 0, 0)
		r.ok(r.f.StreamSynchronize(s))
		same(t, "after", to, 5, 6)

		r.ok(r.upload(p, heap, s))
		clear(heap) // ordinary: copied by the call
		r.ok(r.download(heap, p, s))
		same(t, "there and back", heap, 3, 4) // and there when the call is over
		r.free(s, p, from, to)
	})
}

// Arguments of kernels are copied by the launch.
func TestArguments(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		code, s, x, y := r.code(), r.stream(), r.put(1, 2), r.put(0, 0)
		a := kernels.Scale{X: x, Y: y, Count: 2, Factor: 3}
		params := kernels.Params(&a)
		var f cu.CUFunction
		r.ok(r.f.ModuleGetFunction(&f, code, text("scale")))
		r.ok(r.f.LaunchKernel(f, 1, 1, 1, 2, 1, 1, 0, s, unsafe.SliceData(params), nil))
		for i, p := range params {
			*(*float32)(p), params[i] = 0, nil
		}
		same(t, "scaled", r.get(y, 2), 3, 6)
		r.free(code, s, x, y)
	})
}

// What waits for an event comes after what was recorded when it began to wait, on
// another GPU too.
func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		a, e, p := r.stream(), r.event(), r.put(0)
		one, two, out := r.host(1), r.host(2), r.host(0)
		r.ok(r.upload(p, one, a))
		r.ok(r.f.EventRecord(e, a))
		r.on(1, func() {
			b := r.stream()
			r.ok(r.f.StreamWaitEvent(b, e, 0))
			q := r.alloc(4)
			r.ok(r.f.MemcpyPeerAsync(q, r.ctx[1], p, r.ctx[0], 4, b))
			r.ok(r.download(out, q, b))
			r.ok(r.f.StreamSynchronize(b))
			same(t, "the other GPU", out, 1)
			r.free(b, q)
		})
		r.ok(r.upload(p, two, a))
		r.ok(r.f.EventRecord(e, a)) // again: who waits from now on waits for this
		r.ok(r.f.EventSynchronize(e))
		b := r.stream()
		r.ok(r.f.StreamWaitEvent(b, e, 0))
		r.ok(r.download(out, p, b))
		r.ok(r.f.StreamSynchronize(b))
		same(t, "the second record", out, 2)
		r.free(a, b, e, p, one, two, out)
	})
}

// A wait is for the record that was the last when the wait was queued, not for
// those that follow; and for nothing if there was none.
func TestWaitCaptures(t *testing.T) {
	r := newRig(t, Options{Seed: 0}) // runs only what must
	r.racy = true
	a, b, e, p := r.stream(), r.stream(), r.event(), r.put(0)
	late, out := r.host(7), r.host(0)
	r.ok(r.f.StreamWaitEvent(b, e, 0))
	r.ok(r.f.EventRecord(e, a))
	r.ok(r.f.StreamWaitEvent(b, e, 0))
	r.ok(r.upload(p, late, a))
	r.ok(r.f.EventRecord(e, a))
	r.ok(r.download(out, p, b))
	r.ok(r.f.StreamSynchronize(b))
	same(t, "before the second record", out, 0)
	r.free(a, b, e, p, late, out)
}

// Two streams that nothing orders: over the seeds both orders come up, each seed
// always with the same.
func TestRaceShows(t *testing.T) {
	outcome := func(seed uint64, ordered bool) (v float32) {
		t.Run(fmt.Sprint(seed, ordered), func(t *testing.T) {
			r := newRig(t, Options{Seed: seed})
			r.racy = !ordered
			a, b, e, p := r.stream(), r.stream(), r.event(), r.put(0)
			one, two := r.host(1), r.host(2)
			r.ok(r.upload(p, one, a))
			if ordered {
				r.ok(r.f.EventRecord(e, a))
				r.ok(r.f.StreamWaitEvent(b, e, 0))
			}
			r.ok(r.upload(p, two, b))
			v = r.get(p, 1)[0]
			r.free(a, b, e, p, one, two)
		})
		return v
	}
	for _, policy := range []policy{mixed, greedy} {
		seen := map[float32]int{}
		for i := range uint64(16) {
			seed := i*uint64(policies) + uint64(policy)
			v := outcome(seed, false)
			seen[v]++
			if again := outcome(seed, false); again != v {
				t.Errorf("seed %d: %v, then %v", seed, v, again)
			}
			if v := outcome(seed, true); v != 2 {
				t.Errorf("seed %d: %v in spite of an event", seed, v)
			}
		}
		if seen[1] == 0 || seen[2] == 0 {
			t.Errorf("policy %d: the race came out as %v", policy, seen)
		}
	}
}

// The lazy policy runs nothing but what is needed.
func TestLazy(t *testing.T) {
	r := newRig(t, Options{})
	r.racy = true // b reads all
	a, b, p := r.stream(), r.stream(), r.put(0, 0)
	one, two, out := r.host(1), r.host(2), r.host(0, 0)
	r.ok(r.upload(p, one, a))
	r.ok(r.upload(p+4, two, b))
	r.ok(r.download(out, p, b))
	r.ok(r.f.StreamSynchronize(b))
	same(t, "b without a", out, 0, 2)
	r.free(a, b, p, one, two, out)
}

// The default stream and those that are ordered with it take turns; others go on.
func TestDefaultStream(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		var ordered cu.CUStream
		r.ok(r.f.StreamCreate(&ordered, 0))
		p, out := r.put(0), r.host(0)
		one, two := r.host(1), r.host(2)
		r.ok(r.upload(p, one, ordered))
		r.ok(r.upload(p, two, 0))
		r.ok(r.download(out, p, ordered))
		r.ok(r.f.StreamSynchronize(ordered))
		same(t, "ordered", out, 2)
		r.free(ordered, p, out, one, two)
	})
}

// Asking again and again gets there, and a stream that is destroyed finishes.
func TestQueries(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		s, e, p, from := r.stream(), r.event(), r.put(0), r.host(1)
		r.ok(r.f.StreamQuery(s))
		r.ok(r.f.EventQuery(e))
		const copies = 5
		for range copies {
			r.ok(r.upload(p, from, s))
		}
		r.ok(r.f.EventRecord(e, s))
		r.wants(cu.ErrorNotReady, r.f.EventQuery(e))
		tries := 0
		for r.f.EventQuery(e) == cu.ErrorNotReady {
			if tries++; tries > 100 {
				t.Fatal("it is never ready")
			}
		}
		r.ok(r.f.StreamQuery(s))
		from[0] = 2
		r.ok(r.upload(p, from, s))
		r.free(s)
		same(t, "after the stream", r.get(p, 1), 2)
		if n := len(r.m.streams); n != len(r.ctx) {
			t.Errorf("%d streams are left, with the default ones", n)
		}
		r.free(e, p, from)
	})
}

// Who queues without ever waiting has to wait at last: memory is bounded.
func TestFullQueue(t *testing.T) {
	r := newRig(t, Options{})
	s, p := r.stream(), r.alloc(4)
	for range 3 * maxQueue {
		r.ok(r.f.MemsetD8Async(p, 0, 4, s))
	}
	if n := len(r.m.streams[len(r.m.streams)-1].queue); n > maxQueue {
		t.Errorf("%d pieces of work are queued", n)
	}
	r.free(s, p)
}

func TestElapsed(t *testing.T) {
	r := newRig(t, Options{})
	s, a, b, never, p := r.stream(), r.event(), r.event(), r.event(), r.alloc(4)
	var untimed cu.CUEvent
	r.ok(r.f.EventCreate(&untimed, cu.EventDisableTiming))
	r.ok(r.f.EventRecord(a, s))
	r.ok(r.f.EventRecord(untimed, s))
	r.ok(r.f.MemsetD8Async(p, 0, 4, s))
	r.ok(r.f.EventRecord(b, s))
	var ms float32
	r.wants(cu.ErrorNotReady, r.f.EventElapsedTime(&ms, a, b))
	r.ok(r.f.StreamSynchronize(s))
	r.ok(r.f.EventElapsedTime(&ms, a, b))
	if ms <= 0 {
		t.Errorf("a copy took %g ms", ms)
	}
	r.wants(cu.ErrorInvalidHandle, r.f.EventElapsedTime(&ms, a, untimed))
	r.wants(cu.ErrorInvalidHandle, r.f.EventElapsedTime(&ms, never, b))
	r.free(s, a, b, never, untimed, p)
}
