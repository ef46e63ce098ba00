package cuda_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/bfloat16"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// tolerance is on the distance from the CPU's result, relative to its norm. In
// float32 the sums of these sizes differ by about 1e-6, and powers by as much.
// The factors of TF32 are off by up to 2^-11 each. Of bfloat16, both devices have the
// same, and their results, rounded to 2^-9, differ where they were next to the middle
// of two.
var tolerance = map[cuda.Precision]float64{cuda.FP32: 1e-4, cuda.TF32: 2e-2, cuda.BF16: 2e-2}

// source of random numbers.
type source struct{ philox.Stream }

func newSource(seed uint64) *source { return &source{philox.NewStream(seed, philox.Init, 0, 0)} }

// between returns a number from lo to hi.
func (s *source) between(lo, hi int) int { return lo + s.IntN(hi-lo+1) }

// rig does the same on a GPU and on the CPU.
type rig struct {
	*testing.T
	*source
	gpu, cpu  dnn.Device
	streams   [2]dnn.Stream
	buffers   [2]map[dnn.Tensor]dnn.Buffer
	precision cuda.Precision
}

func newRig(t *testing.T, gpu dnn.Device, p cuda.Precision, seed uint64) *rig {
	t.Helper()
	host, err := cpu.New("cpu")
	check(t, err)
	r := &rig{T: t, source: newSource(seed), gpu: gpu, cpu: host, precision: p}
	for i, d := range r.devices() {
		r.streams[i], err = d.NewStream()
		check(t, err)
		r.buffers[i] = map[dnn.Tensor]dnn.Buffer{}
	}
	return r
}

func (r *rig) devices() [2]dnn.Device { return [2]dnn.Device{r.gpu, r.cpu} }

func (r *rig) close() {
	r.Helper()
	for i := range r.streams {
		check(r, r.streams[i].Close())
	}
	r.free()
	check(r, r.cpu.Close())
}

func (r *rig) free() {
	for i := range r.buffers {
		for _, b := range r.buffers[i] {
			check(r, b.Close())
		}
		clear(r.buffers[i])
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// guard is how many numbers stand behind each tensor that nothing may change.
const guard = 64

// run does op on both devices, with random numbers in and poison out, and
// compares what comes out and what stands behind.
func (r *rig) run(op dnn.Op) {
	r.Helper()
	defer r.free()
	needs, err := dnn.Needs(op)
	check(r, err)
	_, writes := op.Operands()
	written := map[dnn.Tensor]bool{}
	for _, w := range writes {
		written[w] = true
	}
	reads, _ := op.Operands()
	for _, t := range reads {
		written[t] = false // and perhaps read first
	}
	sizes := map[dnn.Tensor]dnn.Need{}
	for _, n := range needs {
		if n.Bytes > sizes[n.Tensor].Bytes {
			sizes[n.Tensor] = n
		}
	}
	for t, n := range sizes {
		size := (n.Bytes + 3) / 4 * 4
		mem := make([]byte, size+4*guard)
		if written[t] {
			poison(mem)
		} else {
			r.fill(n, mem[:size], op)
			poison(mem[size:])
		}
		for i, d := range r.devices() {
			b, err := d.NewBuffer(int64(len(mem)))
			check(r, err)
			r.buffers[i][t] = b
			check(r, r.streams[i].Upload(b, mem))
			check(r, r.streams[i].Synchronize(r.Context()))
		}
	}
	switch b := op.(type) { // what the forward pass must have made
	case dnn.MaxPoolBackward:
		const x, y = 90, 91
		r.fresh(x, b.Format, b.Batch*b.In.Size())
		r.fresh(y, b.Format, b.Batch*b.Out.Size())
		r.forward(dnn.MaxPoolForward{Pool: b.Pool, X: x, Y: y, Where: b.Where}, b.Where)
	case dnn.NormPoolBackward:
		const y = 91
		r.fresh(y, b.Pool.Format, b.Pool.Batch*b.Pool.Out.Size())
		r.forward(dnn.NormPoolForward{NormPool: b.NormPool, X: b.X, Y: y, Where: b.Where}, b.Where)
	case dnn.LRNBackward:
		r.forward(dnn.LRNForward{LRN: b.LRN, X: b.X, Y: b.Y}, b.Y)
	}
	r.launch(op)
	seen := map[dnn.Tensor]bool{}
	for _, w := range writes {
		if !seen[w] {
			r.compare(op, sizes[w])
		}
		seen[w] = true
	}
}

// fresh makes a tensor of random numbers on the CPU.
func (r *rig) fresh(t dnn.Tensor, f dnn.Format, count int) {
	r.Helper()
	mem := make([]byte, (f.Bytes()*int64(count)+3)/4*4)
	r.fill(dnn.Need{Size: f.Bytes()}, mem, nil)
	b, err := r.cpu.NewBuffer(int64(len(mem)))
	check(r, err)
	r.buffers[1][t] = b
	check(r, r.streams[1].Upload(b, mem))
	check(r, r.streams[1].Synchronize(r.Context()))
}

// forward does op on the CPU and gives the GPU the same result.
func (r *rig) forward(op dnn.Op, result dnn.Tensor) {
	r.Helper()
	task, err := r.cpu.Prepare(op, r.at(1))
	check(r, err)
	check(r, r.streams[1].Launch(task))
	mem := make([]byte, r.buffers[1][result].Bytes())
	check(r, r.streams[1].Download(mem, r.buffers[1][result]))
	check(r, r.streams[1].Synchronize(r.Context()))
	check(r, r.streams[0].Upload(r.buffers[0][result], mem))
	check(r, r.streams[0].Synchronize(r.Context()))
}

func (r *rig) at(i int) func(dnn.Tensor) dnn.Buffer {
	return func(t dnn.Tensor) dnn.Buffer { return r.buffers[i][t] }
}

func (r *rig) launch(op dnn.Op) {
	r.Helper()
	for i, d := range r.devices() {
		task, err := d.Prepare(op, r.at(i))
		check(r, err)
		check(r, r.streams[i].Launch(task))
		check(r, r.streams[i].Synchronize(r.Context()))
		check(r, task.Close())
	}
}

func poison(mem []byte) {
	for i := range mem {
		mem[i] = 0xff // NaN
	}
}

// fill makes an operand's numbers.
func (r *rig) fill(n dnn.Need, mem []byte, op dnn.Op) {
	word := func(i int, v uint32) { binary.LittleEndian.PutUint32(mem[4*i:], v) }
	switch n.Name {
	case "Pixels":
		for i := range mem {
			mem[i] = byte(r.Uint32())
		}
	case "Control":
		word(0, 7)
		for i := range len(mem)/4 - 1 {
			word(1+i, math.Float32bits(0.01*float32(1+i)))
		}
	case "Labels":
		classes := 0
		switch o := op.(type) {
		case dnn.SoftmaxForward:
			classes = o.Classes
		case dnn.SoftmaxBackward:
			classes = o.Classes
		}
		for i := range len(mem) / 4 {
			word(i, uint32(int32(r.between(-1, classes-1))))
		}
	case "Views":
		o := op.(dnn.Input)
		for n := range o.Batch {
			view := []float32{float32(r.between(0, o.MeanH-o.Out.H)), float32(r.between(0, o.MeanW-o.Out.W)), float32(r.IntN(2)), 1, -2, 3}
			for i, v := range view {
				word(n*dnn.ViewFloats+i, math.Float32bits(v))
			}
		}
	case "Where": // filled later
		poison(mem)
	default:
		if n.Size == 2 {
			for i := range len(mem) / 2 {
				binary.LittleEndian.PutUint16(mem[2*i:], bfloat16.From(float32(r.Normal())))
			}
			break
		}
		for i := range len(mem) / 4 {
			word(i, math.Float32bits(float32(r.Normal())))
		}
	}
}

// compare holds the GPU's result against the CPU's.
func (r *rig) compare(op dnn.Op, n dnn.Need) {
	r.Helper()
	var got, want []float32
	for i, x := range []*[]float32{&got, &want} {
		*x = make([]float32, r.buffers[i][n.Tensor].Bytes()/4)
		check(r, r.streams[i].Download(raw.Bytes(*x), r.buffers[i][n.Tensor]))
		check(r, r.streams[i].Synchronize(r.Context()))
	}
	for i := len(got) - guard; i < len(got); i++ {
		if math.Float32bits(got[i]) != math.MaxUint32 {
			r.Fatalf("%s: %+v: %s was written behind its end", dnn.NameOf(op), op, n.Name)
		}
	}
	got, want = got[:len(got)-guard], want[:len(want)-guard]
	if n.Size == 2 {
		got, want = wide(got, n.Bytes/2), wide(want, n.Bytes/2)
	}
	if n.Name == "Where" {
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				r.Fatalf("%s: %+v: place %d is %d, want %d", dnn.NameOf(op), op, i, math.Float32bits(got[i]), math.Float32bits(want[i]))
			}
		}
		return
	}
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	if n.Name == "DB" { // a sum that may come near 0 is held against the numbers it is made of
		norm = max(norm, float64(len(want)))
	}
	limit := tolerance[r.precision]
	if e := math.Sqrt(diff) / math.Max(math.Sqrt(norm), 1e-30); !(e <= limit) && diff != 0 {
		r.Errorf("%s: %+v: %s is off by %.3g of its norm, want at most %g", dnn.NameOf(op), op, n.Name, e, limit)
	}
}

// wide returns the n bfloat16 that words hold.
func wide(words []float32, n int64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = bfloat16.Float32(uint16(math.Float32bits(words[i/2]) >> (16 * (i % 2))))
	}
	return x
}

// operations returns one of each operation with random odd sizes.
func (r *rig) operations() []dnn.Op {
	groups := r.between(1, 3)
	w := dnn.Window{H: r.between(1, 4), W: r.between(1, 4), Stride: r.between(1, 3), Pad: r.IntN(3)}
	in := dnn.Shape{C: groups * r.between(1, 4), H: r.between(4, 11), W: r.between(4, 11)}
	side := func(n, k int) int { // rounded up or down
		n += 2*w.Pad - k
		if r.IntN(2) == 0 && n%w.Stride != 0 {
			return n/w.Stride + 2
		}
		return n/w.Stride + 1
	}
	out := dnn.Shape{C: groups * r.between(1, 5), H: side(in.H, w.H), W: side(in.W, w.W)}
	conv := dnn.Conv{Batch: r.between(1, 5), Groups: groups, In: in, Out: out, Window: w}
	list := []dnn.Op{
		dnn.Input{Batch: conv.Batch, Out: dnn.Shape{C: 3, H: in.H, W: in.W}, MeanH: in.H + r.IntN(4), MeanW: in.W + r.IntN(4), Pixels: 1, Views: 2, Mean: 3, Y: 4},
		dnn.ConvForward{Conv: conv, X: 1, W: 2, B: 3, Y: 4}, dnn.ConvForward{Conv: conv, Relu: true, X: 1, W: 2, B: 3, Y: 4},
		dnn.ConvBackwardData{Conv: conv, W: 1, DY: 2, DX: 3},
		dnn.ConvBackwardWeights{Conv: conv, X: 1, DY: 2, DW: 3, DB: 4},
		dnn.LocalForward{Conv: conv, X: 1, W: 2, B: 3, Y: 4},
		dnn.LocalBackwardData{Conv: conv, W: 1, DY: 2, DX: 3},
		dnn.LocalBackwardWeights{Conv: conv, X: 1, DY: 2, DW: 3, DB: 4},
	}
	full := dnn.Full{Batch: r.between(1, 9), Groups: groups, In: groups * r.between(1, 30), Out: groups * r.between(1, 30)}
	list = append(list,
		dnn.FullForward{Full: full, X: 1, W: 2, B: 3, Y: 4}, dnn.FullForward{Full: full, Relu: true, X: 1, W: 2, B: 3, Y: 4},
		dnn.FullBackwardData{Full: full, W: 1, DY: 2, DX: 3},
		dnn.FullBackwardWeights{Full: full, X: 1, DY: 2, DW: 3, DB: 4})
	count := r.between(1, 700)
	for f := range dnn.Sigmoid + 1 {
		list = append(list,
			dnn.ActivationForward{Count: count, Func: f, X: 1, Y: 2}, dnn.ActivationForward{Count: count, Func: f, X: 1, Y: 1},
			dnn.ActivationBackward{Count: count, Func: f, Y: 1, DY: 2, DX: 3}, dnn.ActivationBackward{Count: count, Func: f, Y: 1, DY: 2, DX: 2})
	}
	pool := dnn.Pool{Batch: conv.Batch, In: in, Out: dnn.Shape{C: in.C, H: out.H, W: out.W}, Window: w}
	if w := &pool.Window; w.Pad < min(w.H, w.W) && (out.H-1)*w.Stride-w.Pad < in.H && (out.W-1)*w.Stride-w.Pad < in.W {
		list = append(list,
			dnn.MaxPoolForward{Pool: pool, X: 1, Y: 2, Where: 3}, dnn.MaxPoolBackward{Pool: pool, Where: 1, DY: 2, DX: 3},
			dnn.AvgPoolForward{Pool: pool, X: 1, Y: 2}, dnn.AvgPoolBackward{Pool: pool, DY: 1, DX: 2})
	}
	lrn := dnn.LRN{Batch: conv.Batch, Groups: groups, Shape: in, Size: r.between(1, 6), Alpha: 0.1, Beta: 0.75, K: 2}
	for range 2 {
		list = append(list, dnn.LRNForward{LRN: lrn, X: 1, Y: 2}, dnn.LRNBackward{LRN: lrn, X: 1, Y: 2, DY: 3, DX: 4})
		lrn.Within = true
	}
	classes := r.between(2, 300)
	first := r.IntN(9)
	return append(list,
		dnn.Dropout{Batch: full.Batch, Before: r.IntN(9), Count: full.In, First: first, Features: first + full.In + r.IntN(5), Rate: 0.4, Seed: 1 << 40, Layer: 3, Control: 1, X: 2, Y: 3},
		dnn.Scale{Count: count, Factor: 0.5, X: 1, Y: 2}, dnn.Scale{Count: count, Factor: -3, X: 1, Y: 1},
		dnn.SoftmaxForward{Batch: full.Batch, Classes: classes, X: 1, Y: 2, Labels: 3, Stats: 4},
		dnn.SoftmaxBackward{Batch: full.Batch, Images: full.Batch + r.IntN(9), Classes: classes, Y: 1, Labels: 2, DX: 3},
		dnn.Sum{Rows: 1, Width: count, X: []dnn.Slab{{T: 1}}, Y: dnn.Slab{T: 2}},
		dnn.Sum{Rows: full.Batch, Width: full.In, Y: dnn.Slab{T: 4, Stride: full.In},
			X: []dnn.Slab{{T: 1, Offset: 3, Stride: full.In + 2}, {T: 2, Stride: full.In}, {T: 3, Offset: 1, Stride: full.In + 9}}},
		r.update(count, dnn.Kernels{C: 1, H: 1, W: 1}, false))
}

// update returns one of more parameters than a launch takes.
func (r *rig) update(count int, k dnn.Kernels, narrow bool) dnn.Op {
	u := dnn.Update{Momentum: 0.9, Control: 1}
	for i := range dnn.Tensor(kernels.MaxParams + 2) {
		p := dnn.Param{Count: count, Kernels: k, Decay: 5e-4, Rate: 2, Index: r.IntN(4), G: 2 + 4*i, W: 3 + 4*i, V: 4 + 4*i, Narrow: narrow}
		if narrow {
			p.Copy = 5 + 4*i
		}
		u.Params = append(u.Params, p)
	}
	return u
}

// halves returns one of each operation in bfloat16 that has it, with random odd
// sizes, or sizes as networks have them: channels in eights.
func (r *rig) halves() []dnn.Op {
	var list []dnn.Op
	add := func(op dnn.Op) { list = append(list, op) }
	even := 1
	if r.IntN(2) == 0 {
		even = 8
	}
	for _, op := range r.operations() {
		switch o := op.(type) {
		case dnn.Input:
			o.Format = dnn.BFloat16Last
			add(o)
			o.Fold = dnn.Fold{Side: r.between(1, 4)}
			o.Fold.Channels = 3*o.Fold.Side*o.Fold.Side + r.IntN(6)
			o.Pad, o.Folded = r.IntN(3), dnn.Shape{C: o.Fold.Channels, H: r.between(1, 5), W: r.between(1, 5)}
			add(o)
		case dnn.ConvForward:
			o.Format, o.In.C, o.Out.C = dnn.BFloat16Last, even*o.In.C, even*o.Out.C
			add(o)
		case dnn.ConvBackwardData:
			o.Format, o.In.C, o.Out.C = dnn.BFloat16Last, even*o.In.C, even*o.Out.C
			add(o)
		case dnn.ConvBackwardWeights:
			o.Format, o.In.C, o.Out.C = dnn.BFloat16Last, even*o.In.C, even*o.Out.C
			add(o)
		case dnn.FullForward:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.FullBackwardData:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.FullBackwardWeights:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.ActivationForward:
			o.Format = dnn.BFloat16Last
			add(o)
		case dnn.ActivationBackward:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.MaxPoolForward:
			o.Format, o.In.C, o.Out.C = dnn.BFloat16Last, even*o.In.C, even*o.Out.C
			add(o)
			add(dnn.NormPoolForward{NormPool: r.normPool(o.Pool), X: 1, Y: 2, Where: 3})
			for i := range 2 {
				add(dnn.NormPoolBackward{NormPool: r.normPool(o.Pool), Relu: i == 1, X: 1, Where: 2, DY: 3, DX: 4})
			}
		case dnn.MaxPoolBackward:
			o.Format, o.In.C, o.Out.C = dnn.BFloat16Last, even*o.In.C, even*o.Out.C
			add(o)
		case dnn.AvgPoolForward:
			o.Format = dnn.BFloat16Last
			add(o)
		case dnn.AvgPoolBackward:
			o.Format = dnn.BFloat16Last
			add(o)
		case dnn.LRNForward:
			if !o.Within {
				o.Format, o.Shape.C = dnn.BFloat16Last, even*o.Shape.C
				add(o)
			}
		case dnn.LRNBackward:
			if !o.Within {
				o.Format, o.Shape.C = dnn.BFloat16Last, even*o.Shape.C
				add(o)
			}
		case dnn.Dropout:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.Scale:
			o.Format = dnn.BFloat16
			add(o)
		case dnn.Sum:
			o.Format = dnn.BFloat16
			add(o)
		}
	}
	shape := dnn.Shape{C: r.between(1, 9), H: r.between(1, 5), W: r.between(1, 5)}
	k := dnn.Kernels{C: shape.C, H: shape.H, W: shape.W}
	if r.IntN(2) == 0 {
		k.Fold.Side = r.between(1, 3)
		k.Fold.Channels = k.Side*k.Side*k.C + r.IntN(5)
	}
	for from := range dnn.BFloat16Last + 1 {
		for to := range dnn.BFloat16Last + 1 {
			add(dnn.Convert{Batch: r.between(1, 3), Shape: shape, From: from, To: to, X: 1, Y: 2})
		}
	}
	add(dnn.Narrow{Count: r.between(1, 5), Kernels: k, X: 1, Y: 2})
	add(r.update(r.between(1, 5), k, true))
	return list
}

// normPool returns a normalisation before a pool: with windows of five or others.
func (r *rig) normPool(p dnn.Pool) dnn.NormPool {
	return dnn.NormPool{Pool: p, LRN: dnn.LRN{Batch: p.Batch, Groups: 1, Format: p.Format, Shape: p.In, Size: []int{5, r.between(1, 6)}[r.IntN(2)],
		Alpha: 0.1, Beta: 0.75, K: 2}}
}

func TestOperations(t *testing.T) {
	const rounds = 12
	for _, p := range []cuda.Precision{cuda.FP32, cuda.TF32, cuda.BF16} {
		for _, autotune := range []bool{false, true} {
			each(t, fmt.Sprintf("%v autotune %v", p, autotune), 1, func(t *testing.T, libs *cuda.Libraries) {
				d, err := libs.New("gpu", 0, cuda.Options{Precision: p, Autotune: autotune, KernelCache: t.TempDir()})
				check(t, err)
				r := newRig(t, d, p, 1)
				for range rounds {
					operations := r.operations
					if p == cuda.BF16 {
						operations = r.halves
					}
					for _, op := range operations() {
						r.run(op)
					}
				}
				r.close()
				check(t, d.Close())
			})
		}
	}
}

// TestReluKeepsNaN: a network that has diverged is seen to have, by whichever
// library its ReLU is done.
func TestReluKeepsNaN(t *testing.T) {
	each(t, "relu", 1, func(t *testing.T, libs *cuda.Libraries) {
		d, err := libs.New("gpu", 0, cuda.Options{KernelCache: t.TempDir()})
		check(t, err)
		r := newRig(t, d, cuda.FP32, 1)
		const batch, in, out = 2, 8, 8
		for _, op := range []dnn.Op{
			dnn.ActivationForward{Count: batch * out, X: 1, Y: 1},
			dnn.FullForward{Full: dnn.Full{Batch: batch, Groups: 1, In: in, Out: out}, Relu: true, X: 2, W: 3, B: 4, Y: 1}, // fused
			dnn.FullForward{Full: dnn.Full{Batch: 1, Groups: 1, In: in, Out: out}, Relu: true, X: 2, W: 3, B: 4, Y: 1},     // apart
		} {
			needs, err := dnn.Needs(op)
			check(t, err)
			for _, n := range needs {
				if r.buffers[0][n.Tensor] != nil {
					continue // Y is X
				}
				mem := make([]byte, n.Bytes)
				if reads, _ := op.Operands(); n.Tensor == reads[0] {
					poison(mem[:4]) // one number
				}
				b, err := d.NewBuffer(n.Bytes)
				check(t, err)
				r.buffers[0][n.Tensor] = b
				check(t, r.streams[0].Upload(b, mem))
			}
			task, err := d.Prepare(op, r.at(0))
			check(t, err)
			y := make([]float32, 1)
			check(t, r.streams[0].Launch(task))
			check(t, r.streams[0].Download(raw.Bytes(y), r.buffers[0][1]))
			check(t, r.streams[0].Synchronize(t.Context()))
			if y[0] == y[0] {
				t.Errorf("%s: %+v: of NaN it makes %g", dnn.NameOf(op), op, y[0])
			}
			check(t, task.Close())
			r.free()
		}
		r.close()
		check(t, d.Close())
	})
}
