// Package plan turns a network and a list of devices into the whole schedule of
// a step before anything runs: for each device its streams, the operations on
// them in order, the waits between streams, every copy between devices with its
// bytes, and one memory layout.
//
// # Placement
//
// On one device, the columns of a network are merged: layers that see one column
// become grouped operations over all of them. On as many devices as there are
// columns, each holds one column; what a layer that looks across needs from the
// other devices is copied there, and its gradient back. Only such layers and the
// softmax, which runs on the first device of each replica, copy anything.
//
// With [Options].Replicas the network stands there several times, each time on one
// device or on one for each column, with the same weights. Each replica works on its
// share of a batch, and what they make of the weights' gradients is added up over all
// of them: see replicas.go. So the training is that of one replica, to rounding.
//
// # Order
//
// Steps are issued in the order of [Program.Steps], each to its stream. A stream
// works in order; what order is needed between streams follows from which step
// reads and writes which memory, in this run of the program and the one before,
// and stands in [Step.Waits]. So a program can be launched again and again
// without the host waiting in between.
//
// A training step goes forward, then backward, and updates the weights last: all
// updates come after all of backward, so that the host looks at the loss, and may
// keep the weights as they are, while the devices work. The price is memory: the
// gradients of all parameters live until then. Pixels are uploaded first and
// control last, because the control of the run before is in use until its last
// update, and nothing of the next batch should wait for that.
//
// # Formats
//
// Maps are float32, channels first. With [Options].BFloat16, for GPUs, they and what
// the products read of the weights are bfloat16, and where convolutions, pools and
// normalisations are, channels are last. Logits, and the layers that make them, stay
// float32, and so do the parameters themselves. See format.go.
package plan

import (
	"alexnet/dnn"
	"alexnet/model"
)

// Mode says what a program is for.
type Mode uint8

// The modes: forward, backward and update with dropout drawn; or forward alone,
// with dropout as scaling, giving the logits.
const (
	Train Mode = iota
	Test
)

// Program is the schedule of one step.
type Program struct {
	Net      *model.Net
	Batch    int // of all replicas together
	Replicas int // how often the network stands there, at least once
	Mode     Mode
	Devices  []*Device // of the first replica, then of the next
	Steps    []Step
	Forward  int // count of steps up to the loss
	Update   int // count of steps up to the last of backward; the rest is updates
}

// Device is what a program uses on one device.
type Device struct {
	Name    string
	Tensors []Tensor     // indexed by dnn.Tensor; the first is no tensor
	Outputs []dnn.Tensor // of each layer; no tensor where the layer does not run here
	Mean    dnn.Tensor   // [height, width, channels], subtracted from stored images
	Copies  []dnn.Op     // that make the bfloat16 copies of the parameters, after these have been written

	State    int64 // bytes that outlive a step: weights, the mean, momentum
	Work     int64 // bytes of everything else, where lifetimes that do not meet share memory
	Unshared int64 // bytes that everything else would take if nothing shared
}

// Segment says which of a device's two blocks of memory a tensor lies in.
type Segment uint8

// The segments.
const (
	State Segment = iota
	Work
)

// Tensor is a range of memory in a program.
type Tensor struct {
	Name    string // "conv1", "conv1.weight", "gradient of conv1"
	Shape   []int  // of float32, but for pixels (uint8) and what is in bfloat16 (see format.go)
	Bytes   int64
	Segment Segment
	Offset  int64
	// First and Last are the first and the last step that use it. Memory that
	// the host writes or reads is never shared, so that the next
	// step's data can come, and this one's loss go, while others are worked on.
	First, Last int
	pinned      bool
	sent        bool // by another replica: not shared before the updates, so that backward does not wait for its use
}

// Param is a layer's weight, bias, or the momentum of one, as it stands on one
// device: rows First to First+Shape[0] of the network's tensor.
type Param struct {
	Name   string // as in a checkpoint: conv1.weight, momentum.conv1.weight
	Shape  []int  // of the whole tensor
	First  int
	Rows   int
	Layer  int
	Tensor dnn.Tensor
}

// Stream names one of a device's streams.
type Stream uint8

// Each device has a stream for operations, and one for copies to and from the host and
// between columns. With replicas it has one for sending gradients to other replicas, and
// one for adding up those that come, and sending back the sums: nothing on the first two
// waits for these until the updates.
const (
	Compute Stream = iota
	Copy
	Send
	Reduce
	streams
)

func (s Stream) String() string { return [...]string{"compute", "copy", "send", "reduce"}[s] }

// Pass says which part of a training step a step belongs to.
type Pass uint8

// The passes. Feed brings data from the host, Result takes results there.
const (
	Feed Pass = iota
	Forward
	Backward
	Update
	Result
)

func (p Pass) String() string {
	return [...]string{"feed", "forward", "backward", "update", "result"}[p]
}

// WholeNet stands in the place of a layer where a step is for all of them.
const WholeNet = model.InputIndex - 1

// Step is one piece of work on one stream.
type Step struct {
	Layer  int // index in the network, model.InputIndex, or WholeNet
	Pass   Pass
	Device int
	Stream Stream
	Action Action
	Waits  []int // steps, on other streams, that must have been done before: of this run if they stand above, else of the one before
	Signal bool  // whether other streams, or the host, wait for it
}

// Action is what a step does: [Launch], [Peer], [Upload] or [Download].
type Action interface{ action() }

// Launch is an operation on the device.
type Launch struct{ Op dnn.Op }

// Peer copies a tensor's rows from the step's device to another.
type Peer struct {
	From dnn.Tensor
	To   int // device
	Dst  dnn.Tensor
	Rows dnn.Rows
}

// Bytes returns the amount that is copied.
func (p Peer) Bytes() int64 {
	return int64(p.Rows.Count) * int64(p.Rows.Width) * p.Rows.Format.Bytes()
}

// Upload copies from the host.
type Upload struct {
	Slot Slot
	Dst  dnn.Tensor
}

// Download copies to the host.
type Download struct {
	Slot Slot
	Src  dnn.Tensor
}

func (Launch) action()   {}
func (Peer) action()     {}
func (Upload) action()   {}
func (Download) action() {}

// Slot names a buffer of the host.
type Slot uint8

// The slots: see dnn.Input, dnn.ControlBytes, dnn.SoftmaxForward for what is in them.
// All but control are divided: one replica's share follows the other's.
const (
	Pixels  Slot = iota // uint8 [batch, height, width, channels]
	Views               // float32 [batch, dnn.ViewFloats]
	Labels              // int32 [batch]
	Control             // the step, and the rate of each layer: [Program.ControlBytes]
	Stats               // float32 [replicas, dnn.StatFloats]
	Logits              // float32 [batch, classes]
	Slots
)

func (s Slot) String() string {
	return [...]string{"pixels", "views", "labels", "control", "stats", "logits"}[s]
}
