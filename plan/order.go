package plan

import (
	"cmp"
	"slices"

	"alexnet/dnn"
)

// access is a use of a tensor by a step: of the numbers low to high of each
// image, so that steps which fill different slabs of one tensor need no order.
type access struct {
	device    int
	tensor    dnn.Tensor
	low, high int
	write     bool
}

const wholeTensor = int(^uint(0) >> 1)

// accesses returns all uses of tensors by s.
func (s *Step) accesses() []access {
	var list []access
	add := func(device int, t dnn.Tensor, low, high int, write bool) {
		if t != 0 {
			list = append(list, access{device, t, low, high, write})
		}
	}
	switch a := s.Action.(type) {
	case Upload:
		add(s.Device, a.Dst, 0, wholeTensor, true)
	case Download:
		add(s.Device, a.Src, 0, wholeTensor, false)
	case Peer:
		add(s.Device, a.From, a.Rows.SrcOffset, a.Rows.SrcOffset+a.Rows.Width, false)
		add(a.To, a.Dst, a.Rows.DstOffset, a.Rows.DstOffset+a.Rows.Width, true)
	case Launch:
		if sum, ok := a.Op.(dnn.Sum); ok {
			for _, x := range sum.X {
				add(s.Device, x.T, x.Offset, x.Offset+sum.Width, false)
			}
			add(s.Device, sum.Y.T, sum.Y.Offset, sum.Y.Offset+sum.Width, true)
			break
		}
		reads, writes := a.Op.Operands()
		for _, t := range reads {
			add(s.Device, t, 0, wholeTensor, false)
		}
		for _, t := range writes {
			add(s.Device, t, 0, wholeTensor, true)
		}
	}
	return list
}

// order finds what each step must wait for. It goes through two runs of the
// program, because a step may have to wait for one of the run before, and keeps
// for every stream how far it is known to be behind each other stream: a wait
// that follows from earlier ones is left out.
func (p *Program) order() {
	n := len(p.Steps)
	count := len(p.Devices) * int(streams)
	streamOf := func(at int) int {
		s := &p.Steps[at%n]
		return s.Device*int(streams) + int(s.Stream)
	}
	uses := newHistory(p)
	now := make([][]int, count)   // [stream][other stream] last step known to be done when the stream gets to its next
	done := make([][]int, 0, 2*n) // the same when a step is done
	for i := range now {
		now[i] = slices.Repeat([]int{-1}, count)
	}
	for at := range 2 * n {
		step, own := &p.Steps[at%n], streamOf(at)
		needs := uses.add(at, step.accesses())
		slices.SortFunc(needs, func(a, b int) int { return cmp.Compare(b, a) })
		for _, need := range needs {
			other := streamOf(need)
			if other == own || now[own][other] >= need {
				continue
			}
			for s, known := range done[need] {
				now[own][s] = max(now[own][s], known)
			}
			if !slices.Contains(step.Waits, need%n) {
				step.Waits = append(step.Waits, need%n)
			}
			p.Steps[need%n].Signal = true
		}
		slices.Sort(step.Waits)
		now[own][own] = at
		done = append(done, slices.Clone(now[own]))
	}
}

// history knows the uses of all memory so far.
type history struct {
	uses    [][][]use // [device][tensor]
	aliases [][][]dnn.Tensor
}

type use struct {
	access
	at int
}

func newHistory(p *Program) *history {
	h := &history{}
	for _, d := range p.Devices {
		aliases := make([][]dnn.Tensor, len(d.Tensors))
		for i := range d.Tensors {
			for j := range d.Tensors {
				a, b := &d.Tensors[i], &d.Tensors[j]
				if i != j && a.Segment == b.Segment && a.Offset < b.Offset+b.Bytes && b.Offset < a.Offset+a.Bytes {
					aliases[i] = append(aliases[i], dnn.Tensor(j))
				}
			}
		}
		h.aliases = append(h.aliases, aliases)
		h.uses = append(h.uses, make([][]use, len(d.Tensors)))
	}
	return h
}

// add notes the uses of a step and returns the earlier steps that must be done
// before it: those that wrote what it reads, and those that used what it
// overwrites, be it under the name of another tensor.
func (h *history) add(at int, accesses []access) []int {
	var needs []int
	for _, a := range accesses {
		for _, u := range h.uses[a.device][a.tensor] {
			if (u.write || a.write) && u.low < a.high && a.low < u.high && u.at != at {
				needs = append(needs, u.at)
			}
		}
		if a.write {
			for _, alias := range h.aliases[a.device][a.tensor] {
				for _, u := range h.uses[a.device][alias] {
					needs = append(needs, u.at)
				}
			}
		}
	}
	for _, a := range accesses {
		list := &h.uses[a.device][a.tensor]
		if a.write { // what it covers is done when it is
			*list = slices.DeleteFunc(*list, func(u use) bool { return u.at != at && a.low <= u.low && u.high <= a.high })
		}
		*list = append(*list, use{a, at})
	}
	return needs
}
