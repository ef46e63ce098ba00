package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Work that nothing orders may run in any order, but whether that does harm shows
// only in some orders, and only in the numbers. So the machine also keeps, with
// each piece of work, what comes before it whatever the order: of each stream, so
// many pieces. Two pieces of which neither comes before the other, and which
// touch the same memory, one of them to write, are a race, in whatever order they
// ran. Not seen is what the host itself does to page-locked memory, and all its
// threads count as one: what one has waited for, all have.

// clock says how many pieces of each stream's work come before something. It is
// not changed once it belongs to a point.
type clock map[*stream]uint64

// with returns a clock that also has what comes before others. Streams that are
// gone fall out of it.
func (c clock) with(others ...clock) clock {
	sum := make(clock, len(c)+1)
	for _, o := range append(others, c) {
		for s, n := range o {
			if !s.gone {
				sum[s] = max(sum[s], n)
			}
		}
	}
	return sum
}

// area is rows of bytes in an allocation or page-locked memory.
type area struct{ start, rows, width, stride int64 }

func whole(start, bytes int64) area { return area{start, 1, bytes, bytes} }

// overlaps reports whether areas have a byte in common.
func (a area) overlaps(b area) bool {
	if a.rows > b.rows {
		a, b = b, a
	}
	for i := range a.rows {
		from := a.start + i*a.stride - b.start // of a row of a, from b's start on
		to := from + a.width
		// Row j of b is from j*stride to j*stride+width.
		first, last := int64(0), b.rows-1
		if b.stride > 0 {
			first, last = max(first, floor(from-b.width, b.stride)+1), min(last, floor(to-1, b.stride))
		}
		if first <= last && (b.stride > 0 || from < b.width && to > 0) {
			return true
		}
	}
	return false
}

// floor returns a/b rounded down, for b above 0.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// covers reports whether all of b is in one row of a.
func (a area) covers(b area) bool {
	return a.rows == 1 && b.start >= a.start && b.start+(b.rows-1)*b.stride+b.width <= a.start+a.width
}

// touch is an access of work to memory.
type touch struct {
	area
	write bool
	by    point
	what  string
}

// touches are the latest accesses to an allocation or to page-locked memory. The
// oldest are forgotten where there are too many.
type touches []touch

const maxTouches = 512

// maxRaces is as many as are remembered.
const maxRaces = 20

// touch notes what the work that runs does to memory, which name describes.
func (m *Machine) touch(log *touches, where area, write bool, name func() string) {
	r := m.running
	if where.rows < 1 || where.width < 1 {
		return
	}
	t := touch{where, write, point{stream: r.stream, count: r.stream.done + 1}, r.what}
	*log = slices.DeleteFunc(*log, func(old touch) bool {
		by := old.by.stream // of those that are gone nothing is known any more
		before := by == r.stream || r.knows[by] >= old.by.count || by.gone
		if !before && (write || old.write) && old.overlaps(where) {
			m.race(fmt.Sprintf("%s on GPU %d and %s on GPU %d: nothing orders them, but both use %s",
				old.what, by.ctx.gpu.ordinal, t.what, r.stream.ctx.gpu.ordinal, name()), max(old.start, where.start))
		}
		// What comes after this access and not after the old one would race with this
		// one as well.
		return before && (write || !old.write) && where.covers(old.area)
	})
	if len(*log) == maxTouches {
		*log = slices.Delete(*log, 0, 1)
	}
	*log = append(*log, t)
}

// race remembers a race, once for two kinds of work and one memory, with the first
// byte that was found.
func (m *Machine) race(what string, first int64) {
	if len(m.races) < maxRaces && !slices.ContainsFunc(m.races, func(s string) bool { return strings.HasPrefix(s, what) }) {
		m.races = append(m.races, fmt.Sprintf("%s, from byte %d of it on", what, first))
	}
}

// Races lists the pieces of work that used the same memory, one of them to write
// it, without an event or the host between them. Each seed finds the same ones in
// what has run.
func (m *Machine) Races() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.races)
}

// told remembers that the host has seen points reached, so that all that it
// queues from now on comes after them.
func (m *Machine) told(points ...point) {
	for _, p := range points {
		m.host = m.host.with(p.knows)
	}
	for s, n := range m.host {
		s.gone = s.finished() && n >= s.queued
	}
}

// order gives work its place among others: after what is in its stream, what it
// waits for, and what the host has seen.
func (m *Machine) order(s *stream, w *work) {
	before := []clock{m.host}
	for _, p := range w.after {
		before = append(before, p.knows)
	}
	w.knows = s.knows.with(before...)
	s.knows = maps.Clone(w.knows)
	s.knows[s] = s.queued
}
