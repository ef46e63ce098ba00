package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda/cu"
)

// Options say what machine is simulated. The zero value is one without GPUs.
type Options struct {
	GPUs         int
	Seed         uint64 // of the order in which work runs; see the package's documentation
	Memory       int64  // bytes of each GPU; 0 stands for DefaultMemory
	NoPeerAccess bool   // no GPU offers access to its memory
	Faults       Faults
}

// DefaultMemory is a GPU's memory in bytes.
const DefaultMemory = 1 << 30

// maxGPUs is as many as a machine can have.
const maxGPUs = 64

// Faults are what goes wrong. The zero value is a sound machine.
type Faults struct {
	OutOfMemoryAt    int    // the how-manieth cuMemAlloc or cuMemHostAlloc of the machine fails, counted from 1; 0: none
	FailLaunchAt     int    // the how-manieth kernel or call of cuDNN or cuBLASLt fails when it runs; 0: none
	LoseDeviceAt     int    // at the how-manieth the GPU falls off the bus, for good; 0: none
	RefusePeerAccess bool   // access is offered, but enabling it fails
	Missing          string // the name of a library that is not there, of [Libraries]
	OldVersion       string // the name of a library that is too old
}

// Names of the libraries, as [Faults] has them.
const (
	nameDriver   = "libcuda"
	nameCuDNN    = "libcudnn"
	nameCuBLASLt = "libcublasLt"
	nameNVRTC    = "libnvrtc"
)

var libraryNames = []string{nameDriver, nameCuDNN, nameCuBLASLt, nameNVRTC}

func (o Options) check() error {
	f := o.Faults
	switch {
	case o.GPUs < 0 || o.GPUs > maxGPUs:
		return fmt.Errorf("%d GPUs; there can be 0 to %d", o.GPUs, maxGPUs)
	case o.Memory < 0:
		return fmt.Errorf("memory of %d bytes", o.Memory)
	case f.OutOfMemoryAt < 0 || f.FailLaunchAt < 0 || f.LoseDeviceAt < 0:
		return errors.New("faults are counted from 1")
	}
	for _, name := range []string{f.Missing, f.OldVersion} {
		if name != "" && !slices.Contains(libraryNames, name) {
			return fmt.Errorf("there is no library %q; there are %s", name, strings.Join(libraryNames, ", "))
		}
	}
	return nil
}

// Machine is a computer with simulated GPUs. Its methods, and the functions of
// its tables, may be called from any goroutine.
type Machine struct {
	options Options

	mu      sync.Mutex // held by every call
	cpu     *cpu.Device
	queue   dnn.Stream // of cpu
	random  *rand.Rand
	started bool // cuInit has been called
	closed  bool
	gpus    []*gpu
	hosts   []*hostMemory
	current map[int]*cudaContext // of each thread
	streams []*stream            // of all GPUs, in the order of their making
	clock   int64                // ns that all work has taken so far
	running *work
	host    clock // what the host has seen done
	races   []string

	things   map[uintptr]*thing
	made     uintptr              // things so far
	allocs   int                  // calls that take memory
	tasks    int                  // kernels and library calls
	graphs   int                  // launches of graphs
	failures map[cu.Result]string // what made a context fail
	hints    map[cu.Result]string // what else an error was about, until it is asked for
	dnnSaid  map[int]string       // what cudnnGetLastErrorString has to say to each thread
}

// New switches the machine on; Close must follow.
func New(o Options) (*Machine, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	device, err := cpu.New("sim")
	if err != nil {
		return nil, err
	}
	queue, err := device.NewStream()
	if err != nil {
		return nil, errors.Join(err, device.Close())
	}
	m := &Machine{options: o, cpu: device, queue: queue,
		random: rand.New(rand.NewPCG(o.Seed, 0x616c65786e6574)), current: map[int]*cudaContext{},
		things: map[uintptr]*thing{}, failures: map[cu.Result]string{}, hints: map[cu.Result]string{}, dnnSaid: map[int]string{}}
	for i := range o.GPUs {
		m.gpus = append(m.gpus, newGPU(i))
	}
	return m, nil
}

// Close switches the machine off. The error lists what was not given back, and
// races.
func (m *Machine) Close() error {
	leaks := m.Leaks()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	var errs []error
	for _, t := range m.things {
		if a, ok := t.object.(*allocation); ok {
			errs = append(errs, a.host.Close())
		}
	}
	for _, h := range m.hosts {
		errs = append(errs, h.host.Close())
	}
	if err := errors.Join(append(errs, m.queue.Close(), m.cpu.Close())...); err != nil {
		return err
	}
	return errors.Join(list("not given back", leaks), list("races", m.races))
}

// list is an error that lists things, if there are any.
func list(what string, things []string) error {
	if len(things) == 0 {
		return nil
	}
	return fmt.Errorf("sim: %s, %d:\n\t%s", what, len(things), strings.Join(things, "\n\t"))
}

// thing is what a program was given and has to give back: a handle, or memory.
type thing struct {
	what   string
	object any
	number uintptr   // in the order of their making
	owned  bool      // goes with another thing, and need not be given back
	by     []uintptr // who called
}

// firstHandle is above all addresses that memory can have, of the host and of
// the GPUs.
const firstHandle uintptr = 1 << 60

// issue makes a handle for an object.
func (m *Machine) issue(object any, format string, args ...any) uintptr {
	h := firstHandle + 16*m.made
	m.register(h, object, format, args...)
	return h
}

// register remembers an object by its handle or address.
func (m *Machine) register(h uintptr, object any, format string, args ...any) *thing {
	by := make([]uintptr, 16)
	t := &thing{what: fmt.Sprintf(format, args...), object: object, number: m.made, by: by[:runtime.Callers(3, by)]}
	m.made++
	m.things[h] = t
	return t
}

// find returns what a handle stands for, if it stands for a T.
func find[T any](m *Machine, h uintptr) (object T, ok bool) {
	if t := m.things[h]; t != nil {
		object, ok = t.object.(T)
	}
	return object, ok
}

// drop takes a handle back. It reports whether it was one of a T.
func drop[T any](m *Machine, h uintptr) bool {
	_, ok := find[T](m, h)
	if ok {
		delete(m.things, h)
	}
	return ok
}

// Leaks lists every handle and all memory that was not given back, in the order
// of their making: "stream of GPU 0, made at device.go:123".
func (m *Machine) Leaks() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []*thing
	for _, t := range m.things {
		if !t.owned {
			left = append(left, t)
		}
	}
	for _, g := range m.gpus {
		left = append(left, g.retained...)
	}
	slices.SortFunc(left, func(a, b *thing) int { return int(a.number) - int(b.number) })
	var list []string
	for _, t := range left {
		list = append(list, t.String())
	}
	return list
}

func (t *thing) String() string { return t.what + ", made at " + t.place() }

// place returns the file and line that called a library, or the package for one.
func (t *thing) place() string {
	frames := runtime.CallersFrames(t.by)
	for {
		f, more := frames.Next()
		if !between(f) || !more {
			return fmt.Sprintf("%s:%d", f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line)
		}
	}
}

// between reports whether a function is of a package that stands between a
// program and the function tables.
func between(f runtime.Frame) bool {
	const here = "alexnet/dnn/cuda/"
	name, ok := strings.CutPrefix(f.Function, here)
	if !ok || strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	pkg, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"sim", "cu", "cudnn", "cublaslt", "nvrtc"}, pkg)
}
