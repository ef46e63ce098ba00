package picture

import (
	"bytes"
	"fmt"
	"math"
	"os"

	"alexnet/internal/native"
)

var turboNames = []string{"libturbojpeg.so.0", "libturbojpeg.so", "libturbojpeg.0.dylib", "libturbojpeg.dylib"}

// turboDirs are folders that a loader may not know.
var turboDirs = []string{
	"/usr/lib64", "/usr/local/lib", "/opt/libjpeg-turbo/lib64", "/opt/libjpeg-turbo/lib",
	"/opt/homebrew/opt/jpeg-turbo/lib", "/usr/local/opt/jpeg-turbo/lib",
}

// turboLibrary holds the functions of libturbojpeg, those that versions 2 and 3
// have in common. A tjhandle is a uintptr: it is no memory of Go's.
type turboLibrary struct {
	path             string
	initDecompress   func() uintptr
	decompressHeader func(handle uintptr, file *byte, size uintptr, width, height, subsampling, colorspace *int32) int32
	decompress       func(handle uintptr, file *byte, size uintptr, dst *byte, width, pitch, height, format, flags int32) int32
	destroy          func(handle uintptr) int32
}

func (l *turboLibrary) bindings() []native.Binding {
	return []native.Binding{
		native.Func0(&l.initDecompress, "tjhandle tjInitDecompress(void)"),
		native.Func7(&l.decompressHeader, "int tjDecompressHeader3(tjhandle handle, const unsigned char *jpegBuf, unsigned long jpegSize, int *width, int *height, int *jpegSubsamp, int *jpegColorspace)"),
		native.Func9(&l.decompress, "int tjDecompress2(tjhandle handle, const unsigned char *jpegBuf, unsigned long jpegSize, unsigned char *dstBuf, int width, int pitch, int height, int pixelFormat, int flags)"),
		native.Func1(&l.destroy, "int tjDestroy(tjhandle handle)"),
	}
}

// What turbojpeg.h calls by these names.
const (
	tjcsRGB, tjcsYCbCr, tjcsGray, tjcsCMYK, tjcsYCCK = 0, 1, 2, 3, 4 // enum TJCS

	tjpfRGBX, tjpfGray, tjpfCMYK = 2, 6, 11 // enum TJPF

	tjFlagAccurateDCT   = 4096 // as Go's
	tjFlagStopOnWarning = 8192 // Go's decoder will have to look anyway
)

func openTurbo(names []string) (*turboLibrary, error) {
	lib, err := native.Open(names, turboDirs)
	if err != nil {
		return nil, fmt.Errorf("TurboJPEG: %w", err)
	}
	l := &turboLibrary{path: lib.Path}
	if err := lib.Bind(l.bindings()); err != nil {
		return nil, err
	}
	return l, nil
}

// name says what the library calls itself, and where it lies. No function tells
// its version, but a text in the file does.
func (l *turboLibrary) name() string {
	const before = "libjpeg-turbo version "
	file, _ := os.ReadFile(l.path) // what cannot be read does not say
	_, version, _ := bytes.Cut(file, []byte(before))
	if n := bytes.IndexFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); n > 0 {
		return fmt.Sprintf("libjpeg-turbo %s, %s", version[:n], l.path)
	}
	return "libjpeg-turbo, " + l.path
}

// turbo decodes with the library.
type turbo struct {
	library *turboLibrary
	file    []byte // as the library sees it, out of reach of anybody who might change it
	pixels  []byte
	header  struct{ width, height, subsampling, colorspace int32 } // in memory that stays
}

// restarts is a segment that announces a restart marker after every 65535 blocks,
// which is after the end of an image with no more. In an image without any, the
// library hurries: it takes a code that does not exist for the end of a block, and
// says nothing. It does not where it might meet a marker, and that costs no time
// that can be measured. Images of more blocks, above 4 million pixels, do without.
var restarts = []byte{0xff, 0xdd, 0, 4, mostBlocks >> 8, mostBlocks & 0xff}

const mostBlocks = 1<<16 - 1

// read reads the header of t.file into t.header, and says whether that went
// without any error or warning.
func (t *turbo) read(handle uintptr) bool {
	h := &t.header
	*h = struct{ width, height, subsampling, colorspace int32 }{} // which a file without an image leaves as it is
	return t.library.decompressHeader(handle, &t.file[0], uintptr(len(t.file)), &h.width, &h.height, &h.subsampling, &h.colorspace) == 0
}

// decode decodes a file into d, and says whether that went without any error or
// warning. Where it did not, d is of no use.
func (t *turbo) decode(file []byte, d *decoded) bool {
	// A new decoder costs microseconds. A used one would remember the last file's
	// tables for a file that lacks its own, and go on in the middle of a header in
	// which it met an error.
	handle := t.library.initDecompress()
	if handle == 0 {
		return false
	}
	ok := t.decodeWith(handle, file, d)
	return t.library.destroy(handle) == 0 && ok
}

func (t *turbo) decodeWith(handle uintptr, file []byte, d *decoded) bool {
	// The header is read twice, and the same bytes say the same: what the second
	// call writes fits the size that the first one told.
	t.file = append(append(append(t.file[:0], file[:2]...), restarts...), file[2:]...)
	if !t.read(handle) {
		return false
	}
	h := &t.header
	if (int(h.height)+7)/8*((int(h.width)+7)/8) > mostBlocks {
		t.file = append(t.file[:0], file...)
		if !t.read(handle) {
			return false
		}
	}
	height, width := int(h.height), int(h.width)
	if allowed(height, width) != nil || fewScans(file, height, width) != nil {
		return false
	}
	format, depth := int32(tjpfRGBX), 4
	switch h.colorspace {
	case tjcsRGB, tjcsYCbCr:
	case tjcsGray:
		format, depth = tjpfGray, 1
	case tjcsCMYK, tjcsYCCK:
		format = tjpfCMYK
	default:
		return false
	}
	stride := depth * width
	if stride > math.MaxInt32 {
		return false
	}
	t.pixels = grow(t.pixels, stride*height)
	const flags = tjFlagAccurateDCT | tjFlagStopOnWarning
	if t.library.decompress(handle, &t.file[0], uintptr(len(t.file)), &t.pixels[0], h.width, int32(stride), h.height, format, flags) != 0 {
		return false
	}
	d.height, d.width = height, width
	switch format {
	case tjpfGray:
		d.grey = grey{t.pixels, stride}
		d.rows = &d.grey
	case tjpfCMYK:
		d.cmyk = cmyk{t.pixels, stride, false}
		d.rows = &d.cmyk
	default:
		d.rgbx = rgbx{t.pixels, stride}
		d.rows = &d.rgbx
	}
	return true
}
