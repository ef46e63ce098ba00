package picture

import (
	"bytes"
	"fmt"
	"image"
	"math"
	"testing"

	"golang.org/x/image/draw"
)

var filters = []Filter{Bicubic, Bilinear, Box, Lanczos}

func TestFilterNames(t *testing.T) {
	for i, name := range []string{"bicubic", "bilinear", "box", "lanczos"} {
		if f, err := ParseFilter(name); err != nil || f != Filter(i) || f.String() != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := ParseFilter("nearest"); err == nil || err.Error() != `there is no filter "nearest"; want one of bicubic, bilinear, box, lanczos` {
		t.Errorf("nearest: %v", err)
	}
	if got := Filter(9).String(); got != "Filter(9)" {
		t.Errorf("unknown: %s", got)
	}
	var zero Options
	if zero.Filter != Bicubic {
		t.Error("the zero value is not bicubic")
	}
}

// The kernels as the literature has them.
func TestKernels(t *testing.T) {
	for f, want := range map[Filter][]float64{ // at 0, 1/4, 1/2, 1, 3/2, 2, 5/2, 3
		Bicubic:  {1, 0.8671875, 0.5625, 0, -0.0625, 0, 0, 0},
		Bilinear: {1, 0.75, 0.5, 0, 0, 0, 0, 0},
		Box:      {1, 1, 1, 0, 0, 0, 0, 0},
		Lanczos:  {1, 0.8900671, 0.6079271, 0, -0.1350949, 0, 0.0243171, 0},
	} {
		for i, x := range []float64{0, 0.25, 0.5, 1, 1.5, 2, 2.5, 3} {
			if got := kernels[f].weight(x); math.Abs(got-want[i]) > 1e-7 {
				t.Errorf("%v at %g: %g, want %g", f, x, got, want[i])
			}
			if x != 0.5 && math.Abs(kernels[f].weight(-x)-want[i]) > 1e-7 {
				t.Errorf("%v at %g and at %g differ", f, x, -x)
			}
		}
	}
}

// scaled runs the scaler over an image of rgbx.
func scaled(m *rgbx, height, width int, o Options) Image {
	w := o.window(height, width)
	dst := Image{Height: w.y.pixels(), Width: w.x.pixels()}
	dst.Pixels = make([]byte, dst.Height*dst.Width*3)
	new(scaler).scale(dst.Pixels, m, w, o.Filter)
	return dst
}

// reference scales in two dimensions at once, in float64, from the definition:
// pixel i of the result, i = 0 being the first of the centre, is the mean of the
// whole image, weighted with the kernel around its place.
func reference(m *rgbx, height, width int, o Options) (pixels []float64, h, w int) {
	side := min(height, width)
	scale := float64(side) / float64(o.Size)
	weights := func(i, length int) []float64 {
		at := float64((length-side)/2) + (float64(i)+0.5)*scale
		list, sum := make([]float64, length), 0.0
		for p := range list {
			list[p] = kernels[o.Filter].weight((float64(p) + 0.5 - at) / max(scale, 1))
			sum += list[p]
		}
		for p := range list {
			list[p] /= sum
		}
		return list
	}
	beside := func(length int) int {
		if !o.Full {
			return 0
		}
		return int(min(math.Floor(float64((length-side)/2)/scale+1e-9), float64(o.Size/2)))
	}
	above, left := beside(height), beside(width)
	h, w = o.Size+2*above, o.Size+2*left
	var across [][]float64
	for x := range w {
		across = append(across, weights(x-left, width))
	}
	for y := range h {
		down := weights(y-above, height)
		for x := range w {
			for c := range 3 {
				v := 0.0
				for sy, a := range down {
					for sx, b := range across[x] {
						if a != 0 && b != 0 {
							v += a * b * float64(m.pixels[sy*m.stride+4*sx+c])
						}
					}
				}
				pixels = append(pixels, v)
			}
		}
	}
	return pixels, h, w
}

// Noise is the hardest to scale. It is of half contrast, because what overshoots
// is clamped after each pass, and the reference has but one.
func TestScaleAgainstReference(t *testing.T) {
	for _, size := range [][3]int{{40, 61, 16}, {61, 40, 16}, {30, 30, 45}, {33, 20, 20}, {17, 90, 5}, {13, 14, 7}, {1, 1, 3}, {1, 9, 4}, {2, 3, 5}, {64, 70, 1}, {31, 64, 9}} {
		height, width := size[0], size[1]
		m := &rgbx{noise(make([]byte, 4*height*width)), 4 * width}
		for i, v := range m.pixels {
			m.pixels[i] = 64 + v/2
		}
		for _, f := range filters {
			for _, full := range []bool{false, true} {
				o := Options{Size: size[2], Filter: f, Full: full}
				got := scaled(m, height, width, o)
				want, h, w := reference(m, height, width, o)
				if got.Height != h || got.Width != w {
					t.Errorf("%dx%d %+v: %dx%d, want %dx%d", height, width, o, got.Height, got.Width, h, w)
					continue
				}
				for i, v := range want {
					// Half a step for each time that it is rounded, and lanczos makes 1.6 of the
					// first half; weights of 12 bits are off by 1/8192, and many are averaged.
					if d := math.Abs(float64(got.Pixels[i]) - v); d > 1.4 {
						t.Fatalf("%dx%d %+v: byte %d is %d, want %g", height, width, o, i, got.Pixels[i], v)
					}
				}
			}
		}
	}
}

// Black and white columns, or rows, overshoot in one pass, and in the other
// nothing happens.
func TestOvershootIsClamped(t *testing.T) {
	for _, size := range []int{9, 30, 64} {
		for _, f := range filters {
			for _, down := range []bool{false, true} {
				const n = 30
				m := &rgbx{make([]byte, 4*n*n), 4 * n}
				for i := range n * n {
					at := i % n
					if down {
						at = i / n
					}
					if at*at/7%2 == 1 {
						copy(m.pixels[4*i:], []byte{255, 255, 255, 7})
					}
				}
				o := Options{Size: size, Filter: f}
				got := scaled(m, n, n, o)
				want, _, _ := reference(m, n, n, o)
				for i, v := range want {
					if d := math.Abs(float64(got.Pixels[i]) - min(max(v, 0), 255)); d > 0.6 { // rounded once, with weights of 12 bits
						t.Fatalf("%d to %d %v, down %v: byte %d is %d, want %g", n, size, f, down, i, got.Pixels[i], v)
					}
				}
			}
		}
	}
}

// x/image/draw scales a square with the same kernel.
func TestScaleAgainstXImage(t *testing.T) {
	for _, c := range [][2]int{{375, 256}, {100, 33}, {40, 64}} {
		n, size := c[0], c[1]
		src := image.NewRGBA(image.Rect(0, 0, n, n))
		for i := range src.Pix {
			y, x := i/4/n, i/4%n
			src.Pix[i] = byte(128 + 60*math.Sin(float64(x*(i%4+1))/9) + 50*math.Cos(float64(y*x)/300))
			if i%4 == 3 {
				src.Pix[i] = 255
			}
		}
		dst := image.NewRGBA(image.Rect(0, 0, size, size))
		draw.CatmullRom.Scale(dst, dst.Rect, src, src.Rect, draw.Src, nil)
		var want []byte
		for i, v := range dst.Pix {
			if i%4 < 3 {
				want = append(want, v)
			}
		}
		got := scaled(&rgbx{src.Pix, src.Stride}, n, n, Options{Size: size})
		if d := differ(got.Pixels, want); d > 1 { // it rounds in another way
			t.Errorf("%d to %d: a difference of %d", n, size, d)
		}
	}
}

// The centre of a full image is the image that is not full.
func TestFullHasTheSameCentre(t *testing.T) {
	for _, size := range [][3]int{{40, 61, 16}, {61, 40, 16}, {30, 31, 45}, {30, 90, 11}, {100, 17, 12}, {20, 200, 20}, {25, 20, 20}, {32, 32, 8}, {7, 500, 3}} {
		height, width, n := size[0], size[1], size[2]
		for name, m := range kinds(height, width) {
			for _, f := range filters {
				run := func(o Options) Image {
					w := o.window(height, width)
					d := Image{Height: w.y.pixels(), Width: w.x.pixels()}
					d.Pixels = make([]byte, 3*d.Height*d.Width)
					new(scaler).scale(d.Pixels, m, w, f)
					return d
				}
				square, full := run(Options{Size: n}), run(Options{Size: n, Full: true})
				what := fmt.Sprintf("%s %dx%d to %d, %v", name, height, width, n, f)
				long, short := max(full.Height, full.Width), min(full.Height, full.Width)
				if short != n || long > MaxAspect*n || (long-n)%2 != 0 || (full.Height > full.Width) != (height > width) && long > n {
					t.Errorf("%s: %dx%d", what, full.Height, full.Width)
				}
				// So much of the image could be there, and one pixel more on each side not.
				if could := (max(height, width) - min(height, width)) / 2 * n / min(height, width); (long-n)/2 != min(could, n/2) {
					t.Errorf("%s: %dx%d, of %d pixels beside the centre", what, full.Height, full.Width, could)
				}
				top, left := (full.Height-n)/2, (full.Width-n)/2
				for y := range n {
					if !bytes.Equal(full.Pixels[3*((top+y)*full.Width+left):][:3*n], square.Pixels[3*y*n:][:3*n]) {
						t.Errorf("%s: row %d of the centre is another", what, y)
						break
					}
				}
			}
		}
	}
}

// A square of the right size is copied, from whatever kind of rows.
func TestUnscaledPixelsAreUnchanged(t *testing.T) {
	const height, width = 21, 34
	for name, m := range kinds(height, width) {
		row := make([]uint64, width)
		var whole []byte
		for y := range height {
			m.read(row, y, 0)
			for _, p := range row {
				whole = append(whole, byte(p), byte(p>>21), byte(p>>42))
			}
		}
		for _, o := range []Options{{}, {Size: height}, {Size: height, Full: true}} {
			w := o.window(height, width)
			got := make([]byte, 3*w.y.pixels()*w.x.pixels())
			new(scaler).scale(got, m, w, Bicubic)
			left, n := (width-w.x.pixels())/2, 3*w.x.pixels()
			for y := range height {
				if !bytes.Equal(got[y*n:][:n], whole[3*(y*width+left):][:n]) {
					t.Errorf("%s %+v: row %d is another", name, o, y)
					break
				}
			}
		}
	}
}

// A part of a row is read as it is in the whole row, wherever it begins and ends.
func TestRowsFromAnywhere(t *testing.T) {
	const width = 19
	for name, m := range kinds(3, width) {
		for y := range 3 {
			whole := make([]uint64, width)
			m.read(whole, y, 0)
			for x := range width {
				for n := range width - x + 1 {
					if n == 0 {
						continue
					}
					part := make([]uint64, n)
					m.read(part, y, x)
					for i, p := range part {
						if p != whole[x+i] || p&^(0xff*ones) != 0 {
							t.Fatalf("%s: pixel %d of row %d, read from %d to %d, is %x, and in the whole row %x", name, x+i, y, x, x+n, p, whole[x+i])
						}
					}
				}
			}
		}
	}
}

// Colours from planes and from inks, against their definitions.
func TestColoursAgainstReference(t *testing.T) {
	near := func(p uint64, want [3]float64, tolerance float64) bool {
		for i, w := range want {
			if math.Abs(float64(p>>(21*i)&0xff)-min(max(w, 0), 255)) > tolerance {
				return false
			}
		}
		return true
	}
	for _, y := range []byte{0, 1, 77, 128, 200, 254, 255} {
		for cb := range 256 {
			for cr := range 256 {
				b, r, l := float64(cb-128), float64(cr-128), float64(y)
				// Half a step for rounding, and 16 bits of fraction.
				if p := ycc.pixel(y, byte(cb), byte(cr)); !near(p, [3]float64{l + 1.402*r, l - 0.344136*b - 0.714136*r, l + 1.772*b}, 0.503) {
					t.Fatalf("YCbCr %d %d %d is %x", y, cb, cr, p)
				}
			}
		}
	}
	row := make([]uint64, 1)
	for c := range 256 {
		for k := range 256 {
			ink := []byte{byte(c), 255, 0, byte(k)}
			(&cmyk{ink, 4, false}).read(row, 0, 0)
			if !near(row[0], [3]float64{float64(c*k) / 255, float64(k), 0}, 0.5) {
				t.Fatalf("CMYK %v is %x", ink, row[0])
			}
		}
	}
}

// Whatever the sizes, no sum of weighted pixels leaves its lane.
func TestSumsStayInTheirLanes(t *testing.T) {
	var a axis
	for _, f := range filters {
		for _, length := range []int{1, 2, 3, 4, 5, 7, 10, 33, 100, 500, 1000, 8192} {
			for _, side := range []int{length, (length + 1) / 2, 1} {
				for _, size := range []int{1, 2, 3, 5, 9, 32, 100, 256, 999} {
					a.set(span{length, (length - side) / 2, side, size, 0}, f)
					for i := range size {
						low, high, sum := 0, 0, 0
						for _, w := range a.weights[i*a.taps:][:a.taps] {
							sum += int(w)
							low += min(int(w), 0)
							high += max(int(w), 0)
						}
						if sum != one || 255*low+biasPixel*one < 0 || 255*high+biasPixel*one+one/2 >= 1<<laneBits || a.start[i]+a.taps > a.read+a.taps || a.start[i] < 0 {
							t.Fatalf("%v, %d of %d pixels to %d: pixel %d weighs %d, from %d to %d, first of %d in %d", f, side, length, size, i, sum, low, high, a.start[i], a.read)
						}
					}
				}
			}
		}
	}
}

// Thousands of weights below the smallest number still make a mean.
func TestWeightsTooSmallToRound(t *testing.T) {
	const n = 8000
	m := &grey{make([]byte, n), n}
	for i := range m.pixels {
		m.pixels[i] = byte(i * 255 / n)
	}
	for _, f := range filters {
		dst := make([]byte, 3)
		new(scaler).scale(dst, m, window{span{1, 0, 1, 1, 0}, span{n, 0, n, 1, 0}}, f)
		if d := int(dst[0]) - 127; d < -1 || d > 1 {
			t.Errorf("%v: the mean of a ramp of %d pixels is %d", f, n, dst[0])
		}
	}
}

// Pixels are stored as bytes, however many there are, and not one byte more.
func TestStore(t *testing.T) {
	for n := range 14 {
		pixels := make([]uint64, n)
		want := noise(make([]byte, 3*n))
		for i := range pixels {
			pixels[i] = spread(uint32(want[3*i]) | uint32(want[3*i+1])<<8 | uint32(want[3*i+2])<<16 | 0xab000000)
		}
		got := make([]byte, 3*n+1)
		store(got[:3*n], pixels)
		if !bytes.Equal(got[:3*n], want) || got[3*n] != 0 {
			t.Errorf("%d pixels: %v, want %v", n, got, want)
		}
	}
}
