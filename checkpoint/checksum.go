package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"alexnet/internal/raw"
)

// checksumsKey is the key of the file's checksums in __metadata__. The header's
// stands first, and then each tensor's, in the order of the header. Each is a CRC-32C
// in 8 hexadecimal digits, and a space stands between two. The digits of the header's
// own checksum count as zeros in it.
const checksumsKey = "crc32c"

const digits = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blankChecksums returns the value of checksumsKey that seal fills.
func blankChecksums(tensors int) string {
	blank := strings.Repeat("0", digits)
	return blank + strings.Repeat(" "+blank, tensors)
}

// checksumsAt returns where in a header the digits of the first checksum stand, or
// -1. The pattern stands nowhere else: quotes within a JSON string have a backslash.
func checksumsAt(header []byte) int {
	before := []byte(`"` + checksumsKey + `":"`)
	at := bytes.Index(header, before)
	if at < 0 {
		return -1
	}
	return at + len(before)
}

// seal writes checksums into a header that [header] made with blank ones.
func seal(header []byte, tensors []uint32) {
	at := checksumsAt(header)
	for i, sum := range tensors {
		copy(header[at+(i+1)*(digits+1):], fmt.Sprintf("%08x", sum))
	}
	copy(header[at:], fmt.Sprintf("%08x", crc32.Checksum(header, castagnoli)))
}

// readChecksums takes the checksums out of meta, holds the header against its own,
// and gives each span, in the order of the header, its own. It reports whether the
// file has checksums.
func readChecksums(header []byte, meta map[string]string, spans []span) (summed bool, err error) {
	text, ok := meta[checksumsKey]
	if !ok {
		return false, nil
	}
	delete(meta, checksumsKey)
	own, rest, _ := strings.Cut(text, " ")
	at := checksumsAt(header)
	if at < 0 || len(own) != digits || !bytes.HasPrefix(header[at:], []byte(text)) || len(text) != len(blankChecksums(len(spans))) {
		return false, errOtherHeader
	}
	blanked := bytes.Clone(header)
	copy(blanked[at:], blankChecksums(0))
	if fmt.Sprintf("%08x", crc32.Checksum(blanked, castagnoli)) != own {
		return false, errOtherHeader
	}
	for i := range spans {
		own, rest, _ = strings.Cut(rest, " ")
		sum, err := strconv.ParseUint(own, 16, 32)
		if err != nil {
			return false, fmt.Errorf("the checksum of tensor %q: %w", spans[i].name, err)
		}
		spans[i].sum = uint32(sum)
	}
	return true, nil
}

var errOtherHeader = errors.New("does not have the checksum that was written with it: the file is damaged, or was changed by another program; " +
	"take another copy (a program that changes such a file must leave " + checksumsKey + " out of __metadata__)")

// verify holds the checksum of a tensor's bytes against the one in the header.
func (h *head) verify(s *span, sum uint32) error {
	if !h.summed || s.sum == sum {
		return nil
	}
	return fmt.Errorf("tensor %q, bytes %d to %d: the checksum is %08x, and %08x was written: the tensor is damaged; take another checkpoint or another copy",
		s.name, s.begin, s.end, sum, s.sum)
}

// checksum returns the checksum of a tensor's bytes.
func (t *Tensor) checksum() uint32 { return crc32.Checksum(raw.Bytes(t.Data), castagnoli) }

// finite returns an error if a number of t is not finite.
func (t *Tensor) finite() error {
	if i := raw.FirstNotFinite(t.Data); i >= 0 {
		return fmt.Errorf("tensor %q: number %d is %g: the weights of a network are finite; a training that diverged may have left them", t.Name, i, t.Data[i])
	}
	return nil
}
