package sim

import (
	"math"
	"slices"

	"alexnet/dnn"
	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
	"alexnet/internal/bfloat16"
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
	case kernels.SumColumns:
		a.sumColumns(k, false)
	case kernels.SumColumnsHalf:
		a.sumColumns(kernels.SumColumns(k), true)
	case kernels.AddBias:
		a.addBias(k, false)
	case kernels.AddBiasHalf:
		a.addBias(kernels.AddBias(k), true)
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
		a.dropout(k, dnn.Float32)
	case kernels.DropoutHalf:
		a.dropout(kernels.Dropout(k), dnn.BFloat16)
	case kernels.Scale:
		a.do(dnn.Scale{Count: int(k.Count), Factor: k.Factor, X: 1, Y: 2}, true, k.X, k.Y)
	case kernels.SoftmaxForward:
		a.softmaxForward(k)
	case kernels.SoftmaxStats:
		a.softmaxStats(k)
	case kernels.SoftmaxBackward:
		a.softmaxBackward(k)
	case kernels.Slab:
		a.slab(k, false)
	case kernels.SlabHalf:
		a.slab(kernels.Slab(k), true)
	case kernels.Update:
		a.update(k)
	case kernels.Convert:
		a.do(dnn.Convert{Batch: int(k.Batch), Shape: dnn.Shape{C: int(k.Channels), H: 1, W: int(k.Places)}, From: format(k.XHalf, k.XLast), To: format(k.YHalf, k.YLast), X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.NarrowWeights:
		a.do(dnn.Narrow{Count: int(k.Count), Kernels: folded(k.C, k.H, k.W, k.Side, k.Channels), X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.ScaleHalf:
		a.do(dnn.Scale{Count: int(k.Count), Format: dnn.BFloat16, Factor: k.Factor, X: 1, Y: 2}, true, k.X, k.Y)
	case kernels.ActivationForwardHalf:
		a.do(dnn.ActivationForward{Count: int(k.Count), Format: dnn.BFloat16, Func: dnn.Func(k.Function), X: 1, Y: 2}, true, k.X, k.Y)
	case kernels.ActivationBackwardHalf:
		a.do(dnn.ActivationBackward{Count: int(k.Count), Format: dnn.BFloat16, Func: dnn.Func(k.Function), Y: 1, DY: 2, DX: 3}, true, k.Y, k.DY, k.DX)
	case kernels.InputLast:
		a.inputLast(k)
	case kernels.FitLast:
		a.fitLast(k)
	case kernels.MaxPoolForwardLast:
		a.do(dnn.MaxPoolForward{Pool: poolLast(k.Batch, k.Geometry), X: 1, Y: 2, Where: 3}, false, k.X, k.Y, k.Where)
	case kernels.MaxPoolBackwardLast:
		a.maxPoolBackwardLast(k)
	case kernels.AvgPoolForwardLast:
		a.do(dnn.AvgPoolForward{Pool: poolLast(k.Batch, k.Geometry), X: 1, Y: 2}, false, k.X, k.Y)
	case kernels.AvgPoolBackwardLast:
		a.do(dnn.AvgPoolBackward{Pool: poolLast(k.Batch, k.Geometry), DY: 1, DX: 2}, false, k.DY, k.DX)
	case kernels.NormPoolForward:
		o := normPool(k.Batch, k.Groups, k.Size, k.Alpha, k.Beta, k.K, k.Geometry)
		a.do(dnn.NormPoolForward{NormPool: o, X: 1, Y: 2, Where: 3}, false, k.X, k.Y, orApart(k.Where))
	case kernels.NormPoolBackward:
		o := normPool(k.Batch, k.Groups, k.Size, k.Alpha, k.Beta, k.K, k.Geometry)
		a.do(dnn.NormPoolBackward{NormPool: o, Relu: k.Relu != 0, X: 1, Where: 2, DY: 3, DX: 4}, false, k.X, orApart(k.Where), k.DY, k.DX)
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

func poolLast(batch int32, g kernels.Geometry) dnn.Pool {
	return dnn.Pool{Batch: int(batch), Format: dnn.BFloat16Last, In: shape(g.InC, g.InH, g.InW), Out: shape(g.OutC, g.OutH, g.OutW), Window: window(g)}
}

func normPool(batch, groups, size int32, alpha, beta, k float32, g kernels.Geometry) dnn.NormPool {
	p := poolLast(batch, g)
	return dnn.NormPool{Pool: p, LRN: dnn.LRN{Batch: p.Batch, Groups: int(groups), Format: p.Format, Shape: p.In, Size: int(size),
		Alpha: float64(alpha), Beta: float64(beta), K: float64(k)}}
}

// orApart lets an operand be left out, which is then memory of zeros: with windows of
// one pixel, every one is its window's first.
func orApart(p cu.DevicePtr) cu.DevicePtr {
	if p == 0 {
		return apart
	}
	return p
}

func format(half, last int32) dnn.Format {
	switch {
	case half == 0:
		return dnn.Float32
	case last == 0:
		return dnn.BFloat16
	}
	return dnn.BFloat16Last
}

func folded(c, h, w, side, channels int32) dnn.Kernels {
	return dnn.Kernels{C: int(c), H: int(h), W: int(w), Fold: dnn.Fold{Side: int(side), Channels: int(channels)}}
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
	views, outside := a.outside(views, k.MeanH-k.H, k.MeanW-k.W)
	a.compute(dnn.Input{Batch: int(k.Batch), Out: shape(k.C, k.H, k.W), MeanH: int(k.MeanH), MeanW: int(k.MeanW), Pixels: 1, Views: 2, Mean: 3, Y: 4},
		alignedCopy(pixels), raw.Bytes(views), mean, y)
	for _, n := range outside {
		fill(floats(y[4*size*int64(n):][:4*size]), nan)
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

func (a *access) fitLast(k kernels.FitLast) {
	x := halves(a.read("X", k.X, 2*count(k.Batch, k.C, k.H, k.W), 2))
	y := halves(a.write("Y", k.Y, 2*count(k.Batch, k.C, k.OutH, k.OutW), 2))
	if !a.ready(false) {
		return
	}
	c, height, width, outH, outW := int(k.C), int(k.H), int(k.W), int(k.OutH), int(k.OutW)
	clear(y)
	for n := range int(k.Batch) {
		for i := range min(height, outH) {
			copy(y[(n*outH+i)*outW*c:][:min(width, outW)*c], x[(n*height+i)*width*c:])
		}
	}
}

// inputLast, as input, makes NaN of an image whose patch is not inside the mean.
func (a *access) inputLast(k kernels.InputLast) {
	made := shape(k.Channels, k.OutH, k.OutW)
	pixels := a.read("Pixels", k.Pixels, count(k.Batch, k.C, k.H, k.W), 1)
	views := floats(a.read("Views", k.Views, 4*int64(k.Batch)*dnn.ViewFloats, 4))
	mean := a.read("Mean", k.Mean, 4*count(k.MeanH, k.MeanW, k.C), 4)
	y := a.write("Y", k.Y, 2*count(k.Batch, k.Channels, k.OutH, k.OutW), 2)
	if !a.ready(false) {
		return
	}
	views, outside := a.outside(views, k.MeanH-k.H, k.MeanW-k.W)
	a.compute(dnn.Input{Batch: int(k.Batch), Format: dnn.BFloat16Last, Out: shape(k.C, k.H, k.W), MeanH: int(k.MeanH), MeanW: int(k.MeanW),
		Fold: dnn.Fold{Side: int(k.Side), Channels: int(k.Channels)}, Pad: int(k.Pad), Folded: made, Pixels: 1, Views: 2, Mean: 3, Y: 4},
		alignedCopy(pixels), raw.Bytes(views), mean, y)
	for _, n := range outside {
		poison(y[2*made.Size()*n:][:2*made.Size()])
	}
}

// outside returns the views with those whose patch is not inside the mean, up to
// bottom and right, moved there, and which these are.
func (a *access) outside(views []float32, bottom, right int32) (inside []float32, outside []int) {
	inside = slices.Clone(views)
	for n := range len(inside) / dnn.ViewFloats {
		top, left := &inside[dnn.ViewFloats*n], &inside[dnn.ViewFloats*n+1]
		if !(*top >= 0 && *top <= float32(bottom) && *left >= 0 && *left <= float32(right)) {
			*top, *left = 0, 0
			outside = append(outside, n)
		}
	}
	return inside, outside
}

// alignedCopy returns a copy of bytes that starts where a word may.
func alignedCopy(b []byte) []byte {
	aligned := raw.Bytes(make([]float32, (len(b)+3)/4))[:len(b)]
	copy(aligned, b)
	return aligned
}

func (a *access) sumColumns(k kernels.SumColumns, half bool) {
	n := count(k.Rows, k.Width)
	x := a.numbers("X", k.X, n, half)
	if k.Most < 1 {
		a.fail(cu.ErrorLaunchFailed, "sums of %d rows", k.Most)
		return
	}
	y := floats(a.write("Y", k.Y, 4*count((k.Rows+k.Most-1)/k.Most, k.Width), 4))
	if !a.ready(false) {
		return
	}
	sums := make([]float64, len(y))
	width, most := int(k.Width), int(k.Most)
	for i := range int(n) {
		sums[i/width/most*width+i%width] += float64(x(i))
	}
	for i, sum := range sums {
		y[i] = float32(sum)
	}
}

// numbers returns n numbers that are read, of either kind.
func (a *access) numbers(name string, p cu.DevicePtr, n int64, half bool) func(i int) float32 {
	if half {
		x := halves(a.read(name, p, 2*n, 2))
		return func(i int) float32 { return bfloat16.Float32(x[i]) }
	}
	x := floats(a.read(name, p, 4*n, 4))
	return func(i int) float32 { return x[i] }
}

func (a *access) addBias(k kernels.AddBias, half bool) {
	b := a.numbers("B", k.B, int64(k.Width), half)
	n, width := count(k.Rows, k.Width), int(k.Width)
	sum := func(y float32, i int) float32 {
		if y += b(i % width); k.Relu != 0 {
			y = max(y, 0)
		}
		return y
	}
	if half {
		y := halves(a.write("Y", k.Y, 2*n, 2))
		if a.ready(false) {
			for i := range y {
				y[i] = bfloat16.From(sum(bfloat16.Float32(y[i]), i))
			}
		}
		return
	}
	y := floats(a.write("Y", k.Y, 4*n, 4))
	if a.ready(false) {
		for i := range y {
			y[i] = sum(y[i], i)
		}
	}
}

// update does one parameter after the other.
func (a *access) update(k kernels.Update) {
	list := k.Params[:]
	if n := slices.IndexFunc(list, func(p kernels.Parameter) bool { return p.Count == 0 }); n >= 0 {
		list = list[:n]
	}
	if kernels.NewUpdate(k.Control, k.Momentum, list) != k {
		a.fail(cu.ErrorLaunchFailed, "%d chunks are not those of the %d parameters", k.Chunks, len(list))
		return
	}
	for _, p := range list {
		o := dnn.Param{Count: int(p.Count), Kernels: folded(p.C, p.H, p.Wide, p.Side, p.Channels), Decay: p.Decay, Rate: p.Rate, Index: int(p.Index),
			G: 2, W: 3, V: 4, Narrow: p.Narrow != 0}
		at := []cu.DevicePtr{k.Control, p.G, p.W, p.V}
		if p.Copy != 0 {
			o.Copy = 5
			at = append(at, p.Copy)
		}
		a.do(dnn.Update{Momentum: k.Momentum, Control: 1, Params: []dnn.Param{o}}, false, at...)
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

// maxPoolBackwardLast likewise.
func (a *access) maxPoolBackwardLast(k kernels.MaxPoolBackwardLast) {
	n := count(k.Batch, k.OutC, k.OutH, k.OutW)
	where, dy := ints(a.read("Where", k.Where, 4*n, 4)), halves(a.read("DY", k.DY, 2*n, 2))
	dx := halves(a.write("DX", k.DX, 2*count(k.Batch, k.InC, k.InH, k.InW), 2))
	if !a.ready(false) {
		return
	}
	sums := make([]float32, len(dx))
	c, in := int(k.InC), int(count(k.InH, k.InW))
	for i, g := range dy {
		window, w := i/c, int(where[i])
		row, column := w/int(k.InW), w%int(k.InW)
		top, left := window/int(k.OutW)%int(k.OutH)*int(k.Stride)-int(k.Pad), window%int(k.OutW)*int(k.Stride)-int(k.Pad)
		if w >= 0 && w < in && row >= top && row < top+int(k.KH) && column >= left && column < left+int(k.KW) {
			sums[(window/int(count(k.OutH, k.OutW))*in+w)*c+i%c] += bfloat16.Float32(g)
		}
	}
	for i, v := range sums {
		dx[i] = bfloat16.From(v)
	}
}

// dropout is given a purpose, from which dnn.Dropout's layer does not follow.
func (a *access) dropout(k kernels.Dropout, f dnn.Format) {
	count := int64(k.Batch) * int64(k.Count)
	control := ints(a.read("Control", k.Control, dnn.ControlBytes(0), 4))
	x, y := a.read("X", k.X, f.Bytes()*count, f.Bytes()), a.write("Y", k.Y, f.Bytes()*count, f.Bytes())
	if !a.ready(true) {
		return
	}
	copy(y, x)
	size := int(f.Bytes())
	for i := range int(count) {
		e := uint64(int(k.Before)+i/int(k.Count))*uint64(k.Features) + uint64(int(k.First)+i%int(k.Count))
		if uint64(philox.At(k.Seed, philox.Purpose(k.Purpose), uint32(control[0]), e/4)[e%4]) < k.Threshold {
			clear(y[size*i:][:size])
		}
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
	share := 1 / float32(k.Images)
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
func (a *access) slab(k kernels.Slab, half bool) {
	rows, width := int64(k.Rows), int64(k.Width)
	if rows < 1 || width < 1 {
		return
	}
	far, step := max(k.XOffset, -k.XOffset, k.YOffset, -k.YOffset), max(k.XStride, -k.XStride, k.YStride, -k.YStride)
	if far > limit || step > limit/rows {
		a.fail(cu.ErrorIllegalAddress, "slabs at %d and %d, rows %d and %d apart", k.XOffset, k.YOffset, k.XStride, k.YStride)
		return
	}
	size := int64(4)
	if half {
		size = 2
	}
	// slab returns the memory of all rows, and how far the first is from its start.
	slab := func(name string, p cu.DevicePtr, offset, stride int64, write bool) (mem []byte, first int64) {
		start := min(offset, offset+(rows-1)*stride)
		step := max(stride, -stride)
		return a.operand(name, p+cu.DevicePtr(size*start), size*((rows-1)*step+width), size, write, area{0, rows, size * width, size * step}), offset - start
	}
	x, xFirst := slab("X", k.X, k.XOffset, k.XStride, false)
	y, yFirst := slab("Y", k.Y, k.YOffset, k.YStride, true)
	if a.fault != nil {
		return
	}
	get := func(mem []byte, i int64) float32 {
		if half {
			return bfloat16.Float32(halves(mem)[i])
		}
		return floats(mem)[i]
	}
	n, back := rows*width, a.machine.random.IntN(2) == 1
	for i := range n {
		if back {
			i = n - 1 - i
		}
		v, to := get(x, xFirst+i/width*k.XStride+i%width), yFirst+i/width*k.YStride+i%width
		if k.Add != 0 {
			v += get(y, to)
		}
		if half {
			halves(y)[to] = bfloat16.From(v)
		} else {
			floats(y)[to] = v
		}
	}
}
