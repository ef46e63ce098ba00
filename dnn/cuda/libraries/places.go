package libraries

import (
	"cmp"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/native"
)

// Variable is the environment variable with the user's own folders.
const Variable = "ALEXNET_CUDA_PATH"

// Place is where libraries are looked for.
type Place struct {
	Name string
	Dirs []string // its folders that exist; of the system's loader, [native.Loader]
}

// search is what the places depend on.
type search struct {
	root string // goes before the system's folders; empty but in tests
	env  func(name string) string

	// newest is the newest major version of CUDA that will do; 0 for any.
	newest int
}

// The two processors that NVIDIA's libraries for Linux are made for: each has
// folders of its own name in toolkits (sbsa is ARM) and in distributions. A library
// for another processor is refused by the loader.
var (
	toolkitDirs = []string{"lib64", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"}
	userDirs    = append([]string{".", "lib64", "lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"}, toolkitDirs[1:]...)
	driverDirs  = []string{"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/wsl/lib", "usr/local/nvidia/lib64"}

	// Where pip puts libraries, in a folder for packages. The packages of CUDA 13
	// share one folder, but for cuDNN; those of CUDA 12 have one each. Some builds of
	// PyTorch have libraries of their own.
	wheelDirs = []string{"nvidia/cudnn/lib", "nvidia/cu13/lib", "nvidia/cublas/lib", "nvidia/cuda_nvrtc/lib", "torch/lib"}

	// Where packages are, below the place that Python is installed in.
	packageDirs = []string{"lib*/python3*/site-packages", "lib*/python3*/dist-packages"}
)

// places returns where a library is looked for, in order.
func (s search) places(l *library) []Place {
	user := Place{Name: s.value(Variable)}
	for _, dir := range filepath.SplitList(s.env(Variable)) {
		user.add(glob(dir, userDirs...))
		user.add(wheels(dir))
	}
	loader := Place{Name: "what the system's loader knows (LD_LIBRARY_PATH, ldconfig)", Dirs: []string{native.Loader}}
	system := Place{Name: "the system's folders for drivers"}
	system.add(glob(s.system("/"), driverDirs...))
	if l.driver {
		return []Place{user, loader, system}
	}

	toolkits := Place{Name: "CUDA toolkits (CUDA_HOME, CUDA_PATH, /usr/local/cuda*, /opt/cuda)"}
	for _, dir := range slices.Concat([]string{s.env("CUDA_HOME"), s.env("CUDA_PATH"), s.system("/usr/local/cuda")},
		glob(s.system("/usr/local"), "cuda-*"), []string{s.system("/opt/cuda")}) {
		toolkits.add(glob(dir, toolkitDirs...))
	}
	conda := Place{Name: s.value("CONDA_PREFIX")}
	conda.add(glob(s.env("CONDA_PREFIX"), "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"))

	pip := Place{Name: "pip's packages (VIRTUAL_ENV, python3 on PATH, CONDA_PREFIX, ~/.local, /usr/local, /usr, /opt/*, /opt/*/.venv, ~/.pyenv)"}
	prefixes := []string{s.env("VIRTUAL_ENV"), s.python(), s.env("CONDA_PREFIX")}
	home := s.env("HOME")
	prefixes = append(prefixes, glob(home, ".local")...)
	prefixes = append(prefixes, s.system("/usr/local"), s.system("/usr"))
	prefixes = append(prefixes, glob(s.system("/opt"), "*", "*/.venv")...)
	prefixes = append(prefixes, glob(home, ".pyenv/versions/*")...)
	for _, prefix := range prefixes {
		pip.add(wheels(prefix))
	}
	return []Place{user, loader, toolkits, system, conda, pip}
}

// python returns the place that the python3 on PATH is installed in, or nothing.
// Links stay as they are: that of a virtual environment leads out of it.
func (s search) python() string {
	for _, dir := range filepath.SplitList(s.env("PATH")) {
		if !filepath.IsAbs(dir) { // package exec passes over these too
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, "python3")); err == nil {
			return filepath.Dir(filepath.Dir(path))
		}
	}
	return ""
}

func (s search) system(dir string) string { return s.root + dir }

// value says what an environment variable is set to.
func (s search) value(name string) string {
	if v := s.env(name); v != "" {
		return name + "=" + v
	}
	return name + " (not set)"
}

// add adds folders that are not in the place yet under this or another name:
// toolkits, and Python on some systems, have links from one of their folders to
// another.
func (p *Place) add(dirs []string) {
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if !slices.ContainsFunc(p.Dirs, func(other string) bool {
			o, err := os.Stat(other)
			return err == nil && os.SameFile(info, o)
		}) {
			p.Dirs = append(p.Dirs, dir)
		}
	}
}

// wheels returns pip's folders for libraries in dir, be it a folder of packages
// or one that Python is installed in.
func wheels(dir string) []string {
	found := glob(dir, wheelDirs...)
	for _, packages := range glob(dir, packageDirs...) {
		found = append(found, glob(packages, wheelDirs...)...)
	}
	return found
}

// glob returns the absolute paths below dir that match the first pattern, the
// newest version first, then those that match the second, and so on. Signs in
// dir itself stand for themselves.
func glob(dir string, patterns ...string) []string {
	if dir == "" {
		return nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, pattern := range patterns {
		paths, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			panic(err) // the pattern is wrong
		}
		slices.SortStableFunc(paths, func(a, b string) int { return compareVersions(b, a) })
		for _, path := range paths {
			found = append(found, filepath.Join(dir, path))
		}
	}
	return found
}

// compareVersions orders names like strings, but numbers in them by value: 12.10
// comes after 12.9.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" { // not both begin with a number
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(x):], b[len(y):]
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns the digits that s begins with.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
