package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// maxScans bounds the scans of a JPEG, and maxEffort its pixels times its scans. A
// progressive JPEG has about 10 scans. Each costs a decoder a look at all pixels,
// and a file of some 100 bytes more.
const (
	maxScans  = 100
	maxEffort = 16 * maxPixels
)

// longest is the time after which an image is given up. The other bounds keep images
// far below it.
const longest = 2 * time.Minute

// fewScans returns an error for a JPEG of height x width that has too many scans.
func fewScans(file []byte, height, width int) error {
	if n, most := scans(file), min(maxScans, maxEffort/(height*width)); n > most {
		return fmt.Errorf("a JPEG of %dx%d with %d scans; at most %d are allowed: save it again", height, width, n, most)
	}
	return nil
}

// scans counts the scans of a JPEG.
func scans(file []byte) (n int) {
	const rst0, rst7, eoi, sos = 0xd0, 0xd7, 0xd9, 0xda
	for b := file[min(2, len(file)):]; ; {
		at := bytes.IndexByte(b, 0xff)
		if at < 0 || at+3 >= len(b) {
			return n
		}
		b = b[at+1:]
		switch marker := b[0]; {
		case marker == 0xff: // a fill byte
			continue
		case marker == 0, marker >= rst0 && marker <= rst7: // among the pixels
			b = b[1:]
			continue
		case marker == eoi:
			return n
		case marker == sos:
			n++
		}
		b = b[min(1+int(binary.BigEndian.Uint16(b[1:])), len(b)):]
	}
}

// reader reads until ctx ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
