package picture

import (
	"encoding/binary"
	"iter"
)

// segments yields the marker and the data of each segment of a JPEG, up to the
// first of its pixels.
func segments(file []byte) iter.Seq2[byte, []byte] {
	return func(yield func(marker byte, data []byte) bool) {
		for b := file[min(2, len(file)):]; len(b) >= 4 && b[0] == 0xff; {
			const sos, eoi = 0xda, 0xd9
			marker := b[1]
			switch marker {
			case 0xff: // a fill byte
				b = b[1:]
				continue
			case sos, eoi:
				return
			}
			n := 2 + int(binary.BigEndian.Uint16(b[2:]))
			if n < 4 || n > len(b) || !yield(marker, b[4:n]) {
				return
			}
			b = b[n:]
		}
	}
}
