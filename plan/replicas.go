package plan

import (
	"fmt"

	"alexnet/dnn"
	"alexnet/model"
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
// That goes on while the layers below go backward; only the updates wait for it. Pieces
// are sent on the streams for copies, added and sent back on those for sums.

// Placement is the devices that a network is put on: for each replica one, or one for
// each column.
type Placement struct {
	Devices  []dnn.Device
	Replicas int // 0 is one
}

// On places a network on devices, once.
func On(devices ...dnn.Device) Placement { return Placement{Devices: devices} }

// Compile is [Compile] on the devices and for the replicas of a placement.
func (on Placement) Compile(net *model.Net, o Options) (*Program, error) {
	o.Replicas = on.Replicas
	return Compile(net, on.Names(), o)
}

// Names returns what the devices are called.
func (on Placement) Names() []string {
	names := make([]string, len(on.Devices))
	for i, d := range on.Devices {
		names[i] = d.Name()
	}
	return names
}

// leastPiece is the count of numbers from which on a gradient is worth cutting: a copy
// takes some microseconds, however short it is.
const leastPiece = 1 << 14

// Width returns the count of devices of a replica: one, or one for each column.
func (p *Program) Width() int { return len(p.Devices) / p.Replicas }

// Share returns which of n bytes, or numbers, of a slot are a device's: all of control,
// and of what is divided the share of the device's replica.
func (p *Program) Share(slot Slot, device, n int) (from, to int) {
	if slot == Control {
		return 0, n
	}
	each, replica := n/p.Replicas, device/p.Width()
	return replica * each, (replica + 1) * each
}

// placeable reports, as an error, what keeps a network from being placed on a count of
// devices.
func placeable(net *model.Net, devices, replicas int) error {
	if devices%replicas != 0 {
		return errorf("cannot place %d replicas of %s on %d devices: each needs as many as the others", replicas, net.Name, devices)
	}
	const hint = "put a + between devices, as in cuda:0+cuda:1, to give each a share of the batch"
	switch each := devices / replicas; {
	case each == 1 || each == net.Columns:
		return nil
	case net.Columns == 1:
		return errorf("cannot place %s on %d devices: it has one column, for one device; %s", net.Name, each, hint)
	default:
		return errorf("cannot place %s on %d devices: it has %d columns, so give 1 device or one for each column; %s",
			net.Name, each, net.Columns, hint)
	}
}

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
			b.peer(Copy, i, Backward, part, owner, f, 1, width, piece, sent)
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
