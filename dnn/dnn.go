// Package dnn says in Go interfaces what a device offers to a training program:
// memory, streams of work that run in order, events between streams, copies
// between devices, and prepared operations.
//
// A program describes each operation once, as one of the [Op] structs, and
// hands it to [Device.Prepare] with the memory of its tensors. The [Task] that
// comes back is launched on a stream as often as wanted; launching allocates
// nothing. All work on a stream is asynchronous: errors of the work itself are
// kept by the stream and come out of [Stream.Synchronize].
//
// Tensors are float32 unless an operation says otherwise, images first:
// [batch, channels, height, width], with nothing between the elements. Most
// operations can have them in another [Format], too.
// Operations overwrite their results; none adds to what was there.
package dnn

import "context"

// Device is one processor with its own memory. Its methods may be called from
// one goroutine at a time. Errors of a device, and of what it makes, name it.
type Device interface {
	// Name is what the user calls the device: cpu:0, cuda:1.
	Name() string
	// NewBuffer takes memory; what is in it is undefined.
	NewBuffer(bytes int64) (Buffer, error)
	// NewHost takes memory of the host, from which and to which the device copies
	// fastest: a GPU copies from page-locked memory by itself, and from other
	// memory only once the host has moved it. What is in it is undefined.
	NewHost(bytes int64) (Host, error)
	NewStream() (Stream, error)
	NewEvent() (Event, error)
	// Prepare makes op ready to be launched on any of the device's streams. at
	// gives the memory of each tensor that op names; it must stay valid as long
	// as the task is used.
	Prepare(op Op, at func(Tensor) Buffer) (Task, error)
	// Join makes one task of several, at least one, that the device has prepared:
	// launched, it does them in order. It may be cheaper to launch than they are one
	// by one. They can still be launched, and must not be closed before it.
	Join(tasks []Task) (Task, error)
	// Close ends the device after its streams, buffers and host memory have been
	// closed.
	Close() error
}

// Buffer is a range of a device's memory.
type Buffer interface {
	Bytes() int64
	// Slice returns the part that starts at offset, sharing the memory. It
	// panics if that is not inside the buffer.
	Slice(offset, bytes int64) Buffer
	// Close gives the memory back, if the buffer came from NewBuffer.
	Close() error
}

// Host is memory of the host that a device took.
type Host interface {
	Bytes() []byte
	// Close gives the memory back. No stream may have a copy from or to it left,
	// and what Bytes returned must not be used any more.
	Close() error
}

// Event marks a point in a stream's work. One that was never recorded counts as
// reached.
type Event interface {
	// Synchronize waits until the point that was recorded most recently is
	// reached, whatever is queued behind it. It returns the first error so far of
	// the work of the stream that recorded it; [Stream.Synchronize] returns that
	// error as well.
	Synchronize(context.Context) error
	Close() error
}

// Task is a prepared operation.
type Task interface {
	// Op is what was prepared; of joined tasks, the first of them.
	Op() Op
	// Close gives back what the device holds for the task, such as descriptors.
	// No stream may have work of the task left.
	Close() error
}

// Stream is a queue of work that runs in order, alongside other streams.
type Stream interface {
	Launch(Task) error
	// Record marks the point after all work queued so far.
	Record(Event) error
	// Wait holds back all work queued after it until the point that was most
	// recently recorded for e, by any stream of any device, is reached.
	Wait(Event) error
	// Upload copies src to dst. src must not change until the copy is over.
	Upload(dst Buffer, src []byte) error
	// Download copies src to dst, which must not be read until the copy is over.
	Download(dst []byte, src Buffer) error
	// Copy copies rows between buffers, of which one may be another device's.
	Copy(dst, src Buffer, c Rows) error
	// Synchronize waits until all queued work is done and returns the first
	// error since the last call.
	Synchronize(context.Context) error
	// Close waits for queued work and ends the stream.
	Close() error
}

// Rows is the geometry of a copy of Count rows of Width numbers, which start
// Offset numbers into a buffer and stand Stride numbers apart.
type Rows struct {
	Format               Format // of the numbers; their order does not matter
	Count, Width         int
	DstOffset, DstStride int
	SrcOffset, SrcStride int
}

// Tensor names an operand of an [Op]. What memory it stands for is said when
// the operation is prepared. The zero Tensor is no tensor.
type Tensor int32

// Shape is the shape of one image's activations: channels, height, width.
type Shape struct{ C, H, W int }

// Size returns the count of numbers.
func (s Shape) Size() int { return s.C * s.H * s.W }

// ControlBytes returns the size of a Control tensor, which holds what changes from
// step to step as little-endian words: the step, a uint32 that counts from 0 and
// keys the random numbers, and rates, float32, the ε of section 5.
func ControlBytes(rates int) int64 { return 4 * (1 + int64(rates)) }

// ViewFloats is the count of float32 that say how an image was cut out and is
// coloured: y and x of the patch in the stored image, 1 if mirrored or else 0,
// and what is added to red, green and blue.
const ViewFloats = 6

// The float32 of the Stats tensor: sums over the images of a batch that have a
// label.
const (
	StatLoss   = iota // cross-entropy
	StatTop1          // count of images whose label is not the likeliest class
	StatTop5          // count of images whose label is not among the five likeliest
	StatFloats        // size
)
