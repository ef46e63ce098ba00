package libraries

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"alexnet/internal/native"
	"alexnet/internal/native/nativetest"
	"alexnet/internal/testenv"
)

// The libraries of these tests have a tag in their names: no machine has such
// libraries, so a test finds what it made and nothing else; and each case has a
// tag of its own, since the loader finds again what was opened once.

// tagged returns a library's file name with the tag: lib, tag, the rest.
func tagged(name, tag string) string {
	dir, base := filepath.Split(name)
	return dir + "lib" + tag + strings.TrimPrefix(base, "lib")
}

func renamed(l *library, tag string) *library {
	r := *l
	r.files, r.needs = nil, nil
	for _, f := range l.files {
		r.files = append(r.files, tagged(f, tag))
	}
	for _, n := range l.needs {
		r.needs = append(r.needs, renamed(n, tag))
	}
	if l.beside != "" {
		r.beside = tagged(l.beside, tag)
	}
	return &r
}

// build makes a library that says where it is, and where the one is that the
// loader gives it for a name: nowhere if there is none.
func build(t *testing.T, path string, flags ...string) {
	t.Helper()
	nativetest.Build(t, path, `
		#define _GNU_SOURCE
		#include <dlfcn.h>
		const char *where(void) {
			Dl_info info;
			return dladdr((void *)where, &info) ? info.dli_fname : "";
		}
		const char *ask(const char *name) {
			void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
			const char *(*f)(void) = library ? (const char *(*)(void))dlsym(library, "where") : 0;
			return f ? f() : "";
		}`, append([]string{"-Wl,-Bsymbolic,--no-as-needed"}, flags...)...)
}

// whereIs returns what a library says of itself.
func whereIs(t *testing.T, l *native.Library) string {
	t.Helper()
	var where func() *byte
	if err := l.Bind([]native.Binding{native.Func0(&where, "const char *where(void)")}); err != nil {
		t.Fatal(err)
	}
	return goString(where())
}

// gets returns where the library is that l gets for a name.
func gets(t *testing.T, l *native.Library, name string) string {
	t.Helper()
	var ask func(name *byte) *byte
	if err := l.Bind([]native.Binding{native.Func1(&ask, "const char *ask(const char *name)")}); err != nil {
		t.Fatal(err)
	}
	c := append([]byte(name), 0)
	return goString(ask(&c[0]))
}

// goString copies a C string.
func goString(p *byte) string {
	var s []byte
	for ; *p != 0; p = (*byte)(unsafe.Add(unsafe.Pointer(p), 1)) {
		s = append(s, *p)
	}
	return string(s)
}

// write makes a file and its folder.
func write(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs linux: NVIDIA's libraries are opened nowhere else")
	}
}

func TestLayouts(t *testing.T) {
	linuxOnly(t)
	made := filepath.Join(t.TempDir(), "liblayout.so")
	build(t, made)
	library, err := os.ReadFile(made) // its copies are other libraries to the loader
	if err != nil {
		t.Fatal(err)
	}
	const packages = "/lib/python3.12/site-packages/"
	cu12 := []string{packages + "nvidia/cudnn/lib/libcudnn.so.9", packages + "nvidia/cublas/lib/libcublasLt.so.12", packages + "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"}
	cu13 := []string{packages + "nvidia/cudnn/lib/libcudnn.so.9", packages + "nvidia/cu13/lib/libcublasLt.so.13", packages + "nvidia/cu13/lib/libnvrtc.so.13"}
	below := func(dir string, files ...string) (all []string) {
		for _, f := range files {
			all = append(all, dir+f)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		env   map[string]string // $ROOT stands for the folder of all files
		files []string          // what there is
		kind  Kind
		want  string // what is opened; empty for none
	}{
		{"pip, CUDA 12, cuDNN", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu12...), CuDNN, "venv" + cu12[0]},
		{"pip, CUDA 12, cuBLASLt", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu12...), CuBLASLt, "venv" + cu12[1]},
		{"pip, CUDA 12, NVRTC", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu12...), NVRTC, "venv" + cu12[2]},
		{"pip, CUDA 13, cuDNN", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu13...), CuDNN, "venv" + cu13[0]},
		{"pip, CUDA 13, cuBLASLt", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu13...), CuBLASLt, "venv" + cu13[1]},
		{"pip, CUDA 13, NVRTC", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", cu13...), NVRTC, "venv" + cu13[2]},
		{"pip, both, the newer one", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, below("venv", slices.Concat(cu12[1:], cu13)...), CuBLASLt, "venv" + cu13[1]},
		{"pip, no environment is active", nil, below("venv", cu12...), CuDNN, ""},
		{"pip in conda", map[string]string{"CONDA_PREFIX": "$ROOT/conda"}, below("conda", cu12...), CuDNN, "conda" + cu12[0]},
		{"pip in the home folder", map[string]string{"HOME": "$ROOT/home/ann"}, below("home/ann/.local", cu12...), CuDNN, "home/ann/.local" + cu12[0]},
		{"pip in the newest Python of pyenv", map[string]string{"HOME": "$ROOT/home/ann"},
			slices.Concat(below("home/ann/.pyenv/versions/3.9.18", cu12...), below("home/ann/.pyenv/versions/3.12.1", cu12...)), CuDNN, "home/ann/.pyenv/versions/3.12.1" + cu12[0]},
		{"pip for all, on Debian", nil, []string{"usr/local/lib/python3.11/dist-packages/nvidia/cudnn/lib/libcudnn.so.9"}, CuDNN, "usr/local/lib/python3.11/dist-packages/nvidia/cudnn/lib/libcudnn.so.9"},
		{"the distribution's Python", nil, []string{"usr/lib/python3/dist-packages/nvidia/cudnn/lib/libcudnn.so.9"}, CuDNN, "usr/lib/python3/dist-packages/nvidia/cudnn/lib/libcudnn.so.9"},
		{"pip on Fedora", nil, []string{"usr/local/lib64/python3.13/site-packages/nvidia/cudnn/lib/libcudnn.so.9"}, CuDNN, "usr/local/lib64/python3.13/site-packages/nvidia/cudnn/lib/libcudnn.so.9"},
		{"a virtual environment below /opt", nil, below("opt/torch/.venv", cu12...), CuDNN, "opt/torch/.venv" + cu12[0]},
		{"an environment below /opt", nil, below("opt/miniforge", cu12...), CuDNN, "opt/miniforge" + cu12[0]},
		{"the newest of two Pythons", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"},
			[]string{"venv/lib/python3.9/site-packages/nvidia/cu13/lib/libnvrtc.so.13", "venv/lib/python3.10/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"}, NVRTC,
			"venv/lib/python3.10/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"},
		{"what PyTorch brings", map[string]string{"VIRTUAL_ENV": "$ROOT/venv"}, []string{"venv/lib/python3.12/site-packages/torch/lib/libcudnn.so.9"}, CuDNN, "venv/lib/python3.12/site-packages/torch/lib/libcudnn.so.9"},

		{"conda", map[string]string{"CONDA_PREFIX": "$ROOT/conda"}, []string{"conda/lib/libcudnn.so.9"}, CuDNN, "conda/lib/libcudnn.so.9"},
		{"conda, compiler's folder", map[string]string{"CONDA_PREFIX": "$ROOT/conda"}, []string{"conda/targets/x86_64-linux/lib/libnvrtc.so.12"}, NVRTC, "conda/targets/x86_64-linux/lib/libnvrtc.so.12"},
		{"conda before pip", map[string]string{"CONDA_PREFIX": "$ROOT/conda", "VIRTUAL_ENV": "$ROOT/venv"}, append(below("venv", cu13...), "conda/lib/libnvrtc.so.12"), NVRTC, "conda/lib/libnvrtc.so.12"},

		{"the newest toolkit that is supported", nil,
			[]string{"usr/local/cuda-11.8/lib64/libnvrtc.so.11.2", "usr/local/cuda-12.9/lib64/libnvrtc.so.12", "usr/local/cuda-12.10/lib64/libnvrtc.so.12", "usr/local/cuda-samples/lib64/libother.so"}, NVRTC,
			"usr/local/cuda-12.10/lib64/libnvrtc.so.12"},
		{"the toolkit that was chosen", nil, []string{"usr/local/cuda/lib64/libnvrtc.so.12", "usr/local/cuda-13.0/lib64/libnvrtc.so.13"}, NVRTC, "usr/local/cuda/lib64/libnvrtc.so.12"},
		{"CUDA_HOME before it", map[string]string{"CUDA_HOME": "$ROOT/sw/cuda"}, []string{"usr/local/cuda/lib64/libnvrtc.so.13", "sw/cuda/lib64/libnvrtc.so.12"}, NVRTC, "sw/cuda/lib64/libnvrtc.so.12"},
		{"CUDA_PATH before it", map[string]string{"CUDA_PATH": "$ROOT/sw/cuda"}, []string{"usr/local/cuda/lib64/libnvrtc.so.13", "sw/cuda/targets/sbsa-linux/lib/libnvrtc.so.12"}, NVRTC, "sw/cuda/targets/sbsa-linux/lib/libnvrtc.so.12"},
		{"a toolkit on Arch", nil, []string{"opt/cuda/lib64/libcublasLt.so.13"}, CuBLASLt, "opt/cuda/lib64/libcublasLt.so.13"},
		{"a toolkit before conda", map[string]string{"CONDA_PREFIX": "$ROOT/conda"}, []string{"opt/cuda/targets/x86_64-linux/lib/libnvrtc.so.12", "conda/lib/libnvrtc.so.13"}, NVRTC, "opt/cuda/targets/x86_64-linux/lib/libnvrtc.so.12"},

		{"older versions, and names that tell no version", nil, []string{"usr/local/cuda/lib64/libnvrtc.so.11.2", "usr/local/cuda/lib64/libnvrtc.so"}, NVRTC, ""},
		{"an older cuBLASLt", nil, []string{"usr/local/cuda/lib64/libcublasLt.so.11", "usr/local/cuda/lib64/libcublasLt.so"}, CuBLASLt, ""},
		{"an older cuDNN", nil, []string{"usr/local/cuda/lib64/libcudnn.so.8", "usr/local/cuda/lib64/libcudnn.so"}, CuDNN, ""},

		{"the driver", nil, []string{"usr/lib/x86_64-linux-gnu/libcuda.so.1"}, Driver, "usr/lib/x86_64-linux-gnu/libcuda.so.1"},
		{"the driver of Windows's Linux", nil, []string{"usr/lib/wsl/lib/libcuda.so.1"}, Driver, "usr/lib/wsl/lib/libcuda.so.1"},
		{"the driver in a container", nil, []string{"usr/local/nvidia/lib64/libcuda.so.1"}, Driver, "usr/local/nvidia/lib64/libcuda.so.1"},
		{"no driver", map[string]string{"CUDA_HOME": "$ROOT/sw/cuda", "CONDA_PREFIX": "$ROOT/conda"},
			[]string{"usr/local/cuda/lib64/libcuda.so.1", "sw/cuda/lib64/libcuda.so.1", "conda/lib/libcuda.so.1", "usr/lib/wsl/lib/libcuda.so"}, Driver, ""},

		{"the user's folder before all", map[string]string{Variable: "$ROOT/mine", "CUDA_HOME": "$ROOT/sw/cuda", "VIRTUAL_ENV": "$ROOT/venv"},
			append(below("venv", cu13...), "mine/libcublasLt.so.12", "sw/cuda/lib64/libcublasLt.so.13"), CuBLASLt, "mine/libcublasLt.so.12"},
		{"the user's folder, the driver", map[string]string{Variable: "$ROOT/mine"}, []string{"mine/libcuda.so.1", "usr/lib/wsl/lib/libcuda.so.1"}, Driver, "mine/libcuda.so.1"},
		{"the user's second folder", map[string]string{Variable: "$ROOT/absent::$ROOT/file:$ROOT/empty:$ROOT/mine"}, []string{"empty/libother.so", "mine/lib64/libcudnn.so.9"}, CuDNN, "mine/lib64/libcudnn.so.9"},
		{"the user's tarball", map[string]string{Variable: "$ROOT/mine"}, []string{"mine/lib/libcudnn.so.9"}, CuDNN, "mine/lib/libcudnn.so.9"},
		{"the user's unpacked package", map[string]string{Variable: "$ROOT/mine/usr"}, []string{"mine/usr/lib/x86_64-linux-gnu/libcudnn.so.9"}, CuDNN, "mine/usr/lib/x86_64-linux-gnu/libcudnn.so.9"},
		{"the user's toolkit", map[string]string{Variable: "$ROOT/mine"}, []string{"mine/targets/x86_64-linux/lib/libnvrtc.so.12"}, NVRTC, "mine/targets/x86_64-linux/lib/libnvrtc.so.12"},
		{"the user's folder of packages", map[string]string{Variable: "$ROOT/venv" + packages}, below("venv", cu12...), NVRTC, "venv" + cu12[2]},
		{"the user's environment", map[string]string{Variable: "$ROOT/[venv]*?"}, below("[venv]*?", cu12...), CuBLASLt, "[venv]*?" + cu12[1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			tag := nativetest.Tag(t)
			write(t, filepath.Join(root, "file"), nil, 0o644)
			for _, f := range c.files {
				write(t, filepath.Join(root, tagged(f, tag)), library, 0o644)
			}
			s := search{root: root, env: func(name string) string { return strings.ReplaceAll(c.env[name], "$ROOT", root) }}
			l, err := s.open(renamed(c.kind.library(), tag))
			if c.want == "" {
				var missing *NotFoundError
				if !errors.As(err, &missing) || missing.Refused != nil {
					t.Errorf("opened %v, error %v, want a NotFoundError", l, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want, got := filepath.Join(root, tagged(c.want, tag)), whereIs(t, l); l.Path != want || got != want {
				t.Errorf("opened %s, which is %s, want %s", l.Path, got, want)
			}
		})
	}
}

// The python3 of a virtual environment is a link to one that has no libraries.
func TestPipOfThePythonOnPATH(t *testing.T) {
	linuxOnly(t)
	made := filepath.Join(t.TempDir(), "libpath.so")
	build(t, made)
	library, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	const wheel = "/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9"
	for _, c := range []struct {
		name   string
		env    map[string]string
		places []string // that have the library
		want   string   // the place that it is opened from; empty for none
	}{
		{"the first on PATH", map[string]string{"PATH": "$ROOT/absent:$ROOT/srv/a/.venv/bin:$ROOT/srv/b/bin"}, []string{"srv/a/.venv", "srv/b", "usr"}, "srv/a/.venv"},
		{"not one that cannot be run", map[string]string{"PATH": "$ROOT/srv/text/bin:$ROOT/srv/folder/bin:$ROOT/srv/b/bin"}, []string{"srv/text", "srv/folder", "srv/b"}, "srv/b"},
		{"not relative to the current folder", map[string]string{"PATH": "srv/b/bin:"}, []string{"srv/b"}, ""},
		{"after the active one", map[string]string{"PATH": "$ROOT/srv/b/bin", "VIRTUAL_ENV": "$ROOT/srv/c"}, []string{"srv/b", "srv/c"}, "srv/c"},
		{"never the current folder's", map[string]string{"PATH": "$ROOT/srv/b/bin", "CONDA_PREFIX": "$ROOT/conda"}, []string{".venv", "conda", "usr"}, "conda"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(root)
			tag := nativetest.Tag(t)
			for path, mode := range map[string]os.FileMode{"srv/b/bin/python3": 0o755, "srv/text/bin/python3": 0o644, "srv/folder/bin/python3/file": 0o755, "srv/a/.venv/bin/file": 0o644} {
				write(t, path, nil, mode)
			}
			if err := os.Symlink("../../../b/bin/python3", "srv/a/.venv/bin/python3"); err != nil {
				t.Fatal(err)
			}
			for _, p := range c.places {
				write(t, tagged(p+wheel, tag), library, 0o644)
			}
			s := search{root: root, env: func(name string) string { return strings.ReplaceAll(c.env[name], "$ROOT", root) }}
			l, err := s.open(renamed(cuDNN, tag))
			if c.want == "" {
				if err == nil {
					t.Errorf("opened %s, want none", l.Path)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(root, tagged(c.want+wheel, tag)); l.Path != want {
				t.Errorf("opened %s, want %s", l.Path, want)
			}
		})
	}
}

func TestNotNewerThanTheDriver(t *testing.T) {
	linuxOnly(t)
	for i, c := range []struct {
		driver int // the newest CUDA that it can serve; 0 for no driver
		there  string
		kind   Kind
		want   string // empty for none
	}{
		{0, "libnvrtc.so.12 libnvrtc.so.13", NVRTC, "libnvrtc.so.13"},
		{12, "libnvrtc.so.12 libnvrtc.so.13", NVRTC, "libnvrtc.so.12"},
		{13, "libnvrtc.so.12 libnvrtc.so.13", NVRTC, "libnvrtc.so.13"},
		{14, "libnvrtc.so.12", NVRTC, "libnvrtc.so.12"},
		{12, "libnvrtc.so.13", NVRTC, ""},
		{12, "libcublasLt.so.12 libcublasLt.so.13", CuBLASLt, "libcublasLt.so.12"},
		{11, "libcublasLt.so.12 libcublasLt.so.13", CuBLASLt, "libcublasLt.so.12"}, // the driver is refused, not the library
		{8, "libcudnn.so.9", CuDNN, "libcudnn.so.9"},                               // its versions are its own
		{12, "libcudnn.so.9 libnvrtc.so.12 libnvrtc.so.13 libcublasLt.so.13", CuDNN, "libcudnn.so.9"},
	} {
		t.Run(fmt.Sprintf("case %d", i), func(t *testing.T) {
			dir, tag := t.TempDir(), nativetest.Tag(t)
			for _, file := range strings.Fields(c.there) {
				build(t, filepath.Join(dir, tagged(file, tag)))
			}
			s := search{root: dir, newest: c.driver, env: func(name string) string { return map[string]string{Variable: dir}[name] }}
			l, err := s.open(renamed(c.kind.library(), tag))
			if c.want == "" {
				if want := fmt.Sprintf(": it was not found (%s would need a newer driver: this one is for CUDA %d)\n", tagged(c.there, tag), c.driver); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error is %v, want one that says%s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(dir, tagged(c.want, tag)); l.Path != want {
				t.Errorf("opened %s, want %s", l.Path, want)
			}
			if c.kind != CuDNN {
				return
			}
			for _, file := range strings.Fields(c.there) { // what it needs has the same limit
				if opened, want := gets(t, l, tagged(file, tag)) != "", !strings.HasSuffix(file, ".13"); opened != want {
					t.Errorf("%s is open: %v", file, opened)
				}
			}
		})
	}
}

// TestOpenAsksTheDriver is that Open finds the driver and its version, without
// starting it: that it has no cuInit.
func TestOpenAsksTheDriver(t *testing.T) {
	linuxOnly(t)
	dir := os.Getenv(Variable)
	if os.Getenv("ALEXNET_TEST_LIBRARIES") == "" {
		dir = t.TempDir()
		nativetest.Build(t, filepath.Join(dir, "libcuda.so.1"), "int cuDriverGetVersion(int *v) { static int calls; *v = calls++ ? 13000 : 12040; return 0; }")
		for _, file := range []string{"libnvrtc.so.12", "libnvrtc.so.13", "libcublasLt.so.12", "libcublasLt.so.13"} {
			build(t, filepath.Join(dir, file))
		}
		t.Setenv(Variable, dir)
		t.Setenv("ALEXNET_TEST_LIBRARIES", dir)
	}
	if !testenv.InOwnProcess(t) { // where the driver has not been asked, and nothing is open
		return
	}
	for kind, file := range map[Kind]string{NVRTC: "libnvrtc.so.12", CuBLASLt: "libcublasLt.so.12"} {
		l, err := Open(kind)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, file); l.Path != want {
			t.Errorf("opened %s, want %s", l.Path, want)
		}
	}
}

// The parts of cuDNN, and what they need, lie in folders that the loader does not
// know; in the one that it knows are parts of another version.
func TestOpensWhatALibraryWillAskFor(t *testing.T) {
	linuxOnly(t)
	const tag = "ask"
	dir := os.Getenv("ALEXNET_TEST_LIBRARIES")
	nvidia := func(path string) string {
		return filepath.Join(dir, "venv/lib/python3.12/site-packages/nvidia", tagged(path, tag))
	}
	if dir == "" {
		dir = t.TempDir()
		build(t, nvidia("cudnn/lib/libcudnn.so.9"))
		// They link with each other, along and against the order of their names, and
		// with a library of another package.
		build(t, nvidia("cublas/lib/libcublasLt.so.12"))
		build(t, nvidia("cudnn/lib/libcudnn_graph.so.9"))
		build(t, nvidia("cudnn/lib/libcudnn_ops.so.9"), nvidia("cudnn/lib/libcudnn_graph.so.9"), nvidia("cublas/lib/libcublasLt.so.12"))
		build(t, nvidia("cudnn/lib/libcudnn_adv.so.9"), nvidia("cudnn/lib/libcudnn_graph.so.9"), nvidia("cudnn/lib/libcudnn_ops.so.9"))
		for _, file := range []string{"cuda_nvrtc/lib/libnvrtc.so.12", "cuda_nvrtc/lib/libnvrtc-builtins.so.12.8", "cu13/lib/libnvrtc.so.13", "cu13/lib/libnvrtc-builtins.so.13.0"} {
			build(t, nvidia(file))
		}
		// Something that cannot be opened is not in the way.
		if err := os.WriteFile(nvidia("cudnn/lib/libcudnn_broken.so.9"), []byte("not a library"), 0o644); err != nil {
			t.Fatal(err)
		}
		known := filepath.Join(dir, "known")
		build(t, filepath.Join(known, tagged("libcudnn_graph.so.9", tag)))
		build(t, filepath.Join(known, tagged("libcudnn_ops.so.9", tag)))
		build(t, filepath.Join(known, tagged("libnvrtc-builtins.so.12.8", tag)))
		t.Setenv("LD_LIBRARY_PATH", known)
		t.Setenv("ALEXNET_TEST_LIBRARIES", dir)
	}
	if !testenv.InOwnProcess(t) { // the loader reads LD_LIBRARY_PATH when a process begins
		return
	}
	alone, err := native.Open([]string{nvidia("cudnn/lib/libcudnn.so.9")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := gets(t, alone, tagged("libcudnn_adv.so.9", tag)); got != "" {
		t.Fatalf("the loader finds %s by itself, so this test shows nothing", got)
	}
	s := search{root: dir, env: func(name string) string {
		return map[string]string{"VIRTUAL_ENV": filepath.Join(dir, "venv")}[name]
	}}
	l, err := s.open(renamed(cuDNN, tag))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		"cudnn/lib/libcudnn_ops.so.9", "cudnn/lib/libcudnn_graph.so.9", "cudnn/lib/libcudnn_adv.so.9", "cublas/lib/libcublasLt.so.12",
		"cuda_nvrtc/lib/libnvrtc.so.12", "cuda_nvrtc/lib/libnvrtc-builtins.so.12.8", "cu13/lib/libnvrtc.so.13", "cu13/lib/libnvrtc-builtins.so.13.0",
	} {
		if got, want := gets(t, l, tagged(filepath.Base(file), tag)), nvidia(file); got != want {
			t.Errorf("cuDNN gets %q, want %s", got, want)
		}
	}
}

func TestTheLoaderGoesBetween(t *testing.T) {
	linuxOnly(t)
	dir := os.Getenv("ALEXNET_TEST_LIBRARIES")
	at := func(path, tag string) string { return filepath.Join(dir, tagged(path, tag)) }
	if dir == "" {
		var err error
		if dir, err = filepath.EvalSymlinks(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		build(t, at("mine/libcudnn.so.9", "first")) // the second is not there
		for _, tag := range []string{"first", "second"} {
			build(t, at("known/libcudnn.so.9", tag))
			build(t, at("usr/local/cuda/lib64/libcudnn.so.9", tag))
		}
		build(t, at("libbelow.so", "third"))
		build(t, at("known/libcudnn.so.9", "third"), at("libbelow.so", "third"))
		t.Setenv("LD_LIBRARY_PATH", filepath.Join(dir, "known"))
		t.Setenv("ALEXNET_TEST_LIBRARIES", dir)
	}
	if !testenv.InOwnProcess(t) {
		return
	}
	s := search{root: dir, env: func(name string) string {
		return map[string]string{Variable: filepath.Join(dir, "mine")}[name]
	}}
	for tag, file := range map[string]string{"first": "mine/libcudnn.so.9", "second": "known/libcudnn.so.9"} {
		l, err := s.open(renamed(cuDNN, tag))
		if err != nil {
			t.Fatal(err)
		}
		if want, got := at(file, tag), whereIs(t, l); l.Path != want || got != want {
			t.Errorf("opened %s, which is %s, want %s", l.Path, got, want)
		}
	}
	_, err := s.open(renamed(cuDNN, "third"))
	var missing *NotFoundError
	if !errors.As(err, &missing) || len(missing.Refused) != 1 || !strings.Contains(missing.Refused[0].String(), tagged("libbelow.so", "third")) {
		t.Errorf("error is %v, want one that names the library that cuDNN links with", err)
	}
}

func TestNotFoundSaysWhatToDo(t *testing.T) {
	linuxOnly(t)
	root := t.TempDir()
	for i := range 9 {
		if err := os.MkdirAll(filepath.Join(root, fmt.Sprintf("usr/local/cuda-12.%d/lib64", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("cuda-12.3", filepath.Join(root, "usr/local/cuda")); err != nil {
		t.Fatal(err)
	}
	s := search{root: root, env: func(name string) string {
		return map[string]string{Variable: "/absent", "HOME": root}[name]
	}}
	want := `cuDNN 9 (libtextcudnn.so.9), for convolutions and other layers: it was not found
To get it: pip install nvidia-cudnn-cu12 (for CUDA 13: nvidia-cudnn-cu13), or conda install -c conda-forge cudnn, or a package from https://developer.nvidia.com/cudnn-downloads.
If you have it elsewhere, set ALEXNET_CUDA_PATH to its folder. These were searched:
	ALEXNET_CUDA_PATH=/absent: no folder there
	what the system's loader knows (LD_LIBRARY_PATH, ldconfig)
	CUDA toolkits (CUDA_HOME, CUDA_PATH, /usr/local/cuda*, /opt/cuda): /usr/local/cuda/lib64, /usr/local/cuda-12.8/lib64, /usr/local/cuda-12.7/lib64, /usr/local/cuda-12.6/lib64, /usr/local/cuda-12.5/lib64, /usr/local/cuda-12.4/lib64 and 3 more
	the system's folders for drivers: no folder there
	CONDA_PREFIX (not set): no folder there
	pip's packages (VIRTUAL_ENV, python3 on PATH, CONDA_PREFIX, ~/.local, /usr/local, /usr, /opt/*, /opt/*/.venv, ~/.pyenv): no folder there`
	_, err := s.open(renamed(cuDNN, "text"))
	var missing *NotFoundError
	if !errors.As(fmt.Errorf("cuda:0: %w", err), &missing) {
		t.Fatalf("error is a %T, want a NotFoundError", err)
	}
	if got := strings.ReplaceAll(err.Error(), root, ""); got != want {
		t.Errorf("error is\n%s\nwant\n%s", got, want)
	}

	for _, kind := range []Kind{Driver, CuDNN, CuBLASLt, NVRTC} {
		l := renamed(kind.library(), nativetest.Tag(t))
		broken := filepath.Join(root, "usr/lib/x86_64-linux-gnu", l.files[0])
		if err := os.MkdirAll(filepath.Dir(broken), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(broken, []byte("not a library"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = s.open(l)
		if !errors.As(err, &missing) || len(missing.Refused) != 1 || missing.Refused[0].Path != broken || errors.Is(missing.Refused[0].Err, fs.ErrNotExist) {
			t.Errorf("%v: error is %v, want one that has %s refused", kind, err, broken)
			continue
		}
		for _, want := range []string{"cannot be opened", l.name, l.files[0], l.purpose, l.get, missing.Refused[0].String()} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error does not say %q:\n%v", kind, want, err)
			}
		}
	}
}

func TestAFileThatCannotBeOpenedIsPassedOver(t *testing.T) {
	linuxOnly(t)
	root := t.TempDir()
	l := renamed(nvrtc, nativetest.Tag(t))
	if err := os.MkdirAll(filepath.Join(root, "usr/local/cuda/lib64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "usr/local/cuda/lib64", l.files[0]), []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(root, "opt/cuda/lib64", l.files[1])
	build(t, want)
	got, err := search{root: root, env: func(string) string { return "" }}.open(l)
	if err != nil {
		t.Fatal(err)
	}
	if got.Path != want {
		t.Errorf("opened %s, want %s", got.Path, want)
	}
}

func TestNoSuchKind(t *testing.T) {
	for _, k := range []Kind{-1, NVRTC + 1} {
		if l, err := Open(k); err == nil || !strings.Contains(err.Error(), k.String()) {
			t.Errorf("Open(%d) = %v, %v, want an error that names it", int(k), l, err)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	sorted := []string{"", "cuda", "cuda-9.2", "cuda-12", "cuda-12.9", "cuda-12.10", "cuda-13.0", "cuda-13.0a", "cuda-100000000000000000000", "cuda-samples", "python3.9", "python3.12"}
	for i, a := range sorted {
		for j, b := range sorted {
			got := compareVersions(a, b)
			if got != -compareVersions(b, a) || (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compareVersions(%q, %q) = %d", a, b, got)
			}
		}
	}
	if c := compareVersions("cuda-012.1", "cuda-12.01"); c != 0 {
		t.Errorf("a zero before a number counts: %d", c)
	}
}
