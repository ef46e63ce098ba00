package libraries

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"alexnet/internal/native"
)

func (s search) open(l *library) (*native.Library, error) {
	all := l.files
	l = l.upTo(s.newest)
	failed := &NotFoundError{Library: l.name, files: l.files, purpose: l.purpose, get: l.get, newest: s.newest}
	failed.tooNew = all[:len(all)-len(l.files)]
	if runtime.GOOS != "linux" {
		return nil, failed
	}
	failed.Places = s.places(l)
	var dirs []string
	for _, p := range failed.Places {
		dirs = append(dirs, p.Dirs...)
	}
	lib, err := find(l, dirs)
	if err == nil {
		return lib, nil
	}
	var tried *native.OpenError
	if !errors.As(err, &tried) {
		return nil, err
	}
	for _, a := range tried.Tried {
		if !errors.Is(a.Err, fs.ErrNotExist) {
			failed.Refused = append(failed.Refused, a)
		}
	}
	return nil, failed
}

// upTo returns the library without the names for a newer CUDA than the given one,
// unless that is 0: such libraries can be opened, but nothing of them runs. The
// oldest name always stays, so that there is one to ask for.
func (l *library) upTo(cuda int) *library {
	u := *l
	for l.ofCUDA && cuda != 0 && len(u.files) > 1 {
		if n, _ := strconv.Atoi(major(u.files[0])); n <= cuda {
			break
		}
		u.files = u.files[1:]
	}
	u.needs = nil
	for _, need := range l.needs {
		u.needs = append(u.needs, need.upTo(cuda))
	}
	return &u
}

// major returns the major version in a library's file name, or nothing.
func major(file string) string {
	_, version, _ := strings.Cut(file, ".so.")
	m, _, _ := strings.Cut(version, ".")
	return m
}

// find opens a library from the first of dirs that has it, and with it what it
// will ask the loader for by bare names: what it needs before it, for it may link
// with them, and what lies beside it after it.
//
// The loader does not know most of dirs. NVIDIA's libraries name their own folder
// in their RUNPATH, but not all of them do (libnvrtc of 13.0.48 does not, nor the
// first libcudnn_graph 9 for ARM), a RUNPATH has no other package's folder, and
// LD_LIBRARY_PATH goes before it, so that parts of two versions could meet. But
// whoever asks for a soname gets the library of that soname that is open already,
// whatever its path, and whether or not its symbols are there for all.
func find(l *library, dirs []string) (*native.Library, error) {
	// A library asks for those of the CUDA that it was built for, which its name
	// does not tell: it may have all that there are. It may also do without.
	for _, need := range l.needs {
		for _, file := range need.files {
			one := *need
			one.files = []string{file}
			_, _ = find(&one, dirs)
		}
	}
	lib, err := native.Open(l.files, dirs)
	if err == nil && l.beside != "" {
		openBeside(lib.Path, l.beside)
	}
	return lib, err
}

// openBeside opens what matches the pattern in the folder of the library at path.
// What cannot be opened may be something that is never asked for; if it is, the
// library that asks says so.
func openBeside(path, pattern string) {
	version := major(filepath.Base(path))
	if version == "" || !filepath.IsAbs(path) {
		return
	}
	files := glob(filepath.Dir(path), fmt.Sprintf(pattern, version))
	left := map[string]string{} // file name to path
	for _, file := range files {
		left[filepath.Base(file)] = file
	}
	// What a file links with goes before it: the loader might find another version.
	var open func(name string)
	open = func(name string) {
		file, ok := left[name]
		if !ok {
			return
		}
		delete(left, name)
		if f, err := elf.Open(file); err == nil {
			names, _ := f.ImportedLibraries()
			f.Close()
			for _, n := range names {
				open(n)
			}
		}
		_, _ = native.Open([]string{file}, nil)
	}
	for _, file := range files {
		open(filepath.Base(file))
	}
}

// NotFoundError says that a library could not be opened, and what to do about it.
type NotFoundError struct {
	Library string           // its name
	Places  []Place          // where it was looked for, in order; none on a system that NVIDIA's libraries are not opened on
	Refused []native.Attempt // the files that are there, and why each could not be opened

	files        []string
	purpose, get string
	newest       int      // the newest CUDA that the driver can serve
	tooNew       []string // files that were not looked for because of it
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s), %s: ", e.Library, strings.Join(e.files, " or "), e.purpose)
	switch {
	case e.Places == nil:
		fmt.Fprintf(&b, "NVIDIA's libraries are opened on Linux only, and this is %s", runtime.GOOS)
		return b.String()
	case e.Refused != nil:
		b.WriteString("it is there, but cannot be opened")
	default:
		b.WriteString("it was not found")
	}
	if len(e.tooNew) > 0 {
		fmt.Fprintf(&b, " (%s would need a newer driver: this one is for CUDA %d)", strings.Join(e.tooNew, " and "), e.newest)
	}
	for _, a := range e.Refused {
		b.WriteString("\n\t" + a.String())
	}
	fmt.Fprintf(&b, "\nTo get it: %s.\nIf you have it elsewhere, set %s to its folder. These were searched:", e.get, Variable)
	for _, p := range e.Places {
		b.WriteString("\n\t" + p.String())
	}
	return b.String()
}

// String names the place and its first few folders.
func (p Place) String() string {
	const few = 6
	switch {
	case len(p.Dirs) == 1 && p.Dirs[0] == native.Loader:
		return p.Name
	case len(p.Dirs) == 0:
		return p.Name + ": no folder there"
	case len(p.Dirs) > few:
		return fmt.Sprintf("%s: %s and %d more", p.Name, strings.Join(p.Dirs[:few], ", "), len(p.Dirs)-few)
	}
	return p.Name + ": " + strings.Join(p.Dirs, ", ")
}
