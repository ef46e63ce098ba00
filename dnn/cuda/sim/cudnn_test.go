package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/bfloat16"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/internal/reference"
)

// lab is a GPU behind the safe handles, with a stream and a handle of cuDNN.
type lab struct {
	testing.TB
	machine *Machine
	libs    *cuda.Libraries
	ctx     *cu.Context
	stream  *cu.Stream
	dnn     *cudnn.Handle
	random  philox.Stream
}

func newLab(t testing.TB, o Options) *lab {
	t.Helper()
	o.GPUs = 1
	m, err := New(o)
	check(t, err)
	l := &lab{TB: t, machine: m, random: philox.NewStream(o.Seed, philox.Init, 0, 0)}
	t.Cleanup(func() { // after all that it made
		if err := m.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	l.libs, err = m.Libraries()
	check(t, err)
	l.ctx = own(l, l.libs.Driver.PrimaryContext)(0)
	l.stream = own(l, l.ctx.NewStream)(cu.StreamNonBlocking)
	l.dnn = own(l, l.libs.CuDNN.NewHandle)(l.ctx)
	check(t, l.dnn.SetStream(l.stream))
	return l
}

// own returns f, whose results are closed at the end of the test.
func own[A any, T interface{ Close() error }](l *lab, f func(A) (T, error)) func(A) T {
	return func(a A) T {
		l.Helper()
		r, err := f(a)
		return keep(l, r, err)
	}
}

func keep[T interface{ Close() error }](l *lab, r T, err error) T {
	l.Helper()
	check(l, err)
	l.Cleanup(func() {
		if err := r.Close(); err != nil && !l.Failed() {
			l.Error(err)
		}
	})
	return r
}

func (l *lab) between(lo, hi int) int { return lo + l.random.IntN(hi-lo+1) }

func (l *lab) alloc(bytes int64) cu.DevicePtr {
	l.Helper()
	return own(l, l.ctx.MemAlloc)(bytes).Ptr()
}

func (l *lab) bytes(b []byte) cu.DevicePtr {
	l.Helper()
	p := l.alloc(int64(len(b)))
	check(l, l.stream.MemcpyHtoDAsync(p, b))
	return p
}

func (l *lab) read(p cu.DevicePtr, bytes int) []byte {
	l.Helper()
	b := make([]byte, bytes)
	check(l, l.stream.MemcpyDtoHAsync(b, p))
	check(l, l.stream.Synchronize())
	return b
}

func (l *lab) normals(n int) []float32 { return normals(n, uint64(l.random.Uint32())) }

// layout is how a tensor stands in memory: a type and an order, both cuDNN's.
type layout4 struct {
	kind   cudnn.DataType
	format cudnn.TensorFormat
}

// order returns where in memory number i of a NCHW tensor is.
func (f layout4) order(i int, d [4]int) int {
	if f.format == cudnn.NCHW {
		return i
	}
	n, c, h, w := i/(d[1]*d[2]*d[3]), i/(d[2]*d[3])%d[1], i/d[3]%d[2], i%d[3]
	return ((n*d[2]+h)*d[3]+w)*d[1] + c
}

// put takes memory for a tensor of NCHW numbers and returns the numbers as they
// are there, with as many bits as the type has.
func (l *lab) put(f layout4, x []float32, d [4]int) (cu.DevicePtr, []float64) {
	l.Helper()
	kept := make([]float64, len(x))
	there := make([]float32, len(x))
	for i, v := range x {
		kept[i] = float64(v)
		if f.kind == cudnn.BFloat16 {
			kept[i] = rounded(kept[i], 8, math.RoundToEven)
		}
		there[f.order(i, d)] = float32(kept[i])
	}
	if f.kind != cudnn.BFloat16 {
		return l.bytes(raw.Bytes(there)), kept
	}
	var b []byte
	for _, v := range there {
		b = append(b, raw.Bytes([]uint32{math.Float32bits(v)})[2:]...)
	}
	return l.bytes(b), kept
}

// get is the reverse of put.
func (l *lab) get(f layout4, p cu.DevicePtr, d [4]int) []float32 {
	l.Helper()
	x := make([]float32, d[0]*d[1]*d[2]*d[3])
	if f.kind == cudnn.BFloat16 {
		b := l.read(p, 2*len(x))
		for i := range x {
			at := 2 * f.order(i, d)
			x[i] = math.Float32frombits(uint32(b[at])<<16 | uint32(b[at+1])<<24)
		}
		return x
	}
	there := floats(l.read(p, 4*len(x)))
	for i := range x {
		x[i] = there[f.order(i, d)]
	}
	return x
}

// rounded keeps some binary digits, by the first of which a number begins.
func rounded(v float64, digits int, round func(float64) float64) float64 {
	fraction, exponent := math.Frexp(v)
	return math.Ldexp(round(math.Ldexp(fraction, digits)), exponent-digits)
}

// tf32 is x with the 11 digits that TF32 has.
func tf32(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = rounded(v, 11, math.Round)
	}
	return y
}

// Rounding at its edges.
func TestRounding(t *testing.T) {
	for _, test := range []struct{ x, tf32, bf16 uint32 }{ // bits of a float32
		{0x3f800000, 0x3f800000, 0x3f800000},
		{0x3f808000, 0x3f808000, 0x3f800000}, // halves: bfloat16 to the even one
		{0x3f818000, 0x3f818000, 0x3f820000},
		{0x3f808001, 0x3f808000, 0x3f810000},
		{0x3f801000, 0x3f802000, 0x3f800000}, // TF32 away from zero
		{0xbf803000, 0xbf804000, 0xbf800000},
		{0x3f800fff, 0x3f800000, 0x3f800000},
		{0x7f7fffff, 0x7f800000, 0x7f800000}, // to infinity
		{0xff800000, 0xff800000, 0xff800000},
		{0x7fc00000, 0x7fc00000, 0x7fc00000}, // NaN
		{0x7f800001, 0x7f800001, 0x7fc00000},
		{0xffffffff, 0xffffffff, 0xffff0000},
		{0x80000000, 0x80000000, 0x80000000},
	} {
		v := math.Float32frombits(test.x)
		if got := math.Float32bits(toTF32(v)); got != test.tf32 {
			t.Errorf("%#x as TF32: %#x, want %#x", test.x, got, test.tf32)
		}
		if got := uint32(bfloat16.From(v)) << 16; got != test.bf16 {
			t.Errorf("%#x as bfloat16: %#x, want %#x", test.x, got, test.bf16)
		}
	}
}

// blend is what stands in memory at last.
func blend(alpha float32, result []float64, beta float32, old []float64) []float64 {
	y := make([]float64, len(result))
	for i, v := range result {
		y[i] = float64(alpha) * v
		if beta != 0 {
			y[i] += float64(beta) * old[i]
		}
	}
	return y
}

// Tolerances, of norms. Sums in float32 of a few hundred products are off by
// some 1e-7; a result in bfloat16 by 2^-9 for each number, which is less for
// all together. Factors that were rounded where they should not be, or the other way
// round, would be off by 2^-12.
var limits = map[cudnn.DataType]float64{cudnn.Float: 2e-6, cudnn.BFloat16: 4e-3}

// convCase is a convolution with its descriptors.
type convCase struct {
	*lab
	layout4
	op          dnn.Conv
	math        cudnn.MathType
	turned      bool
	x, y        *cudnn.Tensor
	w           *cudnn.Filter
	c           *cudnn.Convolution
	xd, wd, yd  [4]int
	alpha, beta float32
}

func (l *lab) conv() *convCase {
	l.Helper()
	groups := l.between(1, 3)
	o := dnn.Conv{Batch: l.between(1, 4), Groups: groups, In: dnn.Shape{C: groups * l.between(1, 3), H: l.between(3, 9), W: l.between(3, 9)},
		Window: dnn.Window{H: l.between(1, 3), W: l.between(1, 3), Stride: l.between(1, 3), Pad: l.between(0, 2)}}
	o.Out = dnn.Shape{C: groups * l.between(1, 4), H: (o.In.H+2*o.Window.Pad-o.Window.H)/o.Window.Stride + 1, W: (o.In.W+2*o.Window.Pad-o.Window.W)/o.Window.Stride + 1}
	k := &convCase{lab: l, op: o, alpha: float32(l.between(1, 3)), beta: float32(l.between(0, 2)), turned: l.between(0, 1) == 1,
		math:    []cudnn.MathType{cudnn.DefaultMath, cudnn.TensorOpMath, cudnn.FmaMath}[l.between(0, 2)],
		layout4: layout4{[]cudnn.DataType{cudnn.Float, cudnn.BFloat16}[l.between(0, 1)], []cudnn.TensorFormat{cudnn.NCHW, cudnn.NHWC}[l.between(0, 1)]},
		xd:      [4]int{o.Batch, o.In.C, o.In.H, o.In.W}, wd: [4]int{o.Out.C, o.In.C / groups, o.Window.H, o.Window.W}, yd: [4]int{o.Batch, o.Out.C, o.Out.H, o.Out.W}}
	lib := l.libs.CuDNN
	k.x, k.y = l.tensor(k.layout4, k.xd), l.tensor(k.layout4, k.yd)
	w, err := lib.NewFilter(k.kind, k.format, k.wd[0], k.wd[1], k.wd[2], k.wd[3])
	k.w = keep(l, w, err)
	k.c = own(l, lib.NewConvolution)(cudnn.ConvolutionOptions{PadH: o.Window.Pad, PadW: o.Window.Pad, StrideH: o.Window.Stride, StrideW: o.Window.Stride,
		Groups: groups, Flip: k.turned, Math: k.math, Compute: cudnn.Float})
	return k
}

func (l *lab) tensor(f layout4, d [4]int) *cudnn.Tensor {
	l.Helper()
	t, err := l.libs.CuDNN.NewTensor(f.kind, f.format, d[0], d[1], d[2], d[3])
	return keep(l, t, err)
}

// random puts random numbers in memory, and returns them as a factor of products.
func (k *convCase) random(d [4]int) (cu.DevicePtr, []float64, []float64) {
	k.Helper()
	p, x := k.put(k.layout4, k.normals(d[0]*d[1]*d[2]*d[3]), d)
	if k.math == cudnn.FmaMath || k.kind == cudnn.BFloat16 {
		return p, x, x
	}
	return p, x, tf32(x)
}

// kernels turns kernels around if the convolution does.
func (k *convCase) kernels(w []float64) []float64 {
	w = slices.Clone(w)
	if size := k.wd[2] * k.wd[3]; k.turned {
		for i := range k.wd[0] * k.wd[1] {
			slices.Reverse(w[i*size:][:size])
		}
	}
	return w
}

func (k *convCase) String() string {
	return fmt.Sprintf("%+v %v math %v turned %v alpha %v beta %v", k.op, k.layout4, k.math, k.turned, k.alpha, k.beta)
}

// Every algorithm of all three directions against the reference.
func TestConvolutions(t *testing.T) {
	for seed := range uint64(60) {
		l := newLab(t, Options{Seed: seed})
		k := l.conv()
		x, _, xs := k.random(k.xd)
		w, _, ws := k.random(k.wd)
		dy, dyOld, dys := k.random(k.yd)
		ws = k.kernels(ws)
		n, c, height, width, err := k.c.OutputDim(k.x, k.w)
		if check(t, err); [4]int{n, c, height, width} != k.yd {
			t.Fatalf("%v: y is %d %d %d %d", k, n, c, height, width)
		}
		test := func(what string, algorithm cudnn.Perf, d [4]int, result []float64, run func(to, space cu.DevicePtr) error) {
			t.Helper()
			to, old, _ := k.random(d)
			if k.beta == 0 {
				to = l.alloc(int64(4 * len(old))) // poison must not come through
			}
			space := l.bytes(make([]byte, algorithm.Memory))
			check(t, run(to, space))
			near(t, fmt.Sprintf("%s algorithm %d: %v", what, algorithm.Algo, k), l.get(k.layout4, to, d), blend(k.alpha, result, k.beta, old), limits[k.kind])
			if b := l.read(space, int(algorithm.Memory)); slices.ContainsFunc(b, func(b byte) bool { return b != 0xff }) {
				t.Errorf("%s algorithm %d: the workspace is not poison", what, algorithm.Algo)
			}
		}
		list, err := l.dnn.ForwardAlgorithms(k.x, k.w, k.c, k.y)
		check(t, err)
		for _, a := range list {
			test("forward", a, k.yd, reference.Conv(k.op, false, xs, ws, make([]float64, k.op.Out.C)), func(y, space cu.DevicePtr) error {
				return l.dnn.ConvolutionForward(k.alpha, k.x, x, k.w, w, k.c, cudnn.ConvFwdAlgo(a.Algo), space, int64(a.Memory), k.beta, k.y, y)
			})
		}
		list, err = l.dnn.BackwardDataAlgorithms(k.w, k.y, k.c, k.x)
		check(t, err)
		for _, a := range list {
			test("by data", a, k.xd, reference.ConvData(k.op, false, ws, dys), func(dx, space cu.DevicePtr) error {
				return l.dnn.ConvolutionBackwardData(k.alpha, k.w, w, k.y, dy, k.c, cudnn.ConvBwdDataAlgo(a.Algo), space, int64(a.Memory), k.beta, k.x, dx)
			})
		}
		list, err = l.dnn.BackwardFilterAlgorithms(k.x, k.y, k.c, k.w)
		check(t, err)
		dw, _ := reference.ConvWeights(k.op, false, xs, dys)
		for _, a := range list {
			test("by filter", a, k.wd, k.kernels(dw), func(dw, space cu.DevicePtr) error {
				return l.dnn.ConvolutionBackwardFilter(k.alpha, k.x, x, k.y, dy, k.c, cudnn.ConvBwdFilterAlgo(a.Algo), space, int64(a.Memory), k.beta, k.w, dw)
			})
		}
		_, db := reference.ConvWeights(k.op, false, xs, dyOld) // of numbers that are not rounded
		bd := [4]int{1, k.op.Out.C, 1, 1}
		bias := l.tensor(k.layout4, bd)
		test("by bias", cudnn.Perf{}, bd, db, func(db, _ cu.DevicePtr) error {
			return l.dnn.ConvolutionBackwardBias(k.alpha, k.y, dy, k.beta, bias, db)
		})
	}
}

// y = relu(alpha1 w * x + alpha2 z + bias), where z may be y.
func TestConvolutionBiasActivation(t *testing.T) {
	for seed := range uint64(20) {
		l := newLab(t, Options{Seed: seed})
		k := l.conv()
		x, _, xs := k.random(k.xd)
		w, _, ws := k.random(k.wd)
		z, zs, _ := k.random(k.yd)
		bd := [4]int{1, k.op.Out.C, 1, 1}
		b, bs, _ := k.random(bd)
		act, err := l.libs.CuDNN.NewActivation(cudnn.ReLU, cudnn.NotPropagateNan, 0)
		keep(l, act, err)
		y, inPlace := z, seed%2 == 0
		if !inPlace {
			y = l.alloc(int64(4 * len(zs)))
		}
		check(t, l.dnn.ConvolutionBiasActivationForward(k.alpha, k.x, x, k.w, w, k.c, cudnn.FwdImplicitGEMM, 0, 0, k.beta, k.y, z, l.tensor(k.layout4, bd), b, act, k.y, y))
		want := blend(k.alpha, reference.Conv(k.op, false, xs, k.kernels(ws), make([]float64, k.op.Out.C)), k.beta, zs)
		for i := range want {
			want[i] = max(want[i]+bs[i/(k.op.Out.H*k.op.Out.W)%k.op.Out.C], 0)
		}
		near(t, k.String(), l.get(k.layout4, y, k.yd), want, limits[k.kind])

		none, err := l.libs.CuDNN.NewActivation(cudnn.Tanh, cudnn.NotPropagateNan, 0)
		keep(l, none, err)
		if err := l.dnn.ConvolutionBiasActivationForward(1, k.x, x, k.w, w, k.c, cudnn.FwdImplicitGEMM, 0, 0, 0, k.y, z, l.tensor(k.layout4, bd), b, none, k.y, y); !errors.Is(err, cudnn.NotSupported) {
			t.Errorf("tanh: %v", err)
		}
	}
}

// simple is a convolution of float32 whose 3x3 windows every algorithm can do.
func (l *lab) simple() (k *convCase, x, w, y cu.DevicePtr) {
	l.Helper()
	k = &convCase{lab: l, layout4: layout4{cudnn.Float, cudnn.NCHW}, math: cudnn.FmaMath, xd: [4]int{2, 3, 8, 8}, wd: [4]int{4, 3, 3, 3}, yd: [4]int{2, 4, 8, 8}}
	k.x, k.y = l.tensor(k.layout4, k.xd), l.tensor(k.layout4, k.yd)
	filter, err := l.libs.CuDNN.NewFilter(cudnn.Float, cudnn.NCHW, 4, 3, 3, 3)
	k.w = keep(l, filter, err)
	k.c = own(l, l.libs.CuDNN.NewConvolution)(cudnn.ConvolutionOptions{PadH: 1, PadW: 1, Math: k.math, Compute: cudnn.Float})
	x, _, _ = k.random(k.xd)
	w, _, _ = k.random(k.wd)
	y, _, _ = k.random(k.yd)
	return k, x, w, y
}

// The lists of algorithms: some that can, best first, and last some that cannot.
// Measuring them destroys the result, waits, and leaves out those that the
// workspace is too small for.
func TestAlgorithms(t *testing.T) {
	l := newLab(t, Options{Seed: 1})
	k, x, w, y := l.simple()
	all, err := l.dnn.ForwardAlgorithms(k.x, k.w, k.c, k.y)
	check(t, err)
	again, err := l.dnn.ForwardAlgorithms(k.x, k.w, k.c, k.y)
	check(t, err)
	if !slices.Equal(all, again) || len(all) < 3 {
		t.Errorf("%v, then %v", all, again)
	}
	memory := map[uintptr]bool{}
	most := int64(0)
	for _, a := range all {
		memory[a.Memory] = true
		most = max(most, int64(a.Memory))
		if a.Algo == 0 && a.Memory != 0 || a.Time >= 0 || a.Math != cudnn.FmaMath {
			t.Errorf("%+v", a)
		}
	}
	if len(memory) < 3 || !memory[0] {
		t.Errorf("workspaces of %v", memory)
	}
	f, n := l.machine.CuDNN(), int32(0)
	var list [32]cudnn.Perf
	check(t, l.ctx.Enter())
	status := f.GetConvolutionForwardAlgorithm(l.dnn.Raw(), k.x.Raw(), k.w.Raw(), k.c.Raw(), k.y.Raw(), int32(len(list)), &n, &list[0])
	l.ctx.Leave()
	// Those that can are offered with another type of mathematics, too.
	if last := list[n-1]; status != cudnn.Success || int(n) != cudnn.FwdAlgoCount+len(all) || list[0].Math != cudnn.DefaultMath || last.Status != cudnn.NotSupported {
		t.Errorf("%v: %d algorithms, the first %+v, the last %+v", status, n, list[0], last)
	}

	const little = 2000
	found, err := l.dnn.FindForwardAlgorithms(k.x, x, k.w, w, k.c, k.y, y, l.alloc(little), little)
	check(t, err)
	if len(found) == 0 || len(found) >= len(all) {
		t.Errorf("%d algorithms of %d in %d bytes", len(found), len(all), little)
	}
	for i, a := range found {
		if a.Time <= 0 || a.Memory > little || i > 0 && a.Time < found[i-1].Time {
			t.Errorf("%+v", found)
		}
	}
	if !allNaN(l.get(k.layout4, y, k.yd)) {
		t.Error("measuring left the result as it was")
	}
	space := l.alloc(most)
	for _, find := range []func() ([]cudnn.Perf, error){
		func() ([]cudnn.Perf, error) {
			return l.dnn.FindBackwardDataAlgorithms(k.w, w, k.y, y, k.c, k.x, x, space, most)
		},
		func() ([]cudnn.Perf, error) {
			return l.dnn.FindBackwardFilterAlgorithms(k.x, x, k.y, y, k.c, k.w, w, space, most)
		},
	} {
		if _, err := find(); err != nil {
			t.Error(err)
		}
	}
	if !allNaN(l.get(k.layout4, x, k.xd)) || !allNaN(l.get(k.layout4, w, k.wd)) {
		t.Error("measuring backward left the result as it was")
	}
}

// What adds in any order is off by a bit from time to time, the rest never.
func TestDeterminism(t *testing.T) {
	l := newLab(t, Options{Seed: 1})
	k, x, w, y := l.simple()
	data, err := l.dnn.BackwardDataAlgorithms(k.w, k.y, k.c, k.x)
	check(t, err)
	filter, err := l.dnn.BackwardFilterAlgorithms(k.x, k.y, k.c, k.w)
	check(t, err)
	test := func(a cudnn.Perf, adds bool, d [4]int, run func(to, space cu.DevicePtr) error) {
		t.Helper()
		if (a.Determinism == 0) != adds {
			t.Errorf("%+v", a)
		}
		to, space := l.alloc(int64(4*d[0]*d[1]*d[2]*d[3])), l.alloc(int64(a.Memory))
		check(t, run(to, space))
		first := l.get(k.layout4, to, d)
		check(t, run(to, space))
		if same := slices.Equal(first, l.get(k.layout4, to, d)); same != (a.Determinism == 1) {
			t.Errorf("%+v: the same numbers again is %v", a, same)
		}
	}
	for _, a := range data {
		test(a, a.Algo == 0, k.xd, func(dx, space cu.DevicePtr) error {
			return l.dnn.ConvolutionBackwardData(1, k.w, w, k.y, y, k.c, cudnn.ConvBwdDataAlgo(a.Algo), space, int64(a.Memory), 0, k.x, dx)
		})
	}
	for _, a := range filter {
		test(a, a.Algo == 0 || a.Algo == 3, k.wd, func(dw, space cu.DevicePtr) error {
			return l.dnn.ConvolutionBackwardFilter(1, k.x, x, k.y, y, k.c, cudnn.ConvBwdFilterAlgo(a.Algo), space, int64(a.Memory), 0, k.w, dw)
		})
	}
}

// Descriptors and workspaces that do not fit are found by the call; operands in
// the workspace by what comes out.
func TestConvolutionErrors(t *testing.T) {
	l := newLab(t, Options{})
	k, x, w, y := l.simple()
	lib := l.libs.CuDNN
	list, err := l.dnn.ForwardAlgorithms(k.x, k.w, k.c, k.y)
	check(t, err)
	large := list[slices.IndexFunc(list, func(a cudnn.Perf) bool { return a.Algo == 2 })]
	space := l.alloc(int64(large.Memory))
	other := func(o cudnn.ConvolutionOptions) *cudnn.Convolution {
		return own(l, lib.NewConvolution)(o)
	}
	options := cudnn.ConvolutionOptions{PadH: 1, PadW: 1, Compute: cudnn.Float}
	dilated, grouped, halfSums := options, options, options
	dilated.PadH, dilated.PadW, dilated.DilationH, dilated.DilationW = 2, 2, 2, 2
	grouped.Groups = 2
	halfSums.Compute = cudnn.Half
	nhwc := layout4{cudnn.Float, cudnn.NHWC}
	for name, test := range map[string]struct {
		x, y  *cudnn.Tensor
		c     *cudnn.Convolution
		algo  cudnn.ConvFwdAlgo
		space cu.DevicePtr
		bytes int64
		xp    cu.DevicePtr
		want  cudnn.Status
	}{
		"good":                    {k.x, k.y, k.c, 2, space, int64(large.Memory), x, cudnn.Success},
		"a workspace too small":   {k.x, k.y, k.c, 2, space, int64(large.Memory) - 1, x, cudnn.BadParam},
		"no workspace":            {k.x, k.y, k.c, 2, 0, int64(large.Memory), x, cudnn.BadParam},
		"no x":                    {k.x, k.y, k.c, 0, 0, 0, 0, cudnn.BadParam},
		"y of another size":       {k.x, l.tensor(k.layout4, [4]int{2, 4, 8, 7}), k.c, 0, 0, 0, x, cudnn.BadParam},
		"other groups":            {k.x, k.y, other(grouped), 0, 0, 0, x, cudnn.BadParam},
		"other maps":              {l.tensor(k.layout4, [4]int{2, 2, 8, 8}), k.y, k.c, 0, 0, 0, x, cudnn.BadParam},
		"another type":            {k.x, l.tensor(layout4{cudnn.BFloat16, cudnn.NCHW}, k.yd), k.c, 0, 0, 0, x, cudnn.BadParam},
		"double":                  {l.tensor(layout4{cudnn.Double, cudnn.NCHW}, k.xd), k.y, k.c, 0, 0, 0, x, cudnn.NotSupported},
		"another order":           {l.tensor(nhwc, k.xd), k.y, k.c, 0, 0, 0, x, cudnn.NotSupported},
		"dilation":                {k.x, k.y, other(dilated), 0, 0, 0, x, cudnn.NotSupported},
		"half sums":               {k.x, k.y, other(halfSums), 0, 0, 0, x, cudnn.NotSupported},
		"an algorithm not there":  {k.x, k.y, k.c, 3, 0, 0, x, cudnn.NotSupported},
		"an algorithm not at all": {k.x, k.y, k.c, 99, 0, 0, x, cudnn.NotSupported},
	} {
		err := l.dnn.ConvolutionForward(1, test.x, test.xp, k.w, w, test.c, test.algo, test.space, test.bytes, 0, test.y, y)
		var e *cudnn.Error
		if test.want == cudnn.Success && err != nil || test.want != cudnn.Success && (!errors.As(err, &e) || e.Status != test.want || e.Detail == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
	check(t, l.dnn.ConvolutionForward(1, k.x, x, k.w, w, k.c, 2, x, int64(large.Memory), 0, k.y, y)) // all of x and more
	if err := l.stream.Synchronize(); !errors.Is(err, cu.ErrorIllegalAddress) {
		t.Errorf("a workspace that is not there: %v", err)
	}
	l.machine.mu.Lock()
	l.machine.gpus[0].ctx.failed = cu.Success // to go on
	l.machine.mu.Unlock()
	check(t, l.stream.MemcpyDtoDAsync(space, x, 4*2*3*8*8))
	check(t, l.dnn.ConvolutionForward(1, k.x, space, k.w, w, k.c, 2, space, int64(large.Memory), 0, k.y, y))
	if !allNaN(l.get(k.layout4, y, k.yd)) {
		t.Error("x in the workspace did no harm")
	}
	check(t, l.dnn.ConvolutionForward(1, k.x, x, k.w, w, k.c, 2, space, int64(large.Memory), 0, k.y, space))
	if !allNaN(l.get(k.layout4, space, k.yd)) {
		t.Error("y in the workspace did no harm")
	}

	// A stream that is no more, and descriptors that were made and not set.
	f := l.machine.CuDNN()
	var bare cudnn.RawTensor
	f.CreateTensorDescriptor(&bare)
	tensor := keepRaw(l, lib.WrapTensor, cudnn.Float, bare)
	if err := l.dnn.AddTensor(1, tensor, x, 0, k.x, x); !errors.Is(err, cudnn.BadParam) {
		t.Errorf("a descriptor that is not set: %v", err)
	}
	f.DestroyTensorDescriptor(bare)
	d := l.machine.Driver()
	var s cu.CUStream
	check(t, l.ctx.Enter())
	d.StreamCreate(&s, cu.StreamNonBlocking)
	f.SetStream(l.dnn.Raw(), s)
	d.StreamDestroy(s)
	l.ctx.Leave()
	if err := l.dnn.AddTensor(1, k.x, x, 0, k.x, x); !errors.Is(err, cudnn.BadParam) {
		t.Errorf("a stream that was destroyed: %v", err)
	}
}

func keepRaw[R any, T interface{ Close() error }](l *lab, wrap func(cudnn.DataType, R) (T, error), t cudnn.DataType, r R) T {
	l.Helper()
	w, err := wrap(t, r)
	return keep(l, w, err)
}

// AddTensor spreads dimensions of 1, TransformTensor changes strides.
func TestTensors(t *testing.T) {
	l := newLab(t, Options{})
	d := [4]int{2, 3, 2, 4}
	for _, kind := range []cudnn.DataType{cudnn.Float, cudnn.BFloat16} {
		for _, format := range []cudnn.TensorFormat{cudnn.NCHW, cudnn.NHWC} {
			f := layout4{kind, format}
			for mask := range 16 {
				ad := d
				for i := range ad {
					if mask>>i&1 == 1 {
						ad[i] = 1
					}
				}
				a, as := l.put(f, l.normals(ad[0]*ad[1]*ad[2]*ad[3]), ad)
				c, cs := l.put(f, l.normals(48), d)
				check(t, l.dnn.AddTensor(2, l.tensor(f, ad), a, 3, l.tensor(f, d), c))
				want := make([]float64, len(cs))
				for i, old := range cs {
					p := [4]int{i / 24, i / 8 % 3, i / 4 % 2, i % 4}
					at := 0
					for j := range p {
						at = at*ad[j] + p[j]%ad[j]
					}
					want[i] = 2*as[at] + 3*old
				}
				near(t, fmt.Sprintf("%v plus %v", ad, f), l.get(f, c, d), want, limits[kind])
			}
			x, xs := l.put(f, l.normals(48), d)
			to := layout4{kind, cudnn.NHWC - format}
			y := l.alloc(4 * 48)
			check(t, l.dnn.TransformTensor(-1, l.tensor(f, d), x, 0, l.tensor(to, d), y))
			near(t, fmt.Sprintf("%v transformed", f), l.get(to, y, d), blend(-1, xs, 0, nil), 0)
		}
	}
	// Factors are read by the call.
	one := l.tensor(layout4{}, [4]int{1, 1, 1, 1})
	v, w := l.bytes(raw.Bytes([]float32{1})), l.bytes(raw.Bytes([]float32{0}))
	check(t, l.stream.Synchronize())
	check(t, l.dnn.AddTensor(2, one, v, 1, one, w))
	check(t, l.dnn.AddTensor(5, one, v, 10, one, w))
	same(t, "factors", floats(l.read(w, 4)), 25)

	// Strides with gaps, which stay as they are.
	wideDesc, err := l.libs.CuDNN.NewTensorStrided(cudnn.Float, [4]int{1, 2, 1, 2}, [4]int{12, 6, 3, 2})
	keep(l, wideDesc, err)
	x, _ := l.put(layout4{}, []float32{1, 2, 3, 4}, [4]int{1, 2, 1, 2})
	y := l.bytes(raw.Bytes(make([]float32, 10)))
	check(t, l.dnn.TransformTensor(1, l.tensor(layout4{}, [4]int{1, 2, 1, 2}), x, 0, wideDesc, y))
	same(t, "with gaps", floats(l.read(y, 40)), 1, 0, 2, 0, 0, 0, 3, 0, 4, 0)
	check(t, l.dnn.TransformTensor(2, wideDesc, y, 0, wideDesc, y+4)) // from between the gaps to them
	same(t, "into the gaps", floats(l.read(y, 40)), 1, 2, 2, 4, 0, 0, 3, 6, 4, 8)
	check(t, l.dnn.TransformTensor(1, wideDesc, y+8, 0, l.tensor(layout4{}, [4]int{1, 2, 1, 2}), x))
	if err := l.stream.Synchronize(); !errors.Is(err, cu.ErrorIllegalAddress) {
		t.Errorf("the last number is beyond the end: %v", err)
	}
	l.machine.mu.Lock()
	l.machine.gpus[0].ctx.failed = cu.Success
	l.machine.mu.Unlock()
}

func TestActivations(t *testing.T) {
	const n = 301
	type f = func(x float64) float64
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, kind := range []cudnn.DataType{cudnn.Float, cudnn.BFloat16} {
		l := newLab(t, Options{})
		fm, d := layout4{kind, cudnn.NCHW}, [4]int{1, 7, 1, 43}
		for name, test := range map[string]struct {
			mode    cudnn.ActivationMode
			f, grad f // grad is of x
		}{
			"sigmoid": {cudnn.Sigmoid, sigmoid, func(x float64) float64 { return sigmoid(x) * (1 - sigmoid(x)) }},
			"relu":    {cudnn.ReLU, func(x float64) float64 { return max(x, 0) }, func(x float64) float64 { return step(x > 0) }},
			"tanh":    {cudnn.Tanh, math.Tanh, func(x float64) float64 { return 1 - math.Tanh(x)*math.Tanh(x) }},
			"clipped": {cudnn.ClippedReLU, func(x float64) float64 { return min(max(x, 0), 0.5) }, func(x float64) float64 { return step(x > 0 && x < 0.5) }},
			"elu": {cudnn.ELU, func(x float64) float64 { return max(x, 0) + 0.5*(math.Exp(min(x, 0))-1) },
				func(x float64) float64 { return step(x > 0) + step(x <= 0)*0.5*math.Exp(min(x, 0)) }},
		} {
			act, err := l.libs.CuDNN.NewActivation(test.mode, cudnn.PropagateNan, 0.5)
			keep(l, act, err)
			desc := l.tensor(fm, d)
			x, xs := l.put(fm, l.normals(n), d)
			y, old := l.put(fm, l.normals(n), d)
			check(t, l.dnn.ActivationForward(act, 2, desc, x, 0.5, desc, y))
			want := make([]float64, n)
			for i, v := range xs {
				want[i] = test.f(v)
			}
			near(t, name, l.get(fm, y, d), blend(2, want, 0.5, old), limits[kind])

			check(t, l.dnn.ActivationForward(act, 1, desc, x, 0, desc, x)) // in place
			dy, dys := l.put(fm, l.normals(n), d)
			check(t, l.dnn.ActivationBackward(act, 3, desc, x, desc, dy, desc, x, 0, desc, dy))
			for i, v := range xs {
				want[i] = test.grad(v) * dys[i]
			}
			// Told from an output in bfloat16, which is off by 2^-9, a derivative is off by
			// a few times that.
			near(t, name+" backward", l.get(fm, dy, d), blend(3, want, 0, nil), 5*limits[kind])
		}
		identity, err := l.libs.CuDNN.NewActivation(cudnn.Identity, cudnn.PropagateNan, 0)
		keep(l, identity, err)
		x, _ := l.put(fm, l.normals(n), d)
		if err := l.dnn.ActivationForward(identity, 1, l.tensor(fm, d), x, 0, l.tensor(fm, d), x); !errors.Is(err, cudnn.BadParam) {
			t.Errorf("identity: %v", err)
		}
	}
	l := newLab(t, Options{})
	for propagate, want := range map[cudnn.NanPropagation]float32{cudnn.NotPropagateNan: 0, cudnn.PropagateNan: nan} {
		relu, err := l.libs.CuDNN.NewActivation(cudnn.ReLU, propagate, 0)
		keep(l, relu, err)
		d := [4]int{1, 1, 1, 1}
		x, _ := l.put(layout4{}, []float32{nan}, d)
		check(t, l.dnn.ActivationForward(relu, 1, l.tensor(layout4{}, d), x, 0, l.tensor(layout4{}, d), x))
		if got := l.get(layout4{}, x, d)[0]; (got == got) != (want == want) {
			t.Errorf("NaN with %v: %v", propagate, got)
		}
	}
}

func step(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// Pools against the reference; those that count the padding against a mean by
// hand.
func TestPooling(t *testing.T) {
	for seed := range uint64(24) {
		l := newLab(t, Options{Seed: seed})
		f := layout4{[]cudnn.DataType{cudnn.Float, cudnn.BFloat16}[seed/4%2], []cudnn.TensorFormat{cudnn.NCHW, cudnn.NHWC}[seed/8%2]}
		mode := cudnn.PoolingMode(seed % 4)
		p := dnn.Pool{Batch: l.between(1, 3), In: dnn.Shape{C: l.between(1, 3), H: l.between(4, 9), W: l.between(4, 9)},
			Window: dnn.Window{H: l.between(2, 4), W: l.between(2, 4), Stride: l.between(1, 3), Pad: l.between(0, 1)}}
		p.Out = dnn.Shape{C: p.In.C, H: (p.In.H+2*p.Window.Pad-p.Window.H)/p.Window.Stride + 1, W: (p.In.W+2*p.Window.Pad-p.Window.W)/p.Window.Stride + 1}
		xd, yd := [4]int{p.Batch, p.In.C, p.In.H, p.In.W}, [4]int{p.Batch, p.In.C, p.Out.H, p.Out.W}
		pool := own(l, l.libs.CuDNN.NewPooling)(cudnn.PoolingOptions{Mode: mode, Nan: cudnn.PropagateNan, WindowH: p.Window.H, WindowW: p.Window.W,
			PadH: p.Window.Pad, PadW: p.Window.Pad, StrideH: p.Window.Stride, StrideW: p.Window.Stride})
		x, xs := l.put(f, l.normals(p.Batch*p.In.Size()), xd)
		dy, dys := l.put(f, l.normals(p.Batch*p.Out.Size()), yd)
		y, yOld := l.put(f, l.normals(p.Batch*p.Out.Size()), yd)
		dx, dxOld := l.put(f, l.normals(p.Batch*p.In.Size()), xd)
		var wantY, wantDX []float64
		switch mode {
		case cudnn.MaxPooling, cudnn.MaxPoolingDeterministic:
			var where []int32
			wantY, where = reference.MaxPool(p, xs)
			wantDX = reference.MaxPoolData(p, where, dys)
		case cudnn.AverageCountExcludePadding:
			wantY, wantDX = reference.AvgPool(p, xs), reference.AvgPoolData(p, dys)
		case cudnn.AverageCountIncludePadding: // a convolution
			c := dnn.Conv{Batch: p.Batch * p.In.C, Groups: 1, In: dnn.Shape{C: 1, H: p.In.H, W: p.In.W}, Out: dnn.Shape{C: 1, H: p.Out.H, W: p.Out.W}, Window: p.Window}
			w := make([]float64, p.Window.H*p.Window.W)
			for i := range w {
				w[i] = 1 / float64(len(w))
			}
			wantY, wantDX = reference.Conv(c, false, xs, w, []float64{0}), reference.ConvData(c, false, w, dys)
		}
		xt, yt := l.tensor(f, xd), l.tensor(f, yd)
		check(t, l.dnn.PoolingForward(pool, 2, xt, x, 3, yt, y))
		near(t, fmt.Sprintf("mode %d %v %+v", mode, f, p), l.get(f, y, yd), blend(2, wantY, 3, yOld), limits[f.kind])
		check(t, l.dnn.PoolingBackward(pool, 2, yt, y, yt, dy, xt, x, 3, xt, dx))
		near(t, fmt.Sprintf("backward, mode %d %v %+v", mode, f, p), l.get(f, dx, xd), blend(2, wantDX, 3, dxOld), limits[f.kind])

		// One more window, as where windows may hang over the edge, is not cuDNN's.
		wider := yd
		wider[3]++
		if err := l.dnn.PoolingForward(pool, 1, xt, x, 0, l.tensor(f, wider), l.alloc(4096)); !errors.Is(err, cudnn.BadParam) {
			t.Errorf("one window more: %v", err)
		}
	}
}

// LRN by its definition: (n-1)/2 maps before, rounded down, and alpha divided by n.
func TestLRN(t *testing.T) {
	const alpha, beta, k = 0.4, 0.75, 1.5
	for n := 1; n <= 7; n++ {
		l := newLab(t, Options{Seed: uint64(n)})
		f, d := layout4{cudnn.Float, cudnn.TensorFormat(n % 2)}, [4]int{2, l.between(3, 9), 2, 3}
		area := d[2] * d[3]
		lrn, err := l.libs.CuDNN.NewLRN(n, alpha, beta, k)
		keep(l, lrn, err)
		size := d[0] * d[1] * area
		x, xs := l.put(f, l.normals(size), d)
		dy, dys := l.put(f, l.normals(size), d)
		scale, want, wantDX := make([]float64, size), make([]float64, size), make([]float64, size)
		neighbours := func(i int) (list []int) {
			for j := -((n - 1) / 2); j < n-(n-1)/2; j++ {
				if c := i/area%d[1] + j; c >= 0 && c < d[1] {
					list = append(list, i+j*area)
				}
			}
			return list
		}
		for i, v := range xs {
			scale[i] = k
			for _, j := range neighbours(i) {
				scale[i] += alpha / float64(n) * xs[j] * xs[j]
			}
			want[i] = v * math.Pow(scale[i], -beta)
		}
		for i, g := range dys {
			wantDX[i] += g * math.Pow(scale[i], -beta)
			for _, j := range neighbours(i) {
				wantDX[j] -= 2 * alpha / float64(n) * beta * g * want[i] / scale[i] * xs[j]
			}
		}
		desc, y, dx := l.tensor(f, d), l.alloc(int64(4*size)), l.alloc(int64(4*size))
		check(t, l.dnn.LRNCrossChannelForward(lrn, 1, desc, x, 0, desc, y))
		near(t, fmt.Sprintf("n %d", n), l.get(f, y, d), want, limits[cudnn.Float])
		check(t, l.dnn.LRNCrossChannelBackward(lrn, 1, desc, y, desc, dy, desc, x, 0, desc, dx))
		near(t, fmt.Sprintf("n %d backward", n), l.get(f, dx, d), wantDX, limits[cudnn.Float])
	}
	l := newLab(t, Options{})
	for _, bad := range []struct {
		n       int
		beta, k float64
	}{{0, 1, 1}, {17, 1, 1}, {5, 0.009, 1}, {5, 1, 9e-6}} {
		if _, err := l.libs.CuDNN.NewLRN(bad.n, 1, bad.beta, bad.k); !errors.Is(err, cudnn.BadParam) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestSoftmax(t *testing.T) {
	l := newLab(t, Options{})
	d := [4]int{2, 5, 3, 2}
	for _, mode := range []cudnn.SoftmaxMode{cudnn.SoftmaxInstance, cudnn.SoftmaxChannel} {
		for algo := cudnn.SoftmaxFast; algo <= cudnn.SoftmaxLog; algo++ {
			x, xs := l.put(layout4{}, l.normals(60), d)
			dy, dys := l.put(layout4{}, l.normals(60), d)
			together := func(i, j int) bool {
				return i/30 == j/30 && (mode == cudnn.SoftmaxInstance || i%6 == j%6)
			}
			want, wantDX := make([]float64, 60), make([]float64, 60)
			for i := range xs {
				sum := 0.0
				for j, v := range xs {
					if together(i, j) {
						sum += math.Exp(v)
					}
				}
				want[i] = math.Exp(xs[i]) / sum
			}
			for i := range xs { // Jacobians: y_i (1[i=j] - y_j), and of the logarithm 1[i=j] - y_j
				for j, p := range want {
					switch {
					case !together(i, j):
					case algo == cudnn.SoftmaxLog:
						wantDX[i] += dys[j] * (step(i == j) - want[i])
					default:
						wantDX[i] += dys[j] * p * (step(i == j) - want[i])
					}
				}
			}
			if algo == cudnn.SoftmaxLog {
				for i, p := range want {
					want[i] = math.Log(p)
				}
			}
			desc := l.tensor(layout4{}, d)
			check(t, l.dnn.SoftmaxForward(algo, mode, 1, desc, x, 0, desc, x))
			near(t, fmt.Sprint("softmax ", algo, mode), l.get(layout4{}, x, d), want, limits[cudnn.Float])
			check(t, l.dnn.SoftmaxBackward(algo, mode, 1, desc, x, desc, dy, 0, desc, dy))
			near(t, fmt.Sprint("softmax backward ", algo, mode), l.get(layout4{}, dy, d), wantDX, limits[cudnn.Float])
		}
	}
	for algo, overflows := range map[cudnn.SoftmaxAlgorithm]bool{cudnn.SoftmaxFast: true, cudnn.SoftmaxAccurate: false} {
		x, _ := l.put(layout4{}, []float32{100, 0}, [4]int{1, 2, 1, 1})
		desc := l.tensor(layout4{}, [4]int{1, 2, 1, 1})
		check(t, l.dnn.SoftmaxForward(algo, cudnn.SoftmaxChannel, 1, desc, x, 0, desc, x))
		if y := l.get(layout4{}, x, [4]int{1, 2, 1, 1}); (y[0] == 1) == overflows {
			t.Errorf("algorithm %d of 100 and 0: %v", algo, y)
		}
	}
}
