package pack

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// deflateMost is how much a byte of deflate can become: 258 bytes for 2 bits.
const deflateMost = 258 * 8 / 2

// indexZip lists a zip.
func (a *archive) indexZip(ctx context.Context, size int64) (err error) {
	if a.zip, err = zip.NewReader(a.file, size); err != nil {
		return fmt.Errorf("%s: %w; give a folder, a tar, a tar.gz or a whole zip", a.path, err)
	}
	if len(a.zip.File) > math.MaxInt32 {
		return fmt.Errorf("%s: it has %d files; at most %d are allowed", a.path, len(a.zip.File), math.MaxInt32)
	}
	for i, f := range a.zip.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.Name = zippedName(f)
		if strings.HasSuffix(f.Name, "/") || hidden(clean(f.Name)) {
			continue
		}
		if err := checkZipped(f, size); err != nil {
			return fmt.Errorf("%s: %w; unpack the zip and give the folder", a.inside(f.Name), err)
		}
		m := member{name: clean(f.Name), size: int64(f.UncompressedSize64), in: int32(i)}
		a.members = append(a.members, m)
		f.Name, f.Comment, f.Extra = m.name, "", nil // one name, and no more memory than need be
	}
	return nil
}

// unicodePath is the number of the extra field that has a file's name in UTF-8
// (APPNOTE.TXT, 4.6.9): 1 byte version, 4 bytes CRC-32 of the name in the header, name.
const unicodePath = 0x7075

// zippedName returns a file's name. Without a flag that says UTF-8 the name is in the
// code page of the system that wrote it. Then an extra field may have it in UTF-8, if
// it is still of the same name.
func zippedName(f *zip.File) string {
	if f.Flags&0x800 != 0 {
		return f.Name
	}
	for e := []byte(f.Extra); len(e) >= 4; {
		id, size := binary.LittleEndian.Uint16(e), int(binary.LittleEndian.Uint16(e[2:]))
		if e = e[4:]; size > len(e) {
			break
		}
		field := e[:size]
		e = e[size:]
		if id == unicodePath && size > 5 && field[0] == 1 &&
			binary.LittleEndian.Uint32(field[1:]) == crc32.ChecksumIEEE([]byte(f.Name)) && utf8.Valid(field[5:]) {
			return string(field[5:])
		}
	}
	return f.Name
}

// checkZipped refuses what unzip could not read, or what cannot be.
func checkZipped(f *zip.File, size int64) error {
	packed, whole := f.CompressedSize64, f.UncompressedSize64
	switch {
	case f.Flags&1 != 0:
		return errors.New("the file is encrypted")
	case !f.Mode().IsRegular():
		return errors.New("this is no plain file")
	case isTar(f.Name):
		return errors.New("a tar inside a zip is not looked into")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return fmt.Errorf("the file is compressed by method %d; only deflate (8) is known", f.Method)
	case packed > uint64(size),
		f.Method == zip.Store && packed != whole,
		f.Method == zip.Deflate && whole > packed*deflateMost:
		return fmt.Errorf("the archive is damaged: %d bytes cannot become %d", packed, whole)
	}
	return nil
}

// unzip reads all of f into buf, which is of its size, and checks its checksum.
// A stored file is read from where it lies.
func unzip(f *zip.File, buf []byte) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close() // read only: nothing can be lost
	if _, err := io.ReadFull(r, buf); err != nil && err != io.EOF {
		return err
	}
	// At the end the checksum is compared, and that there is no more.
	var more [1]byte
	if _, err := r.Read(more[:]); err != io.EOF {
		return cmp.Or(err, zip.ErrFormat)
	}
	return nil
}
