package plan

import (
	"cmp"
	"math"
	"slices"
)

// align is where tensors may start: a cache line's and a GPU's widest access.
const align = 256

// layout gives every tensor its place. State tensors stand in the order in which
// they were made. In the work segment, tensors share memory if no step between
// the first and the last use of one is between those of the other: the largest
// is placed first, each at the lowest place that is free for its whole life.
func (p *Program) layout(keepAll bool) error {
	for i := range p.Steps {
		for _, a := range p.Steps[i].accesses() {
			t := &p.Devices[a.device].Tensors[a.tensor]
			if t.First < 0 {
				t.First = i
			}
			t.Last = i
		}
	}
	for _, d := range p.Devices {
		var work []*Tensor
		for i := range d.Tensors[1:] {
			t := &d.Tensors[i+1]
			if t.pinned || keepAll {
				t.First, t.Last = 0, len(p.Steps)-1
			}
			if t.sent {
				t.Last = max(t.Last, p.Update)
			}
			size := padded(t.Bytes)
			if d.State > math.MaxInt64-size || d.Unshared > math.MaxInt64-size {
				return errorf("the tensors of %s on %s are more than %d bytes", p.Net.Name, d.Name, int64(math.MaxInt64))
			}
			if t.Segment == State {
				t.Offset = d.State
				d.State += size
				continue
			}
			work = append(work, t)
			d.Unshared += size
		}
		d.Work = place(work)
	}
	return nil
}

func padded(bytes int64) int64 { return (bytes + align - 1) / align * align }

// place sets the offsets and returns the size of the whole.
func place(tensors []*Tensor) int64 {
	order := slices.Clone(tensors)
	slices.SortStableFunc(order, func(a, b *Tensor) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var placed []*Tensor // by offset
	var total int64
	for _, t := range order {
		t.Offset = 0
		for _, other := range placed {
			if t.Last < other.First || other.Last < t.First {
				continue
			}
			if t.Offset+padded(t.Bytes) <= other.Offset {
				break
			}
			t.Offset = max(t.Offset, other.Offset+padded(other.Bytes))
		}
		at, _ := slices.BinarySearchFunc(placed, t.Offset, func(o *Tensor, offset int64) int { return cmp.Compare(o.Offset, offset) })
		placed = slices.Insert(placed, at, t)
		total = max(total, t.Offset+padded(t.Bytes))
	}
	return total
}
