package picture

import "encoding/binary"

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
		dst[i] = dim(spread(p), byte(p>>24))
	}
}

// dim takes light away from all three colours: each times light/255, to the nearest.
func dim(p uint64, light byte) uint64 {
	t := p*uint64(light) + 128*ones
	return (t + t>>8&(0xff*ones)) >> 8 & (0xff * ones) // t + t>>8 over 256 is t/255 here
}

// dimmed is an image of planes under a plane that dims them: black ink, as Adobe
// stores it, or opacity, in front of black.
type dimmed struct {
	planes planes
	light  []byte
	stride int
	invert bool // the pixels are the ink, and not the lack of it
}

func (m *dimmed) read(dst []uint64, y, x int) {
	m.planes.read(dst, y, x)
	light := m.light[y*m.stride+x:][:len(dst)]
	for i, p := range dst {
		if m.invert {
			p = 0xff*ones - p
		}
		dst[i] = dim(p, light[i])
	}
}
