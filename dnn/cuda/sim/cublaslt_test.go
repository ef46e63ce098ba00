package sim

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/cublaslt"
	"alexnet/dnn/cuda/cudnn"
	"alexnet/internal/raw"
)

// matrix puts random numbers into memory by columns, ld apart, and returns
// element i, j.
func (l *lab) matrix(kind cublaslt.DataType, rows, cols, ld int) (cu.DevicePtr, func(i, j int) float64) {
	l.Helper()
	f := layout4{cudnn.Float, cudnn.NCHW}
	if kind == cublaslt.BFloat16 {
		f.kind = cudnn.BFloat16
	}
	p, x := l.put(f, l.normals(ld*cols), [4]int{1, 1, cols, ld})
	return p, func(i, j int) float64 { return x[j*ld+i] }
}

// Products against sums by definition, with every algorithm.
func TestMatmul(t *testing.T) {
	for seed := range uint64(60) {
		l := newLab(t, Options{Seed: seed})
		h := own(l, l.libs.CuBLASLt.NewHandle)(l.ctx)
		m, n, k := l.between(1, 20), l.between(1, 20), l.between(1, 20)
		p := cublaslt.Product{Compute: cublaslt.Compute32F, TransA: cublaslt.Operation(l.between(0, 1)), TransB: cublaslt.Operation(l.between(0, 1)),
			Epilogue: []cublaslt.Epilogue{cublaslt.EpilogueDefault, cublaslt.EpilogueReLU, cublaslt.EpilogueBias, cublaslt.EpilogueReLUBias}[l.between(0, 3)]}
		kind, result := cublaslt.Float32, cublaslt.Float32
		tf := false
		switch l.between(0, 3) {
		case 0:
			p.Compute, tf = cublaslt.Compute32FFastTF32, true
		case 1:
			kind = cublaslt.BFloat16
		case 2:
			kind, result = cublaslt.BFloat16, cublaslt.BFloat16
		}
		sides := func(op cublaslt.Operation, rows, cols int) (int, int) {
			if op == cublaslt.Trans {
				return cols, rows
			}
			return rows, cols
		}
		matrix := func(kind cublaslt.DataType, rows, cols int) (cublaslt.Matrix, cu.DevicePtr, func(i, j int) float64) {
			ld := rows + l.between(0, 3)
			at, x := l.matrix(kind, rows, cols, ld)
			return cublaslt.Matrix{Type: kind, Rows: rows, Cols: cols, LD: ld}, at, x
		}
		rows, cols := sides(p.TransA, m, k)
		var a, b, d, bias cu.DevicePtr
		var as, bs, old, biases func(i, j int) float64
		p.A, a, as = matrix(kind, rows, cols)
		rows, cols = sides(p.TransB, k, n)
		p.B, b, bs = matrix(kind, rows, cols)
		p.D, d, old = matrix(result, m, n)
		p.BiasType = result
		bias, biases = l.matrix(result, m, 1, m)
		product, err := h.NewMatmul(p, 1<<20)
		biased := p.Epilogue == cublaslt.EpilogueBias || p.Epilogue == cublaslt.EpilogueReLUBias
		if biased && min(m, n, k) == 1 {
			if !errors.Is(err, cublaslt.NotSupported) {
				t.Errorf("%v: a bias for a matrix with a side of 1: %v", p, err)
			}
			continue
		}
		keep(l, product, err)
		if biased {
			check(t, product.SetBias(bias))
		}
		alpha, beta := float32(l.between(1, 3)), float32(l.between(0, 2))
		list := product.Algorithms()
		if len(list) != 3 {
			t.Errorf("%d algorithms", len(list))
		}
		var want []float64
		for j := range n {
			for i := range m {
				sum := 0.0
				for c := range k {
					ai, aj := sides(p.TransA, i, c)
					bi, bj := sides(p.TransB, c, j)
					x, y := as(ai, aj), bs(bi, bj)
					if tf {
						x, y = tf32([]float64{x})[0], tf32([]float64{y})[0]
					}
					sum += x * y
				}
				v := float64(alpha)*sum + float64(beta)*old(i, j)
				if biased {
					v += biases(i, 0)
				}
				if p.Epilogue == cublaslt.EpilogueReLU || p.Epilogue == cublaslt.EpilogueReLUBias {
					v = max(v, 0)
				}
				want = append(want, v)
			}
		}
		before := l.read(d, 2*p.D.LD*n) // in any type not too much
		for _, algorithm := range list {
			product.SetAlgorithm(algorithm)
			check(t, l.stream.MemcpyHtoDAsync(d, before))
			if result == cublaslt.Float32 {
				restore(l, d, p.D.LD*n, old, p.D.LD)
			}
			space := l.alloc(product.Workspace())
			check(t, product.Run(alpha, a, b, beta, d, space, product.Workspace(), l.stream))
			f, td := layout4{cudnn.Float, cudnn.NCHW}, [4]int{1, 1, n, p.D.LD}
			limit := limits[cudnn.Float]
			if result == cublaslt.BFloat16 {
				f.kind, limit = cudnn.BFloat16, limits[cudnn.BFloat16]
			}
			there := l.get(f, d, td)
			var got []float32
			for j := range n {
				got = append(got, there[j*p.D.LD:][:m]...)
				for i := m; i < p.D.LD; i++ {
					if float64(there[j*p.D.LD+i]) != old(i, j) {
						t.Fatalf("%v: what is between the columns was written", p)
					}
				}
			}
			near(t, fmt.Sprint(p), got, want, limit)
			product.SetAlgorithm(algorithm)
		}
	}
}

// restore puts a float32 matrix back.
func restore(l *lab, p cu.DevicePtr, n int, old func(i, j int) float64, ld int) {
	l.Helper()
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(old(i%ld, i/ld))
	}
	check(l, l.stream.MemcpyHtoDAsync(p, raw.Bytes(x)))
}

// What an algorithm was not found for, and what cuBLASLt does not do.
func TestMatmulErrors(t *testing.T) {
	l := newLab(t, Options{})
	h := own(l, l.libs.CuBLASLt.NewHandle)(l.ctx)
	matrix := func(kind cublaslt.DataType, rows, cols int) cublaslt.Matrix {
		return cublaslt.Matrix{Type: kind, Rows: rows, Cols: cols, LD: rows}
	}
	single, half := cublaslt.Float32, cublaslt.BFloat16
	product := func(a, b, d cublaslt.DataType, c cublaslt.ComputeType) cublaslt.Product {
		return cublaslt.Product{A: matrix(a, 4, 3), B: matrix(b, 3, 5), D: matrix(d, 4, 5), Compute: c}
	}
	odd := product(single, single, single, cublaslt.Compute32F)
	odd.Epilogue = 77
	biased := product(half, half, single, cublaslt.Compute32F)
	biased.Epilogue, biased.BiasType = cublaslt.EpilogueBias, half
	for name, p := range map[string]cublaslt.Product{
		"different factors":       product(single, half, single, cublaslt.Compute32F),
		"a result of lesser type": product(single, single, half, cublaslt.Compute32F),
		"bfloat16 by way of TF32": product(half, half, single, cublaslt.Compute32FFastTF32),
		"an epilogue not there":   odd,
		"a bias of another type":  biased,
	} {
		if m, err := h.NewMatmul(p, 0); !errors.Is(err, cublaslt.NotSupported) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}

	// The same by hand, since package cublaslt does not let it come to this.
	f, handle := l.machine.CuBLASLt(), h.Raw()
	var desc cublaslt.RawMatmul
	var pref cublaslt.RawPreference
	f.MatmulDescCreate(&desc, cublaslt.Compute32F, single)
	f.MatmulPreferenceCreate(&pref)
	layouts := map[string]cublaslt.RawLayout{}
	for name, m := range map[string]cublaslt.Matrix{"a": matrix(single, 4, 3), "b": matrix(single, 3, 5), "d": matrix(single, 4, 5),
		"wide": matrix(single, 3, 6), "wide d": matrix(single, 4, 6), "far": {Type: single, Rows: 4, Cols: 5, LD: 7}, "short": {Type: single, Rows: 4, Cols: 5, LD: 3}} {
		var r cublaslt.RawLayout
		f.MatrixLayoutCreate(&r, m.Type, uint64(m.Rows), uint64(m.Cols), int64(m.LD))
		layouts[name] = r
	}
	check(t, l.ctx.Enter())
	defer l.ctx.Leave()
	ask := func(d string) ([]cublaslt.HeuristicResult, cublaslt.Status) {
		list, n := make([]cublaslt.HeuristicResult, 9), int32(0)
		s := f.MatmulAlgoGetHeuristic(handle, desc, layouts["a"], layouts["b"], layouts["d"], layouts[d], pref, 9, &list[0], &n)
		return list[:n], s
	}
	if list, s := ask("d"); s != cublaslt.Success || len(list) != 1 || list[0].WorkspaceSize != 0 {
		t.Errorf("without a workspace: %v, %v", list, s)
	}
	limit, align := uint64(100), uint32(16)
	f.MatmulPreferenceSetAttribute(pref, cublaslt.PreferenceMaxWorkspace, unsafe.Pointer(&limit), 8)
	for a := cublaslt.PreferenceAlignmentA; a <= cublaslt.PreferenceAlignmentD; a++ {
		f.MatmulPreferenceSetAttribute(pref, a, unsafe.Pointer(&align), 4)
	}
	list, _ := ask("d")
	i := slices.IndexFunc(list, func(r cublaslt.HeuristicResult) bool { return r.WorkspaceSize == 80 })
	if len(list) != 2 || i < 0 {
		t.Fatalf("in 100 bytes: %+v", list)
	}
	for _, d := range []string{"far", "short", "wide d"} {
		if _, s := ask(d); s != cublaslt.InvalidValue {
			t.Errorf("c unlike d, %s: %v", d, s)
		}
	}
	good, one := list[i].Algo, float32(1)
	scale := unsafe.Pointer(&one)
	p, space := l.alloc(1000), l.alloc(1000)
	run := func(a, b, d cu.DevicePtr, lb, ld string, algo *cublaslt.Algo, space cu.DevicePtr, bytes uintptr) cublaslt.Status {
		return f.Matmul(handle, desc, scale, a, layouts["a"], b, layouts[lb], scale, d, layouts[ld], d, layouts[ld], algo, space, bytes, l.stream.Handle())
	}
	bad := good
	bad[0]++
	for name, test := range map[string]struct{ got, want cublaslt.Status }{
		"good":                       {run(p, p+160, p+320, "b", "d", &good, space, 80), cublaslt.Success},
		"the library's choice":       {run(p, p+160, p+324, "b", "d", nil, 0, 0), cublaslt.Success},
		"too small a workspace":      {run(p, p+160, p+320, "b", "d", &good, space, 79), cublaslt.InvalidValue},
		"no workspace":               {run(p, p+160, p+320, "b", "d", &good, 0, 80), cublaslt.InvalidValue},
		"a workspace out of step":    {run(p, p+160, p+320, "b", "d", &good, space+8, 80), cublaslt.InvalidValue},
		"less alignment than agreed": {run(p, p+168, p+320, "b", "d", &good, space, 80), cublaslt.InvalidValue},
		"other sizes":                {run(p, p+160, p+320, "wide", "wide d", &good, space, 80), cublaslt.InvalidValue},
		"sizes that do not fit":      {run(p, p+160, p+320, "wide", "d", nil, 0, 0), cublaslt.InvalidValue},
		"no algorithm":               {run(p, p+160, p+320, "b", "d", &bad, space, 80), cublaslt.InvalidValue},
		"no address":                 {run(0, p+160, p+320, "b", "d", &good, space, 80), cublaslt.InvalidValue},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v", name, test.got)
		}
	}
	epilogue := cublaslt.EpilogueBias
	f.MatmulDescSetAttribute(desc, cublaslt.MatmulEpilogue, unsafe.Pointer(&epilogue), 4)
	for name, got := range map[string]cublaslt.Status{
		"found for another epilogue":   run(p, p+160, p+320, "b", "d", &good, space, 80),
		"a bias nowhere":               run(p, p+160, p+320, "b", "d", nil, 0, 0),
		"an attribute of another size": f.MatmulDescSetAttribute(desc, cublaslt.MatmulTransA, scale, 8),
		"an attribute not there":       f.MatmulDescSetAttribute(desc, 99, scale, 4),
		"no alignment":                 f.MatmulPreferenceSetAttribute(pref, cublaslt.PreferenceAlignmentA, unsafe.Pointer(new(uint32)), 4),
		"another kind of sum":          f.MatmulDescCreate(&desc, 64, single),
	} {
		if got != cublaslt.InvalidValue {
			t.Errorf("%s: %v", name, got)
		}
	}
	check(t, l.stream.Synchronize())

	// Factors, descriptors and the algorithm are read by the call.
	epilogue = cublaslt.EpilogueDefault
	f.MatmulDescSetAttribute(desc, cublaslt.MatmulEpilogue, unsafe.Pointer(&epilogue), 4)
	ones := slices.Repeat([]float32{1}, 100)
	check(t, l.stream.MemcpyHtoDAsync(p, raw.Bytes(ones)))
	if s := run(p, p+160, p+320, "b", "d", &good, space, 80); s != cublaslt.Success {
		t.Fatal(s)
	}
	one, good, epilogue = 0, cublaslt.Algo{}, cublaslt.EpilogueReLUBias
	f.MatmulDescSetAttribute(desc, cublaslt.MatmulEpilogue, unsafe.Pointer(&epilogue), 4)
	same(t, "3 products and what was there", floats(l.read(p+320, 80)), slices.Repeat([]float32{4}, 20)...)
	f.MatmulDescDestroy(desc)
	f.MatmulPreferenceDestroy(pref)
	for _, r := range layouts {
		f.MatrixLayoutDestroy(r)
	}
}
