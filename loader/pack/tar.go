package pack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// tarPlace is where a tar is.
type tarPlace struct {
	where  string // for people
	offset int64  // in its file
	in     int32  // 0, or 1 + its number among the tars inside
	folder string // what comes before the names of its members
}

// isTar tells a tar inside an archive, by its name alone: to look into each of
// a million images would take hours on a disk.
func isTar(name string) bool { return strings.EqualFold(path.Ext(name), ".tar") }

// innerFolder is what comes before the names of the members of a tar inside.
func innerFolder(name string) string { return name[:len(name)-len(".tar")] + "/" }

// indexInner lists the tar of the given name in a, which lies in f.
func (a *archive) indexInner(ctx context.Context, f io.ReaderAt, name string, offset, size int64) error {
	a.tars = append(a.tars, name)
	return a.index(ctx, io.NewSectionReader(f, offset, size), tarPlace{a.inside(name), offset, int32(len(a.tars)), innerFolder(name)})
}

// index lists a tar. The tar reader seeks over content, and does not read
// ahead, so that after Next r stands at the member's content.
func (a *archive) index(ctx context.Context, r *io.SectionReader, p tarPlace) error {
	fail := func(at int64, err error) error {
		return fmt.Errorf("%s: at byte %d: %w; give a folder, a zip, a whole tar or tar.gz", p.where, at, err)
	}
	t := tar.NewReader(r)
	end := int64(0) // of the member before, with its padding
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		at, seek := r.Seek(0, io.SeekCurrent)
		if seek != nil {
			return seek
		}
		if err == io.EOF {
			// A tar ends with blocks of zeros. Without them it may be cut off
			// between two members.
			var zeros, last [512]byte
			if _, err := r.ReadAt(last[:], end); err != nil || !bytes.Equal(last[:], zeros[:]) {
				return fail(end, errors.New("the archive has no end mark, so that it may be cut off"))
			}
			return nil
		}
		if err != nil {
			return fail(at, err)
		}
		end = at
		if h.Typeflag == tar.TypeReg {
			end += (h.Size + 511) / 512 * 512
		}
		name := clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeXGlobalHeader, hidden(name):
		case h.Typeflag != tar.TypeReg || sparse(h):
			return fail(at, fmt.Errorf("%s is no plain file (type %q)", h.Name, h.Typeflag))
		case isTar(name) && p.in > 0:
			return fail(at, fmt.Errorf("%s is a tar in a tar that is inside another archive, or beside unpacked ones; unpack the outermost, and keep one of them", h.Name))
		case isTar(name):
			if err := a.indexInner(ctx, a.file, name, at, h.Size); err != nil {
				return err
			}
		default:
			// The tar of a class may have a folder of that name in it again.
			name = strings.TrimPrefix(name, path.Base("/"+p.folder)+"/")
			a.members = append(a.members, member{name: p.folder + name, offset: p.offset + at, size: h.Size, in: p.in})
		}
	}
}

// sparse tells a file whose content does not lie in one piece.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
