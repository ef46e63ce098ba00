package picture

import (
	"fmt"
	"image"
	"math"
	"slices"
	"testing"

	"alexnet/internal/native"
	"alexnet/internal/testenv"
)

var allRatios = []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
	image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410}

// steps are the columns and the rows that share a sample.
func steps(r image.YCbCrSubsampleRatio) (right, down int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// repeated says whether chroma is repeated and not interpolated.
func repeated(m *image.YCbCr) bool {
	right, down := steps(m.SubsampleRatio)
	return right*down == 1 || right == 4 || right == 2 && m.Rect.Dx() <= 4
}

// slowChroma is the chroma of a pixel in float64: the samples lie in the middle of
// the pixels that share them, and between them chroma is linear. Beside the image
// it is as at the edge.
func slowChroma(m *image.YCbCr, plane []byte, y, x int) float64 {
	right, down := steps(m.SubsampleRatio)
	sample := func(v, u int) float64 {
		v = min(max(v, 0), (m.Rect.Dy()+down-1)/down-1)
		u = min(max(u, 0), (m.Rect.Dx()+right-1)/right-1)
		return float64(plane[v*m.CStride+u])
	}
	if repeated(m) {
		return sample(y/down, x/right)
	}
	// The centre of pixel y is at y + 1/2, the centre of sample v at (v + 1/2) down.
	v, u := (float64(y)+0.5)/float64(down)-0.5, (float64(x)+0.5)/float64(right)-0.5
	v0, u0 := math.Floor(v), math.Floor(u)
	fv, fu := v-v0, u-u0
	i, j := int(v0), int(u0)
	return (1-fv)*((1-fu)*sample(i, j)+fu*sample(i, j+1)) + fv*((1-fu)*sample(i+1, j)+fu*sample(i+1, j+1))
}

// twin is slowChroma rounded. A half is rounded down or up by the parity of the
// column or, if columns share nothing, of the row.
func twin(m *image.YCbCr, plane []byte, y, x int) byte {
	v := slowChroma(m, plane, y, x)
	up := x%2 == 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		up = x%2 == 0
	case image.YCbCrSubsampleRatio440:
		up = y%2 == 1
	}
	if up {
		return byte(math.Floor(v + 0.5))
	}
	return byte(math.Ceil(v - 0.5))
}

// checkPlanes compares n pixels of row y from x on with the twin.
func checkPlanes(t *testing.T, m *planes, y, x, n int) {
	t.Helper()
	got := make([]uint64, n)
	m.read(got, y, x)
	for i, p := range got {
		if want := m.colors.pixel(m.Y[m.YOffset(x+i, y)], twin(m.YCbCr, m.Cb, y, x+i), twin(m.YCbCr, m.Cr, y, x+i)); p != want {
			t.Fatalf("%v of %dx%d: pixel %d, %d, read from %d to %d, is %x, want %x", m.SubsampleRatio, m.Rect.Dy(), m.Rect.Dx(), y, x+i, x, x+n, p, want)
		}
	}
}

// Images from one pixel on, of each sampling, at each edge.
func TestChromaAgainstTwin(t *testing.T) {
	for _, r := range allRatios {
		for _, height := range []int{1, 2, 3, 4, 5, 8, 17} {
			for width := range 23 {
				m := &planes{YCbCr: image.NewYCbCr(image.Rect(0, 0, width+1, height), r), colors: ycc}
				noise(m.Y)
				noise(m.Cb)
				noise(m.Cr)
				slices.Reverse(m.Cr)
				for y := range height {
					for x := range width + 1 {
						for n := range width + 1 - x {
							checkPlanes(t, m, y, x, n+1)
						}
					}
				}
			}
		}
	}
}

// An edge between two colours becomes a ramp of four pixels, not a step between
// two, and lies where it did.
func TestEdgeOfColour(t *testing.T) {
	m := &planes{YCbCr: image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), colors: ycc}
	for i := range m.Y {
		m.Y[i] = 128
	}
	for i := range m.Cb {
		m.Cb[i] = 128
		m.Cr[i] = 128 + byte(i%4/2*80) // 2 columns of samples each
	}
	row := make([]uint64, 8)
	m.read(row, 3, 0)
	for x, cr := range []float64{0, 0, 0, 20, 60, 80, 80, 80} {
		if got, want := float64(row[x]&0xff), 128+1.402*cr; math.Abs(got-want) > 0.5 {
			t.Errorf("column %d: red is %g, want %g", x, got, want)
		}
	}
}

// The chroma of an image with opacity is interpolated, too, and then lies on black.
func TestChromaUnderOpacity(t *testing.T) {
	m := image.NewNYCbCrA(image.Rect(0, 0, 21, 14), image.YCbCrSubsampleRatio420)
	for _, plane := range [][]byte{m.Y, m.Cb, m.Cr, m.A} {
		noise(plane)
	}
	var d decoded
	d.take(m, 14, 21)
	row := make([]uint64, 21)
	for y := range 14 {
		d.rows.read(row, y, 0)
		for x, p := range row {
			opaque := ycc.pixel(m.Y[m.YOffset(x, y)], twin(&m.YCbCr, m.Cb, y, x), twin(&m.YCbCr, m.Cr, y, x))
			for c := range 3 {
				got, full := float64(p>>(c*laneBits)&0xff), float64(opaque>>(c*laneBits)&0xff)
				if want := full * float64(m.A[m.AOffset(x, y)]) / 255; math.Abs(got-want) > 0.5 {
					t.Fatalf("pixel %d, %d: channel %d is %g, want %g", y, x, c, got, want)
				}
			}
		}
	}
}

// Reading rows takes no memory after the first.
func TestPlanesNoAllocation(t *testing.T) {
	for name, m := range kinds(40, 60) {
		row := make([]uint64, 60)
		m.read(row, 0, 0)
		if n := testing.AllocsPerRun(10, func() {
			for y := range 40 {
				m.read(row, y, 0)
			}
		}); n != 0 {
			t.Errorf("%s: %g allocations for 40 rows", name, n)
		}
	}
}

// Chroma of any size, any sampling and any part of a row is as the twin has it.
func FuzzPlanes(f *testing.F) {
	for i := range allRatios {
		f.Add(byte(i), byte(9), byte(7), byte(4), byte(2), byte(5), []byte("chroma"))
	}
	f.Fuzz(func(t *testing.T, ratio, height, width, y, x, n byte, fill []byte) {
		h, w := 1+int(height)%64, 1+int(width)%64
		m := &planes{YCbCr: image.NewYCbCr(image.Rect(0, 0, w, h), allRatios[int(ratio)%len(allRatios)]), colors: ycc}
		for i, plane := range [][]byte{m.Y, m.Cb, m.Cr} {
			for j := range plane {
				if len(fill) > 0 {
					plane[j] = fill[(j*(i+1)+i)%len(fill)]
				}
			}
		}
		from := int(x) % w
		checkPlanes(t, m, int(y)%h, from, 1+int(n)%(w-from))
	})
}

// libjpegPlanes decodes a JPEG of luma and chroma with libturbojpeg, up to the point
// where chroma is interpolated.
func libjpegPlanes(t testing.TB, file []byte) *image.YCbCr {
	t.Helper()
	l := library(t)
	lib, err := native.Open([]string{l.path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var toPlanes func(handle uintptr, file *byte, size uintptr, dst *byte, width, pad, height, flags int32) int32
	if err := lib.Bind([]native.Binding{native.Func8(&toPlanes, "int tjDecompressToYUV2(tjhandle handle, const unsigned char *jpegBuf, unsigned long jpegSize, unsigned char *dstBuf, int width, int pad, int height, int flags)")}); err != nil {
		t.Fatal(err)
	}
	handle := l.initDecompress()
	defer l.destroy(handle)
	d := turbo{library: l, file: file}
	if !d.read(handle) {
		t.Fatal("its header cannot be read")
	}
	ratio, ok := map[int32]image.YCbCrSubsampleRatio{ // enum TJSAMP
		0: image.YCbCrSubsampleRatio444, 1: image.YCbCrSubsampleRatio422, 2: image.YCbCrSubsampleRatio420,
		4: image.YCbCrSubsampleRatio440, 5: image.YCbCrSubsampleRatio411}[d.header.subsampling]
	if !ok {
		t.Fatalf("sampling %d", d.header.subsampling)
	}
	height, width := int(d.header.height), int(d.header.width)
	right, down := steps(ratio)
	// Each plane is as large as whole samples of chroma.
	columns, rows := (width+right-1)/right, (height+down-1)/down
	luma, size := columns*right*rows*down, columns*rows
	b := make([]byte, luma+2*size)
	if toPlanes(handle, &file[0], uintptr(len(file)), &b[0], int32(width), 1, int32(height), tjFlagAccurateDCT) != 0 {
		t.Fatal("it cannot be decoded")
	}
	return &image.YCbCr{Y: b[:luma], Cb: b[luma:][:size], Cr: b[luma+size:], YStride: columns * right, CStride: columns,
		SubsampleRatio: ratio, Rect: image.Rect(0, 0, width, height)}
}

// The subsampled ones among 700 photographs: from libjpeg-turbo's own samples of
// chroma come its own pixels, all of them, and so its packed pixels.
func TestChromaIsLibjpegsOnPhotographs(t *testing.T) {
	library(t)
	every := 1
	if testenv.Race {
		every = 20
	}
	count := make(map[image.YCbCrSubsampleRatio]int)
	for name, file := range sample(t, every) {
		l := layoutOf(file)
		if !l.subsampled() {
			continue
		}
		count[l.ratio]++
		for _, o := range []Options{{}, {Size: 256}} {
			d, err := newDecoder(o, library(t))
			if err != nil {
				t.Fatal(err)
			}
			want, err := d.Decode(t.Context(), file, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := libjpegPlanes(t, file)
			w := o.window(p.Rect.Dy(), p.Rect.Dx())
			got := make([]byte, len(want.Pixels))
			new(scaler).scale(got, &planes{YCbCr: p, colors: ycc}, w, o.Filter)
			if d := differ(got, want.Pixels); d != 0 {
				t.Errorf("%s, %v, %+v: a difference of %d", name, p.SubsampleRatio, o, d)
			}
		}
	}
	t.Log("files of each sampling: ", fmt.Sprint(count))
	if every == 1 && (count[image.YCbCrSubsampleRatio420] < 100 || count[image.YCbCrSubsampleRatio422] == 0) {
		t.Errorf("files of each sampling: %v; want some of each", count)
	}
}
