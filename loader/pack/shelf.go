package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// shelf is a folder, on disk or in an archive, in which things are looked for by
// name.
type shelf struct {
	path string   // on disk
	a    *archive // or in this archive,
	root string   // under this folder: "", or ending in a slash
}

// entry is what lies in a shelf.
type entry struct {
	name   string // path from the shelf
	folder bool
}

// finder opens archives.
type finder struct {
	ctx      context.Context
	temp     scratch
	archives []*archive
}

// open opens an archive, of which all is wanted unless wanted says what.
func (f *finder) open(path string, wanted func(string) bool) (*archive, error) {
	if wanted == nil {
		wanted = func(string) bool { return true }
	}
	a, err := openPart(f.ctx, path, f.temp, wanted)
	if err == nil {
		f.archives = append(f.archives, a)
	}
	return a, err
}

// shelf opens the folder or archive at path. A folder is not listed.
func (f *finder) shelf(path string) (shelf, error) {
	info, err := os.Stat(path)
	if err != nil {
		return shelf{}, err
	}
	s := shelf{path: path}
	if !info.IsDir() {
		if s.a, err = f.open(path, nil); err != nil {
			return shelf{}, err
		}
	}
	return s, nil
}

// where names for people what has the given name in s.
func (s shelf) where(name string) string {
	if s.a != nil {
		return s.a.inside(s.root + name)
	}
	return filepath.Join(s.path, filepath.FromSlash(name))
}

// sub is a folder of s.
func (s shelf) sub(folder string) shelf {
	if s.a != nil {
		return shelf{path: s.path, a: s.a, root: s.root + folder + "/"}
	}
	return shelf{path: filepath.Join(s.path, filepath.FromSlash(folder))}
}

// entries lists a folder of s ("", or ending in a slash), in order; nothing if
// it is not there.
func (s shelf) entries(folder string) ([]entry, error) {
	if s.a != nil {
		return s.archived(folder), nil
	}
	dir := filepath.Join(s.path, filepath.FromSlash(folder))
	listed, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var entries []entry
	for _, e := range listed {
		if hidden(e.Name()) {
			continue
		}
		is := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			is = info.IsDir()
		}
		entries = append(entries, entry{folder + e.Name(), is})
	}
	return entries, err
}

func (s shelf) archived(folder string) []entry {
	var entries []entry
	p := part{s.a, s.root + folder}
	for left := p.images(); len(left) > 0; {
		first, _, is := strings.Cut(left[0].name[len(p.folder):], "/")
		entries = append(entries, entry{folder + first, is})
		n := 1
		if is { // past all that is in that folder
			within := p.folder + first + "/"
			n = sort.Search(len(left), func(i int) bool { return !strings.HasPrefix(left[i].name, within) })
		}
		left = left[n:]
	}
	return entries
}

// document reads a file of s.
func (s shelf) document(name string) (document, error) {
	if s.a == nil {
		return readDocument(s.where(name))
	}
	i := sort.Search(len(s.a.members), func(i int) bool { return s.a.members[i].name >= s.root+name })
	m := s.a.members[i]
	d := document{name: filepath.Base(name), where: s.a.where(m)}
	if m.size > maxText {
		return d, fmt.Errorf("%s: the file has %d bytes; a list has at most %d", d.where, m.size, maxText)
	}
	var err error
	if d.data, err = s.a.read(m, nil); err != nil {
		return d, fmt.Errorf("%s: %w", d.where, err)
	}
	return d, nil
}

// part is the images under a folder of s, or in an archive in it; "" is all of
// s, or what of it is wanted.
func (f *finder) part(s shelf, name string, wanted func(string) bool) (part, error) {
	if s.a != nil {
		if name != "" {
			s = s.sub(name)
		}
		return part{s.a, s.root}, nil
	}
	a, err := f.open(s.where(name), wanted)
	return part{archive: a}, err
}
