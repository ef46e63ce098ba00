package sim

import (
	"math"
	"slices"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
)

// kernel does what a kernel of package kernels does: mostly the operation of
// package dnn that it stands for, on the memory that it may touch.
func (a *access) kernel(args kernels.Args) {
	if _, blocks, _ := args.Kernel(); blocks < 1 {
		return // no thread finds work
	}
	switch k := args.(type) {
	case kernels.Input:
		a.input(k)
	case kernels.Fit:
		a.fit(k)
	case kernels.LocalForward:
		a.do(dnn.LocalForward{Conv: conv(k.Batch, k.Groups, k.Geometry), X: 1, W: 2, B: 3, Y: 4}, false, k.X, k.W, k.B, k.Y)
	case kernels.LocalBackwardData:
		a.do(dnn.LocalBackwardData{Conv: conv(k.Batch, k.Groups, k.Geometry), W: 1, DY: 2, DX: 3}, false, k.W, k.DY, k.DX)
	case kernels.LocalBackwardWeights:
		a.do(dnn.LocalBackwardWeights{Conv: conv(k.Batch, k.Groups, k.Geometry), X: 1, DY: 2, DW: 3, DB: 4}, false, k.X, k.DY, k.DW, apart)
	case kernels.SumRows:
		a.sumRows(k)
	case kernels.AddBias:
		a.addBias(k)
	case kernels.MaxPoolForward:
		a.do(dnn.MaxPoolForward{Pool: pool(k.Planes, k.Geometry), X: 1, Y: 2, Where: 3}, false, k.X, k.Y, k.Where)
	case kernels.MaxPoolBackward:
		a.maxPoolBackward(k)
	case kernels.AvgPoolForward:
		a.do(dnn.AvgPoolForward{Pool: pool(k.Planes, k.Geometry), X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.AvgPoolBackward:
		a.do(dnn.AvgPoolBackward{Pool: pool(k.Planes, k.Geometry), DY: 1, DX: 2}, false, k.DY, k.DX)
	case kernels.LRNAcrossForward:
		l := dnn.LRN{Batch: int(k.Batch), Groups: int(k.Groups), Shape: shape(k.C, k.H, k.W), Size: int(k.Size),
			Alpha: float64(k.Alpha), Beta: float64(k.Beta), K: float64(k.K)}
		a.do(dnn.LRNForward{LRN: l, X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.LRNAcrossBackward:
		l := dnn.LRN{Batch: int(k.Batch), Groups: int(k.Groups), Shape: shape(k.C, k.H, k.W), Size: int(k.Size),
			Alpha: float64(k.Alpha), Beta: float64(k.Beta), K: float64(k.K)}
		a.do(dnn.LRNBackward{LRN: l, X: 1, Y: 2, DY: 3, DX: 4}, false, k.X, k.Y, k.DY, k.DX)
	case kernels.LRNWithinForward:
		l := dnn.LRN{Batch: int(k.Planes), Groups: 1, Shape: shape(1, k.H, k.W), Size: int(k.Size),
			Alpha: float64(k.Alpha), Beta: float64(k.Beta), K: float64(k.K), Within: true}
		a.do(dnn.LRNForward{LRN: l, X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.LRNWithinBackward:
		l := dnn.LRN{Batch: int(k.Planes), Groups: 1, Shape: shape(1, k.H, k.W), Size: int(k.Size),
			Alpha: float64(k.Alpha), Beta: float64(k.Beta), K: float64(k.K), Within: true}
		a.do(dnn.LRNBackward{LRN: l, X: 1, Y: 2, DY: 3, DX: 4}, false, k.X, k.Y, k.DY, k.DX)
	case kernels.Dropout:
		a.dropout(k)
	case kernels.Scale:
		a.do(dnn.Scale{Count: int(k.Count), Factor: k.Factor, X: 1, Y: 2}, true, k.X, k.Y)
	case kernels.SoftmaxForward:
		a.softmaxForward(k)
	case kernels.SoftmaxStats:
		a.softmaxStats(k)
	case kernels.SoftmaxBackward:
		a.softmaxBackward(k)
	case kernels.Slab:
		a.slab(k)
	case kernels.Update:
		a.do(dnn.Update{Count: int(k.Count), Momentum: k.Momentum, Decay: k.Decay, Rate: k.Rate, Index: int(k.Index), Control: 1, G: 2, W: 3, V: 4},
			false, k.Control, k.G, k.W, k.V)
	case kernels.ToBFloat16:
		x, y := floats(a.read("X", k.X, 4*k.Count, 4)), halves(a.write("Y", k.Y, 2*k.Count, 2))
		if a.ready(false) {
			for i, v := range x {
				y[i] = toBFloat16(v)
			}
		}
	case kernels.FromBFloat16:
		x, y := halves(a.read("X", k.X, 2*k.Count, 2)), floats(a.write("Y", k.Y, 4*k.Count, 4))
		if a.ready(false) {
			for i, v := range x {
				y[i] = fromBFloat16(v)
			}
		}
	default:
		name, _, _ := args.Kernel()
		a.fail(cu.ErrorLaunchFailed, "%s is not simulated", name)
	}
}

func shape(c, h, w int32) dnn.Shape { return dnn.Shape{C: int(c), H: int(h), W: int(w)} }

func window(g kernels.Geometry) dnn.Window {
	return dnn.Window{H: int(g.KH), W: int(g.KW), Stride: int(g.Stride), Pad: int(g.Pad)}
}

func conv(batch, groups int32, g kernels.Geometry) dnn.Conv {
	return dnn.Conv{Batch: int(batch), Groups: int(groups), In: shape(g.InC, g.InH, g.InW), Out: shape(g.OutC, g.OutH, g.OutW), Window: window(g)}
}

func pool(planes int32, g kernels.Geometry) dnn.Pool {
	return dnn.Pool{Batch: int(planes), In: shape(1, g.InH, g.InW), Out: shape(1, g.OutH, g.OutW), Window: window(g)}
}

// limit is more than any memory has, and so small that a few bytes for each of as
// many numbers do not overflow.
const limit = 1 << 48

// count returns the count of numbers in a tensor of a kernel: limit if it is
// more, less than 0 if a size is.
func count(sizes ...int32) int64 {
	n := int64(1)
	for _, s := range sizes {
		switch {
		case s < 0:
			return -1
		case s > 0 && n > limit/int64(s):
			return limit
		}
		n *= int64(s)
	}
	return n
}

var nan = float32(math.NaN())

// input makes NaN of an image whose patch is not inside the mean, where dnn.Input
// is an error; and pixels may stand anywhere.
func (a *access) input(k kernels.Input) {
	size, all := count(k.C, k.H, k.W), count(k.Batch, k.C, k.H, k.W)
	pixels := a.read("Pixels", k.Pixels, all, 1)
	views := floats(a.read("Views", k.Views, 4*int64(k.Batch)*dnn.ViewFloats, 4))
	mean := a.read("Mean", k.Mean, 4*count(k.MeanH, k.MeanW, k.C), 4)
	y := a.write("Y", k.Y, 4*all, 4)
	if !a.ready(false) {
		return
	}
	var outside []int64
	views = slices.Clone(views)
	for n := range int64(k.Batch) {
		top, left := &views[dnn.ViewFloats*n], &views[dnn.ViewFloats*n+1]
		if !(*top >= 0 && *top <= float32(k.MeanH-k.H) && *left >= 0 && *left <= float32(k.MeanW-k.W)) {
			*top, *left = 0, 0
			outside = append(outside, n)
		}
	}
	aligned := raw.Bytes(make([]float32, (all+3)/4))[:all]
	copy(aligned, pixels)
	a.compute(dnn.Input{Batch: int(k.Batch), Out: shape(k.C, k.H, k.W), MeanH: int(k.MeanH), MeanW: int(k.MeanW), Pixels: 1, Views: 2, Mean: 3, Y: 4},
		aligned, raw.Bytes(views), mean, y)
	for _, n := range outside {
		fill(floats(y[4*size*n:][:4*size]), nan)
	}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

func (a *access) fit(k kernels.Fit) {
	x := floats(a.read("X", k.X, 4*count(k.Planes, k.H, k.W), 4))
	y := floats(a.write("Y", k.Y, 4*count(k.Planes, k.OutH, k.OutW), 4))
	if !a.ready(false) {
		return
	}
	height, width, outH, outW := int(k.H), int(k.W), int(k.OutH), int(k.OutW)
	for p := range int(k.Planes) {
		for i := range outH {
			row := y[(p*outH+i)*outW:][:outW]
			clear(row)
			if i < height {
				copy(row, x[(p*height+i)*width:][:width])
			}
		}
	}
}

func (a *access) sumRows(k kernels.SumRows) {
	x := floats(a.read("X", k.X, 4*count(k.Rows, k.Width), 4))
	y := floats(a.write("Y", k.Y, 4*int64(k.Width), 4))
	if !a.ready(false) {
		return
	}
	for j := range y {
		sum := 0.0
		for i := j; i < len(x); i += len(y) {
			sum += float64(x[i])
		}
		y[j] = float32(sum)
	}
}

func (a *access) addBias(k kernels.AddBias) {
	b := floats(a.read("B", k.B, 4*int64(k.Width), 4))
	y := floats(a.write("Y", k.Y, 4*count(k.Rows, k.Width), 4))
	if !a.ready(false) {
		return
	}
	for i := range y {
		if y[i] += b[i%len(b)]; k.Relu != 0 {
			y[i] = max(y[i], 0)
		}
	}
}

// maxPoolBackward differs from dnn's in what it makes of places that no window
// can have: nothing.
func (a *access) maxPoolBackward(k kernels.MaxPoolBackward) {
	in, out := int(count(k.InH, k.InW)), int(count(k.OutH, k.OutW))
	where := ints(a.read("Where", k.Where, 4*count(k.Planes, k.OutH, k.OutW), 4))
	dy := floats(a.read("DY", k.DY, 4*count(k.Planes, k.OutH, k.OutW), 4))
	dx := floats(a.write("DX", k.DX, 4*count(k.Planes, k.InH, k.InW), 4))
	if !a.ready(false) {
		return
	}
	clear(dx)
	for i, g := range dy {
		o, w := i%out, int(where[i])
		row, column := w/int(k.InW), w%int(k.InW)
		top, left := o/int(k.OutW)*int(k.Stride)-int(k.Pad), o%int(k.OutW)*int(k.Stride)-int(k.Pad)
		if w >= 0 && w < in && row >= top && row < top+int(k.KH) && column >= left && column < left+int(k.KW) {
			dx[i/out*in+w] += g
		}
	}
}

// dropout is given a purpose, from which dnn.Dropout's layer does not follow.
func (a *access) dropout(k kernels.Dropout) {
	count := int64(k.Batch) * int64(k.Count)
	control := ints(a.read("Control", k.Control, dnn.ControlBytes(0), 4))
	x, y := floats(a.read("X", k.X, 4*count, 4)), floats(a.write("Y", k.Y, 4*count, 4))
	if !a.ready(true) {
		return
	}
	for i, v := range x {
		e := uint64(i/int(k.Count))*uint64(k.Features) + uint64(int(k.First)+i%int(k.Count))
		if uint64(philox.At(k.Seed, philox.Purpose(k.Purpose), uint32(control[0]), e/4)[e%4]) < k.Threshold {
			v = 0
		}
		y[i] = v
	}
}

// softmaxForward does one image after the other, whose statistics are then its
// own. A label that is no class makes a loss of NaN, where dnn.SoftmaxForward is
// an error.
func (a *access) softmaxForward(k kernels.SoftmaxForward) {
	n := 4 * count(k.Batch, k.Classes)
	x, y := a.read("X", k.X, n, 4), a.write("Y", k.Y, n, 4)
	labels := ints(a.read("Labels", k.Labels, 4*int64(k.Batch), 4))
	each := a.write("Each", k.Each, 4*dnn.StatFloats*int64(k.Batch), 4)
	if !a.ready(false) {
		return
	}
	row := 4 * int(k.Classes)
	for i, label := range labels {
		stats := each[4*dnn.StatFloats*i:][:4*dnn.StatFloats]
		none := label >= k.Classes
		if none {
			label = -1
		}
		a.compute(dnn.SoftmaxForward{Batch: 1, Classes: int(k.Classes), X: 1, Y: 2, Labels: 3, Stats: 4},
			x[row*i:][:row], y[row*i:][:row], raw.Bytes([]int32{label}), stats)
		if none {
			copy(floats(stats), []float32{nan, 1, 1})
		}
	}
}

func (a *access) softmaxStats(k kernels.SoftmaxStats) {
	each := floats(a.read("Each", k.Each, 4*dnn.StatFloats*int64(k.Batch), 4))
	stats := floats(a.write("Stats", k.Stats, 4*dnn.StatFloats, 4))
	if !a.ready(false) {
		return
	}
	var sums [dnn.StatFloats]float64
	for i, v := range each {
		sums[i%dnn.StatFloats] += float64(v)
	}
	for i, v := range sums {
		stats[i] = float32(v)
	}
}

func (a *access) softmaxBackward(k kernels.SoftmaxBackward) {
	n := 4 * count(k.Batch, k.Classes)
	y, dx := floats(a.read("Y", k.Y, n, 4)), floats(a.write("DX", k.DX, n, 4))
	labels := ints(a.read("Labels", k.Labels, 4*int64(k.Batch), 4))
	if !a.ready(true) {
		return
	}
	share := 1 / float32(k.Batch)
	for i, v := range y {
		switch label := labels[i/int(k.Classes)]; {
		case label < 0:
			dx[i] = 0
		case label >= k.Classes:
			dx[i] = nan
		case int(label) == i%int(k.Classes):
			dx[i] = (v - 1) * share
		default:
			dx[i] = v * share
		}
	}
}

// slab runs backwards as often as not: slabs that lie over each other without
// being the same make a difference then.
func (a *access) slab(k kernels.Slab) {
	rows, width := int64(k.Rows), int64(k.Width)
	if rows < 1 || width < 1 {
		return
	}
	far, step := max(k.XOffset, -k.XOffset, k.YOffset, -k.YOffset), max(k.XStride, -k.XStride, k.YStride, -k.YStride)
	if far > limit || step > limit/rows {
		a.fail(cu.ErrorIllegalAddress, "slabs at %d and %d, rows %d and %d apart", k.XOffset, k.YOffset, k.XStride, k.YStride)
		return
	}
	// slab returns the memory of all rows, and how far the first is from its start.
	slab := func(name string, p cu.DevicePtr, offset, stride int64, write bool) (mem []float32, first int64) {
		start := min(offset, offset+(rows-1)*stride)
		step := max(stride, -stride)
		return floats(a.operand(name, p+cu.DevicePtr(4*start), 4*((rows-1)*step+width), 4, write, area{0, rows, 4 * width, 4 * step})), offset - start
	}
	x, xFirst := slab("X", k.X, k.XOffset, k.XStride, false)
	y, yFirst := slab("Y", k.Y, k.YOffset, k.YStride, true)
	if a.fault != nil {
		return
	}
	n, back := rows*width, a.machine.random.IntN(2) == 1
	for i := range n {
		if back {
			i = n - 1 - i
		}
		v := x[xFirst+i/width*k.XStride+i%width]
		to := &y[yFirst+i/width*k.YStride+i%width]
		if k.Add != 0 {
			v += *to
		}
		*to = v
	}
}
