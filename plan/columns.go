package plan

import (
	"fmt"
	"slices"

	"alexnet/dnn"
	"alexnet/model"
)

// piece is one column's share of one source of a layer. Offsets and width count
// numbers of one image.
type piece struct {
	source int // layer, or model.InputIndex
	part   int // that holds it
	src    int // where it starts there
	dst    int // where it starts in what the layer reads
	width  int
}

// pieces returns what layer i on part reads, in order: column by column, and in
// each column source by source.
func (b *builder) pieces(i, part int) []piece {
	l := b.Net.Layers[i]
	replica, share := part/b.Width(), part%b.Width()
	first, last := share*b.columns(), (share+1)*b.columns()
	if b.Net.Gathers(l) {
		first, last = 0, b.Net.Columns
	}
	if !b.divided(l.From[0]) {
		first, last = 0, 1
	}
	var list []piece
	at := 0
	for c := first; c < last; c++ {
		for _, f := range l.From {
			p := piece{source: f, part: part, dst: at, width: b.shapeOf(f).Size()}
			if b.divided(f) {
				p.width /= b.Net.Columns
				p.part = replica*b.Width() + c/b.columns()
				p.src = c % b.columns() * p.width
			}
			list = append(list, p)
			at += p.width
		}
	}
	return list
}

func (b *builder) divided(i int) bool {
	return i != model.InputIndex && b.Net.Layers[i].Divided && b.Net.Columns > 1
}

func (b *builder) shapeOf(i int) model.Shape {
	if i == model.InputIndex {
		return b.Net.Input
	}
	return b.Net.Layers[i].Out
}

func (b *builder) output(i, part int) dnn.Tensor {
	if i == model.InputIndex {
		return b.input[part]
	}
	return b.out[i][part]
}

// outShape returns the shape of layer i's output on one part.
func (b *builder) outShape(i int) dnn.Shape {
	s := dnn.Shape(b.shapeOf(i))
	if b.divided(i) {
		s.C /= b.Width()
	}
	return s
}

// inShape returns the shape of what layer i reads on one part.
func (b *builder) inShape(i int) dnn.Shape {
	l := b.Net.Layers[i]
	s := dnn.Shape(l.In)
	if b.divided(l.From[0]) && !b.Net.Gathers(l) {
		s.C /= b.Width()
	}
	return s
}

// groups returns into how many groups that do not see each other the operation
// of layer i falls on one part.
func (b *builder) groups(i, inColumn int) int {
	l := b.Net.Layers[i]
	if b.divided(l.From[0]) && !l.Across {
		return inColumn * b.columns()
	}
	return inColumn
}

// gather brings together what layer i reads on part, in the format in which it reads.
func (b *builder) gather(i, part int) {
	list, f := b.pieces(i, part), b.reads(i)
	elsewhere := func(p piece) bool { return p.part != part }
	if len(b.Net.Layers[i].From) == 1 && !slices.ContainsFunc(list, elsewhere) {
		b.in[i][part] = b.as(list[0].source, part, f)
		b.alias[i][part] = true
		return
	}
	whole := b.inShape(i)
	joined := b.maps(part, "input of "+b.Net.Layers[i].Name, f, whole)
	b.in[i][part] = joined
	rows, each := b.rows(f, whole)
	for _, p := range list {
		width := p.width / each
		from := dnn.Slab{T: b.as(p.source, p.part, f), Offset: p.src / each, Stride: b.stride(p) / each}
		to := dnn.Slab{T: joined, Offset: p.dst / each, Stride: whole.Size() / each}
		if p.part != part && each == 1 {
			b.peer(Copy, i, Forward, p.part, part, f, rows, width, from, to)
			continue
		}
		if p.part != part {
			from = b.bring(i, Forward, p.part, part, f, rows, width, from, fmt.Sprintf("%s from %s", b.LayerName(p.source), b.Devices[p.part].Name))
		}
		b.launch(i, Forward, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: []dnn.Slab{from}, Y: to})
	}
}

// peer copies a slab of one part to another's.
func (b *builder) peer(s Stream, i int, pass Pass, part, to int, f dnn.Format, rows, width int, x, y dnn.Slab) {
	b.step(i, pass, part, s, Peer{From: x.T, To: to, Dst: y.T, Rows: dnn.Rows{
		Format: f, Count: rows, Width: width, SrcOffset: x.Offset, SrcStride: x.Stride, DstOffset: y.Offset, DstStride: y.Stride}})
}

// bring copies a slab of one part to a tensor of another. With channels last its rows
// are short, a few hundred bytes, which engines that copy are slow at: they are put
// together first, and the copy is of one piece.
func (b *builder) bring(i int, pass Pass, part, to int, f dnn.Format, rows, width int, x dnn.Slab, name string) dnn.Slab {
	if f == dnn.BFloat16Last && x.Stride != width {
		together := dnn.Slab{T: b.tensorIn(f, part, Work, name+" put together", rows, width), Stride: width}
		b.launch(i, pass, part, dnn.Sum{Rows: rows, Width: width, Format: f, X: []dnn.Slab{x}, Y: together})
		x = together
	}
	y := dnn.Slab{T: b.tensorIn(f, to, Work, name, rows, width), Stride: width}
	b.peer(Copy, i, pass, part, to, f, rows, width, x, y)
	return y
}

// stride returns the count of numbers of one image in the tensor that p is a
// share of.
func (b *builder) stride(p piece) int { return b.outShape(p.source).Size() }
