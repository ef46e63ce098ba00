package pack

import (
	"archive/zip"
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

// maxFile bounds the size of a file that is read whole, as images are.
const maxFile = 256 << 20

// A tar.gz may unpack to so many times its size, and always to so many bytes, unless
// more or less is allowed. Files of images hardly shrink.
const usualRatio, usualUnpacked = 20, 1 << 30

// scratch is where a tar.gz is unpacked.
type scratch struct {
	dir  string
	most int64 // bytes that one may unpack to; 0: the usual
}

// archive is a folder, tar or zip, whose files can be read in any order by
// several goroutines at once. A tar inside a folder or tar, as ImageNet has one
// for each class, counts as a folder of the same name without ".tar".
type archive struct {
	path    string
	members []member // by name
	tars    []string // the tars inside, by their names there
	file    *os.File // nil: a folder
	zip     *zip.Reader
}

// member is a file in an archive. ImageNet has 15 million: one costs 40 bytes
// here, and its name (30 letters) 32. In a zip it costs some 250 bytes more.
type member struct {
	name   string // path inside, with slashes
	offset int64  // of its content in the tar that it is in
	size   int64
	in     int32 // zip: its number there; else 0, or 1 + the number of the tar inside that has it
}

// openArchive opens the folder, tar, tar.gz or zip at path; content tells which
// it is. A tar.gz is unpacked to a tar in temp first.
func openArchive(ctx context.Context, path string, temp scratch) (*archive, error) {
	return openPart(ctx, path, temp, func(string) bool { return true })
}

// openPart is openArchive that sees of a folder only the entries that are wanted.
func openPart(ctx context.Context, path string, temp scratch, wanted func(entry string) bool) (*archive, error) {
	a := &archive{path: path}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		err = a.walk(ctx, wanted)
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
func (a *archive) walk(ctx context.Context, wanted func(entry string) bool) error {
	// With a separator at its end, a link to a folder is followed.
	return filepath.WalkDir(a.path+string(filepath.Separator), func(file string, entry fs.DirEntry, err error) error {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		name, err := filepath.Rel(a.path, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		first, _, _ := strings.Cut(name, "/")
		switch {
		case name == ".":
			return nil
		case hidden(name) || !wanted(first):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		info, err := os.Stat(file) // follows a link to a file
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: neither a plain file nor a link to one; remove it", file)
		case isTar(name):
			return a.openInner(ctx, file, name, info.Size())
		}
		a.members = append(a.members, member{name: name, size: info.Size()})
		return nil
	})
}

// openInner lists a tar in a folder. It is opened again for every read: there
// may be 22,000, more than a process may hold open.
func (a *archive) openInner(ctx context.Context, file, name string, size int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.indexInner(ctx, f, name, 0, size)
}

// open opens a tar, tar.gz or zip.
func (a *archive) open(ctx context.Context, temp scratch) error {
	f, err := os.Open(a.path)
	if err != nil {
		return err
	}
	a.file = f
	var magic [4]byte
	n, err := f.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case n == 0:
		return fmt.Errorf("%s: the file is empty; give a folder, a tar, a tar.gz or a zip", a.path)
	case magic[0] == 0x1f && magic[1] == 0x8b:
		if err := a.spool(ctx, temp); err != nil {
			return err
		}
	}
	size, err := a.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if m := string(magic[:]); m == "PK\x03\x04" || m == "PK\x05\x06" { // the second: without files
		return a.indexZip(ctx, size)
	}
	return a.index(ctx, io.NewSectionReader(a.file, 0, size), tarPlace{where: a.path})
}

// spool puts the unpacked tar of a tar.gz in the place of a.file.
func (a *archive) spool(ctx context.Context, temp scratch) (err error) {
	packed := a.file
	defer func() { err = errors.Join(err, packed.Close()) }()
	if a.file, err = os.CreateTemp(temp.dir, "*-source.tar"); err != nil {
		return err
	}
	z, err := gzip.NewReader(packed)
	most := temp.most
	if err == nil && most == 0 {
		var info fs.FileInfo
		if info, err = packed.Stat(); err == nil {
			most = max(usualUnpacked, usualRatio*info.Size())
		}
	}
	n := int64(0)
	if err == nil {
		n, err = io.CopyBuffer(struct{ io.Writer }{a.file}, io.LimitReader(reader{ctx, z}, most+1), make([]byte, 1<<20))
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: unpacking it to %s: %w", a.path, temp.dir, err)
	case n > most:
		return fmt.Errorf("%s: it unpacks to more than %d bytes; if that is right, allow more (-unpacked GIB), or unpack it and give the folder", a.path, most)
	}
	return nil
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

// read reads a whole file into buf's memory. One that is shorter than it was is
// io.ErrUnexpectedEOF.
func (a *archive) read(m member, buf []byte) ([]byte, error) {
	if m.size > maxFile {
		return buf, fmt.Errorf("the file has %d bytes; at most %d are allowed", m.size, maxFile)
	}
	buf = slices.Grow(buf[:0], int(m.size))[:m.size]
	if a.zip != nil {
		return buf, unzip(a.zip.File[m.in], buf)
	}
	f := a.file
	if f == nil {
		name := m.name
		if m.in > 0 {
			name = a.tars[m.in-1]
		}
		var err error
		if f, err = os.Open(filepath.Join(a.path, filepath.FromSlash(name))); err != nil {
			return buf, err
		}
		defer f.Close()
	}
	n, err := f.ReadAt(buf, m.offset)
	switch {
	case n == len(buf):
		return buf, nil
	case err == io.EOF:
		return buf, io.ErrUnexpectedEOF
	}
	return buf, err
}

// where names m for people.
func (a *archive) where(m member) string {
	if a.zip != nil || m.in == 0 {
		return a.inside(m.name)
	}
	inner := a.tars[m.in-1]
	return a.inside(inner) + ": " + strings.TrimPrefix(m.name, innerFolder(inner))
}

// inside names for people what has the given name in a.
func (a *archive) inside(name string) string {
	if a.file == nil {
		return filepath.Join(a.path, filepath.FromSlash(name))
	}
	return a.path + ": " + name
}

func (a *archive) close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// clean makes a path in a tar or zip one that leads nowhere else.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
