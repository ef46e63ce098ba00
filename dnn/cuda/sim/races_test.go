package sim

import (
	"math/rand/v2"
	"testing"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
)

// Races are found in every order that work may run in, and where there is an
// order, whatever makes it, there is none.
func TestRaces(t *testing.T) {
	type work func(r *rig, code cu.CUModule, p, q cu.DevicePtr, s cu.CUStream) cu.Result
	read := func(r *rig, code cu.CUModule, p, q cu.DevicePtr, s cu.CUStream) cu.Result {
		return r.f.MemcpyDtoDAsync(q, p, 16, s)
	}
	write := func(r *rig, code cu.CUModule, p, _ cu.DevicePtr, s cu.CUStream) cu.Result {
		return r.launch(code, s, kernels.Scale{X: p, Y: p, Count: 4, Factor: 2})
	}
	behind := func(r *rig, code cu.CUModule, p, _ cu.DevicePtr, s cu.CUStream) cu.Result {
		return r.f.MemsetD8Async(p+16, 0, 16, s)
	}
	rows := func(offset int64) work { // of 2 numbers, 4 apart
		return func(r *rig, code cu.CUModule, p, q cu.DevicePtr, s cu.CUStream) cu.Result {
			return r.launch(code, s, kernels.Slab{X: q, Y: p, Rows: 2, Width: 2, XStride: 2, YOffset: offset, YStride: 4})
		}
	}
	event := func(r *rig, a, b cu.CUStream, e cu.CUEvent) {
		r.ok(r.f.EventRecord(e, a))
		r.ok(r.f.StreamWaitEvent(b, e, 0))
	}
	nothing := func(*rig, cu.CUStream, cu.CUStream, cu.CUEvent) {}
	for name, test := range map[string]struct {
		first, second work
		order         func(r *rig, a, b cu.CUStream, e cu.CUEvent)
		race          bool
	}{
		"write and read":  {write, read, nothing, true},
		"read and write":  {read, write, nothing, true},
		"write and write": {write, write, nothing, true},
		"same rows":       {rows(0), rows(1), nothing, true},
		"reads":           {read, rows(0), func(r *rig, a, b cu.CUStream, e cu.CUEvent) { event(r, a, b, e) }, false},
		"other memory":    {write, behind, nothing, false},
		"other rows":      {rows(0), rows(2), nothing, false},
		"an event":        {write, read, event, false},
		"the host":        {write, read, func(r *rig, a, b cu.CUStream, _ cu.CUEvent) { r.ok(r.f.StreamSynchronize(a)) }, false},
		"the host, by event": {write, read, func(r *rig, a, _ cu.CUStream, e cu.CUEvent) {
			r.ok(r.f.EventRecord(e, a))
			r.ok(r.f.EventSynchronize(e))
		}, false},
		"a third stream": {write, read, func(r *rig, a, b cu.CUStream, e cu.CUEvent) {
			c, f := r.stream(), r.event()
			event(r, a, c, e)
			event(r, c, b, f)
			r.free(c, f)
		}, false},
		"an event too early": {write, read, func(r *rig, a, b cu.CUStream, e cu.CUEvent) {
			r.ok(r.f.EventRecord(e, b))
			r.ok(r.f.StreamWaitEvent(a, e, 0))
		}, true},
		"the wrong stream": {write, read, func(r *rig, a, b cu.CUStream, e cu.CUEvent) {
			c := r.stream()
			event(r, a, c, e)
			r.ok(r.f.StreamSynchronize(b))
			r.free(c)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				r := newRig(t, Options{Seed: seed})
				code, a, b, e, p, q := r.code(), r.stream(), r.stream(), r.event(), r.put(1, 2, 3, 4, 5, 6, 7, 8), r.put(9, 9, 9, 9)
				r.ok(test.first(r, code, p, q, a))
				test.order(r, a, b, e)
				r.ok(test.second(r, code, p, q, b))
				r.ok(r.f.CtxSynchronize())
				if got := r.m.Races(); (len(got) > 0) != test.race {
					t.Errorf("seed %d: %q", seed, got)
				}
				r.racy = test.race
				r.free(code, a, b, e, p, q)
			}
		})
	}
}

// Areas against their bytes.
func TestAreas(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	some := func() area {
		return area{int64(random.IntN(12)), 1 + int64(random.IntN(4)), 1 + int64(random.IntN(4)), int64(random.IntN(9))}
	}
	bytes := func(a area) map[int64]bool {
		m := map[int64]bool{}
		for i := range a.rows {
			for j := range a.width {
				m[a.start+i*a.stride+j] = true
			}
		}
		return m
	}
	for range 3000 {
		a, b := some(), some()
		inA, common, missing := bytes(a), false, false
		for i := range bytes(b) {
			common, missing = common || inA[i], missing || !inA[i]
		}
		if a.overlaps(b) != common || b.overlaps(a) != common {
			t.Fatalf("%+v and %+v overlap: %v, want %v", a, b, !common, common)
		}
		if a.covers(b) && missing || a.rows == 1 && !missing && !a.covers(b) {
			t.Fatalf("%+v covers %+v: %v", a, b, a.covers(b))
		}
	}
	// A tensor's areas are the bytes of its numbers, each once.
	for range 300 {
		var x tensor
		x.kind = 0
		at := 1
		for _, i := range random.Perm(4) { // gaps here and there
			x.dims[i] = 1 + random.IntN(3)
			x.strides[i] = at
			at = at*x.dims[i] + random.IntN(2)
		}
		count := map[int64]int{}
		for _, a := range x.areas() {
			for b := range bytes(a) {
				count[b]++
			}
		}
		x.each(func(_, at int) {
			for b := range int64(4) {
				if count[4*int64(at)+b]--; count[4*int64(at)+b] == 0 {
					delete(count, 4*int64(at)+b)
				}
			}
		})
		if len(count) > 0 {
			t.Fatalf("%+v: %v", x, x.areas())
		}
	}
}
