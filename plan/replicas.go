package plan

import (
	"fmt"

	"alexnet/dnn"
)

// Replicas of a network: data parallelism.
//
// Each replica makes gradients of its images, divided by the count of images of the
// whole batch, so that the sum over all replicas is the gradient. Of each gradient
// every replica adds up one piece, which the others send it, and sends them the sum:
// so each device sends and receives twice (R-1)/R of the gradient's bytes, however many
// replicas R there are. All have the same bits then, and with the same weights before
// have the same after. A piece is added in one order, whoever is the fastest.
//
// That goes on while the layers below go backward; only the updates wait for it.
//
// In bfloat16 each addition is rounded, as its addends were.

// leastPiece is the count of numbers from which on a gradient is worth cutting: a copy
// takes some microseconds, however short it is.
const leastPiece = 1 << 14

// shareGradient has the gradients of layer i by one of its parameters, number n of the
// updates, added up over the replicas.
func (b *builder) shareGradient(i, n int) {
	if b.Replicas == 1 {
		return
	}
	for column := range b.Width() {
		param := b.updates[column][n]
		f := dnn.Float32
		if param.Narrow {
			f = dnn.BFloat16
		}
		numbers := int(b.Devices[column].Tensors[param.G].Bytes / f.Bytes())
		pieces := min(b.Replicas, max(1, numbers/leastPiece))
		const line = 128 // numbers: pieces begin where a GPU's widest accesses may
		length := ceil(ceil(numbers, pieces), line) * line
		for piece := range ceil(numbers, length) {
			adds := (piece + n) % b.Replicas // so that small gradients fall on all of them
			from := piece * length
			b.sharePiece(i, n, column, adds, f, from, min(length, numbers-from))
		}
	}
}

// sharePiece has width numbers of a gradient, from from on, added up by one replica.
func (b *builder) sharePiece(i, n, column, adds int, f dnn.Format, from, width int) {
	at := func(replica int) (part int, piece dnn.Slab) {
		part = replica*b.Width() + column
		return part, dnn.Slab{T: b.updates[part][n].G, Offset: from, Stride: width}
	}
	owner, sum := at(adds)
	add := dnn.Sum{Rows: 1, Width: width, Format: f, X: []dnn.Slab{sum}, Y: sum}
	for replica := range b.Replicas {
		if part, piece := at(replica); part != owner {
			name := fmt.Sprintf("%s from %s", b.Devices[part].Tensors[piece.T].Name, b.Devices[part].Name)
			sent := dnn.Slab{T: b.tensorIn(f, owner, Work, name, width), Stride: width}
			b.Devices[owner].Tensors[sent.T].sent = true
			b.peer(Send, i, Backward, part, owner, f, 1, width, piece, sent)
			add.X = append(add.X, sent)
		}
	}
	b.step(i, Backward, owner, Reduce, Launch{add})
	for replica := range b.Replicas {
		if part, piece := at(replica); part != owner {
			b.peer(Reduce, i, Backward, owner, part, f, 1, width, sum, piece)
		}
	}
}
