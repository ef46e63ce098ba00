// Package shapes draws a data set for first runs and for tests: nothing has to
// be downloaded, and a small convolutional network learns it within minutes.
//
// Every image holds one large round patch of a texture, which is its class,
// among smaller and fainter patches of any class, on a ground of random colour
// and shading, under pixel noise. The textures are stripes in four orientations
// and spots, in black and white and along the two opponent colours of human
// vision, so that telling the classes apart takes oriented and coloured
// first-layer kernels, as in figure 3 of the paper:
//
//	               horizontal  vertical  rising  falling  spots
//	grey               0          1        2        3
//	red-green          4          5                          6
//	blue-yellow                            7        8        9
//
// Place, size, phase, contrast and the ground's colour are random, and each
// texture adds both a colour and its opposite, so that over many images every
// pixel has nearly the same mean in every class. The nearest class mean is no
// better than chance, and a linear softmax errs on two images in three, as the
// tests show.
//
// All of it is integer arithmetic. The bytes are therefore the same on every
// platform, also where compilers fuse floating-point products with sums.
package shapes

import "alexnet/internal/philox"

const (
	Classes = 10 // classes, each equally frequent
	Size    = 32 // height and width of an image in pixels
)

// Names are the labels in words: the colours, then the texture.
var Names = [Classes]string{
	"grey horizontal", "grey vertical", "grey rising", "grey falling",
	"red-green horizontal", "red-green vertical", "red-green spots",
	"blue-yellow rising", "blue-yellow falling", "blue-yellow spots",
}

// An angle is the direction in which a texture's wave runs, in 256ths of a
// turn from the x axis towards the y axis, which points down.
type angle = uint8

const (
	horizontal angle = 64 // the stripes are horizontal, so the wave runs down
	vertical   angle = 0
	rising     angle = 32
	falling    angle = 96
)

var (
	grey       = [3]int{64, 64, 64}
	redGreen   = [3]int{88, -64, 0}
	blueYellow = [3]int{-48, -48, 88}
)

// textures has the look of each class: what a wave of height 1 adds to R, G
// and B, in 64ths, and where it runs.
var textures = [Classes]struct {
	color [3]int
	spots bool
	angle angle // of stripes; spots take any
}{
	{color: grey, angle: horizontal},
	{color: grey, angle: vertical},
	{color: grey, angle: rising},
	{color: grey, angle: falling},
	{color: redGreen, angle: horizontal},
	{color: redGreen, angle: vertical},
	{color: redGreen, spots: true},
	{color: blueYellow, angle: rising},
	{color: blueYellow, angle: falling},
	{color: blueYellow, spots: true},
}

const clutter = 2 // patches beside the one that is the class

// Draw writes image index of a split (0 training, 1 test) into dst, which must
// hold Size*Size*3 bytes: RGB, row after row. It returns the label, index
// modulo Classes. The result depends on nothing but the arguments; any number
// of goroutines may draw at once. It panics if dst is too short.
func Draw(dst []byte, seed uint64, split, index uint32) (label int) {
	_ = dst[Size*Size*3-1]
	label = int(index % Classes)
	s := philox.NewStream(seed, philox.Draw, split, index)
	var c canvas
	c.ground(&s)
	for range clutter {
		c.patch(&s, s.IntN(Classes), between(&s, 4, 6), between(&s, 24, 48))
	}
	c.patch(&s, label, between(&s, 10, 13), between(&s, 56, 88))
	c.develop(&s, dst)
	return label
}

// A canvas is an image in the making: RGB, row after row, with range to spare
// on both sides of 0 to 255.
type canvas [Size * Size * 3]int

// ground gives the canvas a colour that changes linearly across it.
func (c *canvas) ground(s *philox.Stream) {
	for ch := range 3 {
		mid := between(s, 72, 184)
		dx, dy := between(s, -64, 64), between(s, -64, 64) // 64ths a pixel
		for y := range Size {
			for x := range Size {
				c[(y*Size+x)*3+ch] = mid + (dx*(x-Size/2)+dy*(y-Size/2))/64
			}
		}
	}
}

// patch adds a disc of the texture of class, radius in pixels, contrast the
// height of its wave in grey levels.
func (c *canvas) patch(s *philox.Stream, class, radius, contrast int) {
	t := &textures[class]
	margin := radius / 2 // from the centre to the nearest edge, at least
	cx := between(s, margin, Size-1-margin)
	cy := between(s, margin, Size-1-margin)
	a := t.angle + angle(between(s, -7, 7)) // 10 degrees either way
	if t.spots {
		a = angle(s.Uint32())
	}
	if s.Uint32()&1 == 0 {
		contrast = -contrast
	}
	step := (4 << 32) / int64(between(s, 4*4, 4*7)) // from a period in quarter pixels to phase a pixel
	u := newWave(s, a, step)
	v := newWave(s, a+43, step) // 60 degrees on; for spots

	r2 := radius * radius
	for y := max(0, cy-radius); y <= min(Size-1, cy+radius); y++ {
		for x := max(0, cx-radius); x <= min(Size-1, cx+radius); x++ {
			inside := r2 - (x-cx)*(x-cx) - (y-cy)*(y-cy)
			if inside <= 0 {
				continue
			}
			p := u.phase(x, y)
			h := cosine(p)
			if t.spots {
				// Three waves 60 degrees apart whose phases agree
				// make spots on a hexagonal lattice.
				q := v.phase(x, y)
				h = (h + cosine(q) + cosine(q-p)) / 2
			}
			h = h * contrast * min(r2, 2*inside) / r2 // full strength in the inner half
			px := c[(y*Size+x)*3:][:3]
			px[0] += h * t.color[0] / (64 * unit)
			px[1] += h * t.color[1] / (64 * unit)
			px[2] += h * t.color[2] / (64 * unit)
		}
	}
}

// develop adds noise to the canvas, -15 to 15 with a triangular distribution,
// and clips it into dst.
func (c *canvas) develop(s *philox.Stream, dst []byte) {
	for i := 0; i < len(c); i += 4 {
		bits := s.Uint32()
		for j := range 4 {
			noise := int(bits&15) + int(bits>>4&15) - 15
			bits >>= 8
			dst[i+j] = byte(min(max(c[i+j]+noise, 0), 255))
		}
	}
}

// A wave is a plane wave. Phases are in 2^32ths of a turn and wrap around.
type wave struct{ dx, dy, start uint32 }

func newWave(s *philox.Stream, a angle, step int64) wave {
	return wave{
		dx:    uint32(step * int64(cosines[a]) / unit),
		dy:    uint32(step * int64(cosines[a-64]) / unit),
		start: s.Uint32(),
	}
}

func (w wave) phase(x, y int) uint32 { return w.start + w.dx*uint32(x) + w.dy*uint32(y) }

const unit = 1 << 10 // what cosine calls 1

func cosine(phase uint32) int { return cosines[phase>>24] }

// cosines has one turn, by the rational approximation of Bhaskara I, which is
// right to 0.0017 and needs integers only.
var cosines = func() (t [256]int) {
	for i := range 128 {
		k := i * (128 - i)
		v := 16 * k * unit / (5*128*128 - 4*k)
		t[uint8(i-64)], t[uint8(i+64)] = v, -v
	}
	return t
}()

// between returns a number from lo to hi, both included.
func between(s *philox.Stream, lo, hi int) int { return lo + s.IntN(hi-lo+1) }
