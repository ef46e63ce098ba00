package pack

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// archive is a folder or a tar, whose files can be read in any order by
// several goroutines at once.
type archive struct {
	path    string
	members []member // by name
	tar     *os.File // nil: a folder
}

// member is a file in an archive.
type member struct {
	name   string // path inside, with slashes
	offset int64  // of its content in the tar
	size   int64
}

// openArchive opens the folder, tar or tar.gz at path; content tells which it
// is. A tar.gz is unpacked to a tar in the folder temp first.
func openArchive(ctx context.Context, path, temp string) (*archive, error) {
	a := &archive{path: path}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		err = a.walk(ctx)
	case info.Mode().IsRegular():
		err = a.open(ctx, temp)
	default:
		err = fmt.Errorf("%s: this is neither a folder nor a plain file", path)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	slices.SortFunc(a.members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	for i, m := range a.members {
		if i > 0 && m.name == a.members[i-1].name {
			return nil, errors.Join(fmt.Errorf("%s is there twice; remove one", a.where(m)), a.close())
		}
	}
	return a, nil
}

// hidden tells files that systems leave about: .DS_Store, ._a.jpg, __MACOSX.
func hidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || part == "__MACOSX" {
			return true
		}
	}
	return false
}

// walk lists a folder.
func (a *archive) walk(ctx context.Context) error {
	return filepath.WalkDir(a.path, func(file string, entry fs.DirEntry, err error) error {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(a.path, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case name == ".":
			return nil
		case hidden(name) && entry.IsDir():
			return fs.SkipDir
		case hidden(name), entry.IsDir():
			return nil
		}
		info, err := os.Stat(file) // follows a link to a file
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s: neither a plain file nor a link to one; remove it", file)
		}
		a.members = append(a.members, member{name: name, size: info.Size()})
		return nil
	})
}

// open opens a tar or tar.gz.
func (a *archive) open(ctx context.Context, temp string) error {
	f, err := os.Open(a.path)
	if err != nil {
		return err
	}
	a.tar = f
	var magic [4]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case n == 0:
		return fmt.Errorf("%s: the file is empty; give a folder, a tar or a tar.gz", a.path)
	case string(magic[:4]) == "PK\x03\x04":
		return fmt.Errorf("%s: this is a zip archive; unpack it and give the folder", a.path)
	case magic[0] == 0x1f && magic[1] == 0x8b:
		if err := a.spool(ctx, temp); err != nil {
			return err
		}
	}
	return a.index(ctx)
}

// spool puts the unpacked tar of a tar.gz in the place of a.tar.
func (a *archive) spool(ctx context.Context, temp string) (err error) {
	packed := a.tar
	defer func() { err = errors.Join(err, packed.Close()) }()
	if a.tar, err = os.Create(filepath.Join(temp, "source.tar")); err != nil {
		return err
	}
	z, err := gzip.NewReader(packed)
	if err == nil {
		_, err = io.CopyBuffer(struct{ io.Writer }{a.tar}, reader{ctx, z}, make([]byte, 1<<20))
	}
	if err != nil {
		return fmt.Errorf("%s: unpacking it to %s: %w", a.path, temp, err)
	}
	_, err = a.tar.Seek(0, io.SeekStart)
	return err
}

// reader ends with ctx.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// index lists a tar. The tar reader seeks over content, and does not read
// ahead, so that after Next the file stands at the member's content.
func (a *archive) index(ctx context.Context) error {
	fail := func(at int64, err error) error {
		return fmt.Errorf("%s: at byte %d: %w; give a folder, a whole tar or tar.gz", a.path, at, err)
	}
	t := tar.NewReader(a.tar)
	end := int64(0) // of the member before, with its padding
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		at, seek := a.tar.Seek(0, io.SeekCurrent)
		if seek != nil {
			return seek
		}
		if err == io.EOF {
			// A tar ends with blocks of zeros. Without them it may be cut off
			// between two members.
			var zeros, last [512]byte
			if _, err := a.tar.ReadAt(last[:], end); err != nil || !bytes.Equal(last[:], zeros[:]) {
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
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch {
		case h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeXGlobalHeader, hidden(name):
		case h.Typeflag != tar.TypeReg || sparse(h):
			return fail(at, fmt.Errorf("%s is no plain file (type %q)", h.Name, h.Typeflag))
		default:
			a.members = append(a.members, member{name: name, offset: at, size: h.Size})
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

// readAt fills b from byte off of m on. A shorter m is io.ErrUnexpectedEOF.
func (a *archive) readAt(m member, b []byte, off int64) (err error) {
	f, at := a.tar, m.offset
	if f == nil {
		if f, err = os.Open(filepath.Join(a.path, filepath.FromSlash(m.name))); err != nil {
			return err
		}
		defer f.Close()
	}
	n, err := f.ReadAt(b, at+off)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// where names m for people.
func (a *archive) where(m member) string {
	if a.tar == nil {
		return filepath.Join(a.path, filepath.FromSlash(m.name))
	}
	return a.path + ": " + m.name
}

func (a *archive) close() error {
	if a.tar == nil {
		return nil
	}
	return a.tar.Close()
}
