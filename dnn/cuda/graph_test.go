package cuda_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/dnn/cuda/sim"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// chain is operations in a row on memory of their own. Each run of it changes what
// the next one starts with.
type chain struct {
	*testing.T
	device dnn.Device
	mem    dnn.Buffer
	tasks  []dnn.Task
}

// most is the bytes of a tensor of a chain.
const most = 4 << 10

func newChain(t *testing.T, d dnn.Device) *chain {
	t.Helper()
	c := &chain{T: t, device: d}
	conv := dnn.Conv{Batch: 2, Groups: 1, In: dnn.Shape{C: 2, H: 6, W: 6}, Out: dnn.Shape{C: 4, H: 6, W: 6}, Window: dnn.Window{H: 3, W: 3, Stride: 1, Pad: 1}}
	pool := dnn.Pool{Batch: 2, In: conv.Out, Out: dnn.Shape{C: 4, H: 3, W: 3}, Window: dnn.Window{H: 2, W: 2, Stride: 2}}
	ops := []dnn.Op{
		dnn.ConvForward{Conv: conv, Relu: true, X: 1, W: 2, B: 3, Y: 4},
		dnn.MaxPoolForward{Pool: pool, X: 4, Y: 5, Where: 6},
		dnn.FullForward{Full: dnn.Full{Batch: 2, Groups: 1, In: pool.Out.Size(), Out: 8}, X: 5, W: 7, B: 8, Y: 9},
		dnn.Scale{Count: 2 * conv.In.Size(), Factor: 0.75, X: 1, Y: 1},
	}
	const tensors = 9
	var err error
	c.mem, err = d.NewBuffer((1 + tensors) * most)
	check(t, err)
	x := make([]float32, (1+tensors)*most/4)
	philox.Normals(x, 1, 5, philox.Init, 0)
	s, err := d.NewStream()
	check(t, err)
	check(t, s.Upload(c.mem, raw.Bytes(x)))
	check(t, s.Close())
	for _, op := range ops {
		task, err := d.Prepare(op, func(t dnn.Tensor) dnn.Buffer { return c.mem.Slice(int64(t)*most, most) })
		check(t, err)
		c.tasks = append(c.tasks, task)
	}
	return c
}

func (c *chain) join() dnn.Task {
	c.Helper()
	task, err := c.device.Join(c.tasks)
	check(c, err)
	return task
}

// apart launches the operations one by one.
func (c *chain) apart(s dnn.Stream) {
	c.Helper()
	for _, t := range c.tasks {
		check(c, s.Launch(t))
	}
}

// read returns all of the memory, after what is in the stream.
func (c *chain) read(s dnn.Stream) []byte {
	c.Helper()
	b := make([]byte, c.mem.Bytes())
	check(c, s.Download(b, c.mem))
	check(c, s.Synchronize(c.Context()))
	return b
}

// same fails unless two chains hold the same bytes.
func (c *chain) same(o *chain, s dnn.Stream, when string) {
	c.Helper()
	if !bytes.Equal(c.read(s), o.read(s)) {
		c.Errorf("%s: the joined operations leave other bytes than those one by one", when)
	}
}

func (c *chain) close() {
	c.Helper()
	for _, t := range c.tasks {
		check(c, t.Close())
	}
	check(c, c.mem.Close())
}

// TestJoin: whether it is a graph or not, a joined task leaves the same bytes as its
// parts.
func TestJoin(t *testing.T) {
	for _, o := range []cuda.Options{{}, {Precision: cuda.BF16}, {NoGraphs: true}} {
		o.KernelCache = t.TempDir()
		each(t, fmt.Sprintf("%v graphs %t", o.Precision, !o.NoGraphs), 1, func(t *testing.T, libs *cuda.Libraries) {
			d, err := libs.New("gpu", 0, o)
			check(t, err)
			a, b := newChain(t, d), newChain(t, d)
			s, err := d.NewStream()
			check(t, err)
			joined := a.join()
			for range 4 {
				check(t, s.Launch(joined))
				b.apart(s)
				a.same(b, s, "launched again and again")
			}
			check(t, joined.Close())
			check(t, joined.Close())
			check(t, s.Close())
			a.close()
			b.close()
			check(t, d.Close())
		})
	}
}

// graphs is a simulated GPU that counts what it does with graphs.
type graphs struct {
	*testing.T
	driver   *cu.Functions
	dnn      *cudnn.Functions
	device   *cuda.Device
	captures int
	made     int
	launched int
}

func newGraphs(t *testing.T, o cuda.Options) *graphs {
	t.Helper()
	m, err := sim.New(sim.Options{GPUs: 1, Seed: 1})
	check(t, err)
	t.Cleanup(func() {
		if err := m.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	g := &graphs{T: t}
	libs := tabled(t, m, func(made *tables) { g.driver, g.dnn = made.driver, made.dnn })
	f := *g.driver
	g.driver.StreamBeginCapture = func(s cu.CUStream, mode cu.CaptureMode) cu.Result {
		g.captures++
		return f.StreamBeginCapture(s, mode)
	}
	g.driver.GraphInstantiateWithFlags = func(e *cu.CUGraphExec, from cu.CUGraph, flags uint64) cu.Result {
		g.made++
		return f.GraphInstantiateWithFlags(e, from, flags)
	}
	g.driver.GraphLaunch = func(e cu.CUGraphExec, s cu.CUStream) cu.Result {
		g.launched++
		return f.GraphLaunch(e, s)
	}
	o.KernelCache = t.TempDir()
	g.device, err = libs.New("gpu", 0, o)
	check(t, err)
	return g
}

// want fails unless so much was done with graphs so far.
func (g *graphs) want(when string, captures, made, launched int) {
	g.Helper()
	if g.captures != captures || g.made != made || g.launched != launched {
		g.Errorf("%s: %d captures, %d graphs, %d launches of them; want %d, %d, %d", when, g.captures, g.made, g.launched, captures, made, launched)
	}
}

// TestGraphs: the second launch makes the graph, which serves as long as the stream
// and the workspace stay.
func TestGraphs(t *testing.T) {
	g := newGraphs(t, cuda.Options{})
	a, b := newChain(t, g.device), newChain(t, g.device)
	var streams [2]dnn.Stream
	for i := range streams {
		var err error
		streams[i], err = g.device.NewStream()
		check(t, err)
	}
	joined := a.join()
	launch := func(s dnn.Stream) {
		t.Helper()
		check(t, s.Launch(joined))
		b.apart(s)
	}
	s := streams[0]
	launch(s)
	g.want("at first", 0, 0, 0)
	launch(s)
	g.want("the second time", 1, 1, 1)
	launch(s)
	launch(s)
	g.want("from then on", 1, 1, 3)
	a.same(b, s, "in one stream")

	const images = 16 << 10 // each with statistics of its own in the workspace
	mem, err := g.device.NewBuffer(4 * images)
	check(t, err)
	large, err := g.device.Prepare(dnn.SoftmaxForward{Batch: images, Classes: 1, X: 1, Y: 2, Labels: 3, Stats: 4}, func(dnn.Tensor) dnn.Buffer { return mem })
	check(t, err)
	launch(s)
	g.want("when the workspace has grown", 1, 1, 3)
	launch(s)
	g.want("the second time then", 2, 2, 4)
	a.same(b, s, "in a larger workspace")

	s = streams[1]
	launch(s)
	g.want("in another stream", 2, 2, 4)
	launch(s)
	launch(s)
	g.want("from then on there", 3, 3, 6)
	check(t, s.Close())
	s = streams[0]
	launch(s)
	launch(s)
	g.want("in the first one again", 4, 4, 7)
	a.same(b, s, "in two streams")

	check(t, joined.Close())
	check(t, large.Close())
	check(t, s.Close())
	check(t, mem.Close())
	a.close()
	b.close()
	check(t, g.device.Close())
}

func TestNoGraphs(t *testing.T) {
	g := newGraphs(t, cuda.Options{NoGraphs: true})
	c := newChain(t, g.device)
	s, err := g.device.NewStream()
	check(t, err)
	joined := c.join()
	for range 3 {
		check(t, s.Launch(joined))
	}
	g.want("without graphs", 0, 0, 0)
	check(t, joined.Close())
	check(t, s.Close())
	c.close()
	check(t, g.device.Close())
}

// TestNotCaptured: what cannot be captured is done without a graph, and the capture
// is tried once. All other errors are returned.
func TestNotCaptured(t *testing.T) {
	for name, c := range map[string]struct {
		spoil                    func(g *graphs)
		want                     string // error
		captures, made, launched int
	}{
		"no capture begins": {func(g *graphs) {
			g.driver.StreamBeginCapture = func(cu.CUStream, cu.CaptureMode) cu.Result {
				g.captures++
				return cu.ErrorStreamCaptureUnsupported
			}
		}, "", 1, 0, 0},
		"a kernel is refused": {func(g *graphs) {
			launch := g.driver.LaunchKernel
			g.driver.LaunchKernel = func(f cu.CUFunction, gx, gy, gz, bx, by, bz, shared uint32, s cu.CUStream, params, extra *unsafe.Pointer) cu.Result {
				if g.captures == 1 {
					g.captures++ // once, so that the capture is otherwise sound
					return cu.ErrorStreamCaptureUnsupported
				}
				return launch(f, gx, gy, gz, bx, by, bz, shared, s, params, extra)
			}
		}, "", 2, 0, 0},
		"cuDNN takes memory": {func(g *graphs) {
			add := g.dnn.AddTensor
			g.dnn.AddTensor = func(h cudnn.RawHandle, alpha unsafe.Pointer, xDesc cudnn.RawTensor, x cu.DevicePtr, beta unsafe.Pointer, yDesc cudnn.RawTensor, y cu.DevicePtr) cudnn.Status {
				var p cu.DevicePtr
				if r := g.driver.MemAlloc(&p, 4); r != cu.Success {
					return cudnn.ExecutionFailed
				}
				g.driver.MemFree(p)
				return add(h, alpha, xDesc, x, beta, yDesc, y)
			}
		}, "", 1, 0, 0},
		"such graphs are not supported": {func(g *graphs) {
			g.driver.GraphInstantiateWithFlags = func(*cu.CUGraphExec, cu.CUGraph, uint64) cu.Result {
				g.made++
				return cu.ErrorNotSupported
			}
		}, "", 1, 1, 0},
		"there is no memory for the graph": {func(g *graphs) {
			g.driver.GraphInstantiateWithFlags = func(*cu.CUGraphExec, cu.CUGraph, uint64) cu.Result {
				g.made++
				return cu.ErrorOutOfMemory
			}
		}, "gpu: ConvForward to Scale: cuGraphInstantiateWithFlags(device 0): CUDA_ERROR_OUT_OF_MEMORY", 3, 3, 0},
		"the graph cannot be launched": {func(g *graphs) {
			g.driver.GraphLaunch = func(cu.CUGraphExec, cu.CUStream) cu.Result {
				g.launched++
				return cu.ErrorInvalidValue
			}
		}, "gpu: ConvForward to Scale: cuGraphLaunch(device 0): CUDA_ERROR_INVALID_VALUE", 1, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraphs(t, cuda.Options{})
			a, b := newChain(t, g.device), newChain(t, g.device)
			s, err := g.device.NewStream()
			check(t, err)
			joined := a.join()
			check(t, s.Launch(joined))
			b.apart(s)
			c.spoil(g)
			for range 3 {
				err := s.Launch(joined)
				if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Fatalf("error %v, want %q", err, c.want)
				}
				if err == nil {
					b.apart(s)
				}
			}
			g.want("after three launches", c.captures, c.made, c.launched)
			a.same(b, s, "after three launches")
			check(t, joined.Close())
			check(t, s.Close())
			a.close()
			b.close()
			check(t, g.device.Close())
		})
	}
}

// TestJoinRefuses: only what the device itself has prepared can be joined.
func TestJoinRefuses(t *testing.T) {
	libs := simulated(t, sim.Options{GPUs: 1})
	var devices [2]*cuda.Device
	var chains [2]*chain
	for i := range devices {
		var err error
		devices[i], err = libs.New("gpu", 0, cuda.Options{KernelCache: t.TempDir()})
		check(t, err)
		chains[i] = newChain(t, devices[i])
	}
	joined := chains[0].join()
	s, err := devices[1].NewStream()
	check(t, err)
	for want, f := range map[string]func() error{
		"no tasks to join":      func() error { _, err := devices[0].Join(nil); return err },
		"to join that it has":   func() error { _, err := devices[0].Join([]dnn.Task{joined}); return err },
		"that it has not prepa": func() error { _, err := devices[1].Join(chains[0].tasks); return err },
		"another device":        func() error { return s.Launch(joined) },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	check(t, s.Close())
	check(t, joined.Close())
	for i := range devices {
		chains[i].close()
		check(t, devices[i].Close())
	}
	if _, err := devices[0].Join(nil); err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("of a closed device: %v", err)
	}
}
