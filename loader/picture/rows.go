package picture

import (
	"encoding/binary"
	"image"
)

// rows is a decoded image. Its rows are read as lanes, and only those columns of
// them that are needed.
type rows interface {
	// read reads row y from column x on.
	read(dst []uint64, y, x int)
}

// rgbx is an image of 4 bytes a pixel: red, green, blue, anything.
type rgbx struct {
	pixels []byte
	stride int
}

func (m *rgbx) read(dst []uint64, y, x int) {
	src := m.pixels[y*m.stride+4*x:][:4*len(dst)]
	for len(dst) >= 2 && len(src) >= 8 {
		p := binary.LittleEndian.Uint64(src)
		dst[0], dst[1] = spread(uint32(p)), spread(uint32(p>>32))
		dst, src = dst[2:], src[8:]
	}
	if len(dst) > 0 {
		dst[0] = spread(binary.LittleEndian.Uint32(src))
	}
}

// grey is an image of 1 byte a pixel.
type grey struct {
	pixels []byte
	stride int
}

func (m *grey) read(dst []uint64, y, x int) {
	for i, v := range m.pixels[y*m.stride+x:][:len(dst)] {
		dst[i] = uint64(v) * ones
	}
}

// cmyk is an image of 4 bytes a pixel, each the lack of an ink, as Adobe stores
// it: 255 is paper. The bytes may be stored the other way round.
type cmyk struct {
	pixels  []byte
	stride  int
	reverse bool
}

func (m *cmyk) read(dst []uint64, y, x int) {
	src := m.pixels[y*m.stride+4*x:][:4*len(dst)]
	var flip uint32
	if m.reverse {
		flip = 0xffffffff
	}
	for i := range dst {
		p := binary.LittleEndian.Uint32(src[4*i:]) ^ flip
		// Black takes light away from all three colours: each times k/255, to the
		// nearest. t + t>>8 over 256 is t/255 here.
		t := spread(p)*uint64(p>>24) + 128*ones
		dst[i] = (t + t>>8&(0xff*ones)) >> 8 & (0xff * ones)
	}
}

// planes is an image of luma and chroma, which may be subsampled. It begins at
// 0, 0.
type planes struct{ *image.YCbCr }

// shift is the base-2 logarithm of the columns that share a sample of chroma.
func (m *planes) shift() int {
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		return 1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		return 2
	}
	return 0
}

func (m *planes) read(dst []uint64, y, x int) {
	shift := m.shift()
	luma := m.Y[m.YOffset(x, y):][:len(dst)]
	at, samples := m.COffset(x, y), (x+len(dst)-1)>>shift-x>>shift+1
	cb := m.Cb[at:][:samples]
	cr := m.Cr[at:][:samples]
	// The first sample may be shared with columns that are not asked for.
	if shift > 0 {
		n := min((x>>shift+1)<<shift-x, len(dst))
		c := chroma(cb[0], cr[0])
		for i, v := range luma[:n] {
			dst[i] = clamped(uint64(v)*ones + c)
		}
		dst, luma, cb, cr = dst[n:], luma[n:], cb[1:], cr[1:]
	}
	cr = cr[:len(cb)]
	switch shift {
	case 0:
		luma = luma[:len(dst)]
		cb, cr = cb[:len(dst)], cr[:len(dst)]
		for i := range dst {
			dst[i] = clamped(uint64(luma[i])*ones + chroma(cb[i], cr[i]))
		}
		return
	case 1:
		for i := range cb {
			if len(dst) < 2 || len(luma) < 2 {
				break
			}
			c := chroma(cb[i], cr[i])
			dst[0], dst[1] = clamped(uint64(luma[0])*ones+c), clamped(uint64(luma[1])*ones+c)
			dst, luma = dst[2:], luma[2:]
		}
		cb, cr = cb[len(cb)-min(len(dst), 1):], cr[len(cr)-min(len(dst), 1):]
	}
	for i := range dst {
		dst[i] = clamped(uint64(luma[i])*ones + chroma(cb[i>>shift], cr[i>>shift]))
	}
}

// chroma returns what a sample of chroma adds to the luma, as lanes for clamped:
// 256 too large. It is libjpeg's arithmetic, 16 bits of fraction.
func chroma(cb, cr byte) uint64 {
	const half = 1 << 15
	b, r := int(cb)-128, int(cr)-128
	red := (91881*r + half) >> 16             // 1.402
	green := (half - 22554*b - 46802*r) >> 16 // 0.344136, 0.714136
	blue := (116130*b + half) >> 16           // 1.772
	return uint64(256+red) | uint64(256+green)<<laneBits | uint64(256+blue)<<(2*laneBits)
}
