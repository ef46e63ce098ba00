package cpu

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"
)

// loop is work in n parts, which may be done in any order and at the same time.
type loop struct {
	n       int
	scratch int // float32 that body takes from its worker
	body    func(w *worker, i int)
}

// worker is what belongs to one goroutine that works on loops.
type worker struct {
	team    *team
	scratch []int64 // of either kind
}

// ints returns scratch memory, undefined, until the next call.
func (w *worker) ints(n int) []int64 {
	if n > len(w.scratch) {
		w.scratch = make([]int64, max(n, ceil(int(w.team.scratch.Load()), 2)))
	}
	return w.scratch[:n]
}

// floats returns scratch memory as ints does.
func (w *worker) floats(n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(w.ints(ceil(n, 2))))), n)
}

// job is a loop that is being worked on. It belongs to a stream, which uses it
// again for every loop.
type job struct {
	loop
	next    atomic.Int64 // first part that nobody has taken
	helpers int          // workers of the team on it; guarded by team.mu
	failure *failure     // of the first part that panicked; guarded by team.mu
}

type failure struct {
	value any
	stack []byte
}

// team works on the loops of all devices. The goroutine that has a loop to be
// done takes part itself, so a loop never waits for others to get free.
type team struct {
	mu      sync.Mutex
	work    sync.Cond // there is a job, or an end
	left    sync.Cond // a helper has left a job
	jobs    []*job    // that may have parts to take
	ended   bool
	helpers sync.WaitGroup
	scratch atomic.Int64 // the most float32 that any loop takes
}

// teamSize is the count of goroutines that work at once on one loop.
func teamSize() int { return runtime.GOMAXPROCS(0) }

// shared is the team of all open devices.
var shared struct {
	sync.Mutex
	team  *team
	users int
}

func joinTeam() *team {
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		t := &team{}
		t.work.L, t.left.L = &t.mu, &t.mu
		for range teamSize() - 1 {
			t.helpers.Go(t.help)
		}
		shared.team = t
	}
	shared.users++
	return shared.team
}

// leaveTeam ends the team, and waits for its goroutines, with the last user.
func leaveTeam() {
	shared.Lock()
	defer shared.Unlock()
	if shared.users--; shared.users > 0 {
		return
	}
	t := shared.team
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.work.Broadcast()
	t.helpers.Wait()
	shared.team = nil
}

// reserve makes workers take at least n float32 when they take scratch memory
// next, so that all of them soon have what the largest loop needs.
func (t *team) reserve(n int) {
	for {
		old := t.scratch.Load()
		if int64(n) <= old || t.scratch.CompareAndSwap(old, int64(n)) {
			return
		}
	}
}

// help is the life of a worker.
func (t *team) help() {
	w := &worker{team: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for len(t.jobs) == 0 && !t.ended {
			t.work.Wait()
		}
		if t.ended {
			return
		}
		j := t.jobs[0]
		for _, other := range t.jobs[1:] {
			if other.helpers < j.helpers {
				j = other
			}
		}
		j.helpers++
		t.mu.Unlock()
		f := j.take(w)
		t.mu.Lock()
		t.leave(j, f)
		if j.helpers--; j.helpers == 0 {
			t.left.Broadcast()
		}
	}
}

// leave takes a job off the list, all parts of which have been taken.
func (t *team) leave(j *job, f *failure) {
	for i := range t.jobs {
		if t.jobs[i] == j {
			last := len(t.jobs) - 1
			t.jobs[i] = t.jobs[last]
			t.jobs[last] = nil
			t.jobs = t.jobs[:last]
			break
		}
	}
	if j.failure == nil {
		j.failure = f
	}
}

// run works on a loop until all of it is done, and returns the panic of one of
// its parts, if any.
func (t *team) run(j *job, l loop, w *worker) *failure {
	j.loop, j.failure = l, nil
	j.next.Store(0)
	if l.n == 1 {
		return j.take(w)
	}
	t.mu.Lock()
	t.jobs = append(t.jobs, j)
	t.mu.Unlock()
	t.work.Broadcast()
	f := j.take(w)
	t.mu.Lock()
	t.leave(j, f)
	for j.helpers > 0 {
		t.left.Wait()
	}
	t.mu.Unlock()
	return j.failure
}

// take does parts of a job until none is left to take.
func (j *job) take(w *worker) (f *failure) {
	defer func() {
		if v := recover(); v != nil {
			j.next.Store(int64(j.n)) // the rest is not worth doing
			f = &failure{v, debug.Stack()}
		}
	}()
	for {
		i := int(j.next.Add(1)) - 1
		if i >= j.n {
			return nil
		}
		j.body(w, i)
	}
}
