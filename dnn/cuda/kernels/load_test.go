package kernels

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/nvrtc"
	"alexnet/internal/native"
	"alexnet/internal/testenv"
)

// fake is a GPU and a compiler as far as loading and launching kernels take them.
// Its cubin says what it was made of, and ends with a zero.
type fake struct {
	major, minor int32  // of the GPU
	release      int32  // of NVRTC
	path         string // of NVRTC
	log          string // compiling fails with it
	rejects      int    // the driver refuses that many cubins
	absent       string // a kernel that the module lacks

	mu       sync.Mutex
	compiled []string // options of each compilation
	loaded   []string
	launches []launched
	counts   bool // instead of launches
	count    int
}

type launched struct {
	name            string
	blocks, threads uint32
	args            Args
}

func newFake() *fake { return &fake{major: 9, minor: 0, release: 12, path: "libnvrtc.fake"} }

func goString(p *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

var no = []byte("NO\x00")

func (f *fake) context(t testing.TB) *cu.Context {
	t.Helper()
	var names []string
	d, err := cu.New(&cu.Functions{
		Init:             func(uint32) cu.Result { return cu.Success },
		DriverGetVersion: func(v *int32) cu.Result { *v = 12040; return cu.Success },
		GetErrorName:     func(_ cu.Result, p **byte) cu.Result { *p = &no[0]; return cu.Success },
		GetErrorString:   func(_ cu.Result, p **byte) cu.Result { *p = &no[0]; return cu.Success },
		DeviceGetAttribute: func(v *int32, a cu.DeviceAttribute, _ cu.Device) cu.Result {
			*v = f.minor
			if a == cu.ComputeCapabilityMajor {
				*v = f.major
			}
			return cu.Success
		},
		PrimaryCtxRetain:  func(c *cu.CUContext, _ cu.Device) cu.Result { *c = 1; return cu.Success },
		PrimaryCtxRelease: func(cu.Device) cu.Result { return cu.Success },
		CtxSetCurrent:     func(cu.CUContext) cu.Result { return cu.Success },
		StreamCreate:      func(s *cu.CUStream, _ cu.StreamFlags) cu.Result { *s = 1; return cu.Success },
		StreamDestroy:     func(cu.CUStream) cu.Result { return cu.Success },
		ModuleLoadData: func(m *cu.CUModule, image unsafe.Pointer) cu.Result {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.rejects > 0 {
				f.rejects--
				return cu.Result(200)
			}
			f.loaded = append(f.loaded, goString((*byte)(image)))
			*m = 1
			return cu.Success
		},
		ModuleUnload: func(cu.CUModule) cu.Result { return cu.Success },
		ModuleGetFunction: func(fn *cu.CUFunction, _ cu.CUModule, name *byte) cu.Result {
			if names = append(names, goString(name)); names[len(names)-1] == f.absent {
				return cu.Result(500)
			}
			*fn = cu.CUFunction(len(names) - 1)
			return cu.Success
		},
		LaunchKernel: func(fn cu.CUFunction, x, _, _, threads, _, _, _ uint32, _ cu.CUStream, params, _ *unsafe.Pointer) cu.Result {
			if f.counts {
				f.count++
				return cu.Success
			}
			a, err := Decode(names[fn], params)
			if err != nil {
				t.Error(err)
			}
			f.launches = append(f.launches, launched{names[fn], x, threads, a})
			return cu.Success
		},
	}, "libcuda.fake")
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.PrimaryContext(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (f *fake) nvrtc(t testing.TB) *nvrtc.Library {
	t.Helper()
	var cubin []byte
	lib, err := nvrtc.New(&nvrtc.Functions{
		GetErrorString: func(nvrtc.Result) *byte { return &no[0] },
		Version:        func(major, minor *int32) nvrtc.Result { *major, *minor = f.release, 4; return nvrtc.Success },
		CreateProgram: func(_ *nvrtc.RawProgram, source, _ *byte, _ int32, _, _ **byte) nvrtc.Result {
			cubin = fmt.Appendf(nil, "%x ", sha256.Sum256([]byte(goString(source))))
			return nvrtc.Success
		},
		DestroyProgram: func(*nvrtc.RawProgram) nvrtc.Result { return nvrtc.Success },
		CompileProgram: func(_ nvrtc.RawProgram, n int32, options **byte) nvrtc.Result {
			var list []string
			for _, o := range unsafe.Slice(options, n) {
				list = append(list, goString(o))
			}
			f.mu.Lock()
			f.compiled = append(f.compiled, strings.Join(list, " "))
			f.mu.Unlock()
			cubin = append(cubin, strings.Join(list, " ")...)
			if f.log != "" {
				return nvrtc.ErrorCompilation
			}
			return nvrtc.Success
		},
		GetProgramLogSize: func(_ nvrtc.RawProgram, n *uintptr) nvrtc.Result { *n = uintptr(len(f.log) + 1); return nvrtc.Success },
		GetProgramLog: func(_ nvrtc.RawProgram, p *byte) nvrtc.Result {
			copy(unsafe.Slice(p, len(f.log)+1), f.log+"\x00")
			return nvrtc.Success
		},
		GetCUBINSize: func(_ nvrtc.RawProgram, n *uintptr) nvrtc.Result { *n = uintptr(len(cubin) + 1); return nvrtc.Success },
		GetCUBIN: func(_ nvrtc.RawProgram, p *byte) nvrtc.Result {
			copy(unsafe.Slice(p, len(cubin)+1), append(cubin, 0))
			return nvrtc.Success
		},
	}, f.path)
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// load loads once and returns how many compilations that took. What reaches the
// driver must be what the compiler makes.
func (f *fake) load(t *testing.T, dir string) (compiled int) {
	t.Helper()
	before := len(f.compiled)
	m, err := Load(f.context(t), f.nvrtc(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%x --gpu-architecture=sm_%d%d --std=c++17 --fmad=false", sha256.Sum256([]byte(Source())), f.major, f.minor)
	if got := f.loaded[len(f.loaded)-1]; got != want {
		t.Fatalf("loaded %q, want %q", got, want)
	}
	return len(f.compiled) - before
}

func (f *fake) loads(t *testing.T, dir string, compilations int) {
	t.Helper()
	if got := f.load(t, dir); got != compilations {
		t.Errorf("compiled %d times, want %d", got, compilations)
	}
}

// entries returns the files of a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, filepath.Join(dir, e.Name()))
	}
	return names
}

func TestLoadCaches(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b") // is made
	f := newFake()
	f.loads(t, dir, 1)
	f.loads(t, dir, 0)
	f.major, f.minor = 12, 1
	f.loads(t, dir, 1)
	f.release = 13
	f.loads(t, dir, 1)
	f.path = "elsewhere"
	f.loads(t, dir, 1)
	f.major, f.minor, f.release, f.path = 9, 0, 12, "libnvrtc.fake"
	f.loads(t, dir, 0)
	if n := len(entries(t, dir)); n != 4 {
		t.Errorf("%d files, want 4: %v", n, entries(t, dir))
	}
	lib := f.nvrtc(t)
	names := []cacheFile{
		openCache(dir, lib, "a", nil), openCache(dir, lib, "b", nil), openCache(dir, lib, "a", []string{"b"}),
		openCache(dir, lib, "a", []string{"b", "c"}), openCache(dir, lib, "a", []string{"b c"})}
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) || openCache(dir, lib, "a", nil) != names[0] {
		t.Errorf("names of other sources and options are not others: %q", names)
	}
}

func TestLoadReplacesBadFiles(t *testing.T) {
	for name, damage := range map[string]func(whole []byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"checksum alone": func(b []byte) []byte { return b[:sha256.Size] },
		"truncated":      func(b []byte) []byte { return b[:len(b)-1] },
		"longer":         func(b []byte) []byte { return append(b, 0) },
		"a bit":          func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"first bit":      func(b []byte) []byte { b[0] ^= 1; return b },
		"huge":           func([]byte) []byte { return make([]byte, mostBytes+1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := t.TempDir(), newFake()
			f.loads(t, dir, 1)
			file := entries(t, dir)[0]
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(slices.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			f.loads(t, dir, 1)
			f.loads(t, dir, 0)
			if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, whole) {
				t.Errorf("the file was not replaced: %d bytes, want %d; %v", len(again), len(whole), err)
			}
		})
	}
	t.Run("refused by the driver", func(t *testing.T) {
		dir, f := t.TempDir(), newFake()
		f.loads(t, dir, 1)
		f.rejects = 1
		f.loads(t, dir, 1)
	})
}

func TestLoadWithoutCache(t *testing.T) {
	f := newFake()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		f.loads(t, dir, 1)
		f.loads(t, dir, 1)
	}
	t.Run("default folder", func(t *testing.T) {
		home := t.TempDir()
		t.Setenv("HOME", home)
		t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
		f.loads(t, "", 1)
		f.loads(t, "", 0)
		user, err := os.UserCacheDir()
		if err != nil || !strings.HasPrefix(user, home) {
			t.Fatal(user, err)
		}
		if n := len(entries(t, filepath.Join(user, "alexnet", "kernels"))); n != 1 {
			t.Errorf("%d files, want 1", n)
		}
	})
	t.Run("no home", func(t *testing.T) {
		t.Setenv("HOME", "")
		t.Setenv("XDG_CACHE_HOME", "")
		f.loads(t, "", 1)
		f.loads(t, "", 1)
	})
}

// Where a disk is full or may not be written, nothing half is left.
func TestLoadFullDisk(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	dir, f := t.TempDir(), newFake()
	if err := testenv.FullDisk(t, 40, func() error { f.loads(t, dir, 1); return nil }); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, dir); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	f.loads(t, dir, 1)
	f.loads(t, dir, 0)
}

func TestLoadAtOnce(t *testing.T) {
	dir, f := t.TempDir(), newFake()
	var all sync.WaitGroup
	for range 8 {
		ctx, rtc := f.context(t), f.nvrtc(t)
		all.Go(func() {
			for range 5 {
				m, err := Load(ctx, rtc, dir)
				if err != nil {
					t.Error(err)
					return
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				if left := entries(t, dir); len(left) > 0 {
					_ = os.Truncate(left[0], 0) // somebody damages it meanwhile
				}
			}
		})
	}
	all.Wait()
	for _, l := range f.loaded {
		if l != f.loaded[0] {
			t.Errorf("loaded %q and %q", l, f.loaded[0])
		}
	}
	f.load(t, dir)
	f.loads(t, dir, 0)
	if left := entries(t, dir); len(left) != 1 {
		t.Errorf("left %q, want one file", left)
	}
}

func TestLoadErrors(t *testing.T) {
	for _, c := range []struct {
		log  string
		want []string
	}{
		{`pool.cu(7): error: identifier "widnow" is undefined`, []string{"pool.cu(7)", "widnow", "NVRTC 12.4", "libnvrtc.fake", "9.0"}},
		{"nvrtc: error: invalid value for --gpu-architecture (-arch)", []string{"NVRTC 12.4", "libnvrtc.fake", "compute capability 9.0", "newer CUDA", "--gpu-architecture"}},
	} {
		f, dir := newFake(), t.TempDir()
		f.log = c.log
		_, err := Load(f.context(t), f.nvrtc(t), dir)
		if err == nil {
			t.Fatal("loaded what could not be compiled")
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error does not mention %q:\n%v", want, err)
			}
		}
		if !errors.Is(err, nvrtc.ErrorCompilation) {
			t.Errorf("%v is not NVRTC's", err)
		}
		if left := entries(t, dir); len(left) != 0 {
			t.Errorf("left %q", left)
		}
	}
	f, dir := newFake(), t.TempDir()
	f.rejects = 2
	if _, err := Load(f.context(t), f.nvrtc(t), dir); !errors.Is(err, cu.Result(200)) || len(entries(t, dir)) != 0 {
		t.Errorf("the driver refused the code: error %v, %d files", err, len(entries(t, dir)))
	}
}

func TestLaunch(t *testing.T) {
	f := newFake()
	f.absent = "fit"
	ctx := f.context(t)
	m, err := Load(ctx, f.nvrtc(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   Args
		blocks uint32
	}{
		{Scale{X: 1, Y: 2, Count: 1, Factor: 0.5}, 1},
		{Scale{X: 1, Y: 2, Count: Threads}, 1},
		{Scale{X: 1, Y: 2, Count: Threads + 1}, 2},
		{Scale{X: 1, Y: 2, Count: math.MaxInt64 / 2}, mostBlocks},
		{NewUpdate(1, 0.9, []Parameter{{G: 2, W: 3, V: 4, Count: 4097, C: 1, H: 1, Wide: 1, Rate: 2}, {G: 5, W: 6, V: 7, Count: 2, C: 2, H: 2, Wide: 2}}), 3},
		{MaxPoolForward{X: 9, Planes: 100, Geometry: Geometry{InC: 1, InH: 9, InW: 8, OutC: 1, OutH: 4, OutW: 7, KH: 3, KW: 2, Stride: 5, Pad: 6}}, 11},
		{SoftmaxForward{Batch: 128, Classes: 1000}, 128},
		{SoftmaxStats{Batch: 128}, 1},
		{Scale{Count: 0}, 0},
		{SoftmaxForward{Batch: 0, Classes: 1000}, 0},
	} {
		l, err := m.Prepare(c.args)
		if err != nil {
			t.Fatal(err)
		}
		f.launches = nil
		for range 2 {
			if err := l.On(s); err != nil {
				t.Fatal(err)
			}
		}
		name, _, _ := c.args.Kernel()
		one := launched{name, c.blocks, Threads, c.args}
		if want := []launched{one, one}; c.blocks == 0 && len(f.launches) > 0 || c.blocks > 0 && !slices.Equal(f.launches, want) {
			t.Errorf("launched %+v, want %+v", f.launches, want)
		}
	}
	if _, err := m.Prepare(Fit{}); err == nil || !strings.Contains(err.Error(), "fit") {
		t.Errorf("prepared a kernel that the module lacks: %v", err)
	}
	l, err := m.Prepare(Scale{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.On(s); err == nil {
		t.Error("launched a kernel that was unloaded")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLaunchTakesNoMemory(t *testing.T) {
	f := newFake()
	ctx := f.context(t)
	m, err := Load(ctx, f.nvrtc(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := ctx.NewStream(cu.StreamNonBlocking)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := m.Prepare(SoftmaxForward{Batch: 1, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	f.counts = true
	if n := testing.AllocsPerRun(100, func() {
		if err := l.On(s); err != nil {
			t.Error(err)
		}
	}); n != 0 || f.count == 0 {
		t.Errorf("%d launches took memory %g times each", f.count, n)
	}
}

// The compiler itself is asked, where there is one: it needs no GPU. Any version
// will do for this, though the program wants a newer one.
func TestRealNVRTC(t *testing.T) {
	lib, err := native.Open([]string{"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"}, nil)
	if err != nil {
		t.Skip(err)
	}
	var functions nvrtc.Functions
	if err := lib.Bind(functions.Bindings()); err != nil {
		t.Skip(err)
	}
	version := functions.Version
	functions.Version = func(major, minor *int32) nvrtc.Result {
		r := version(major, minor)
		t.Logf("%s, version %d.%d", lib.Path, *major, *minor)
		*major = max(*major, 12)
		return r
	}
	rtc, err := nvrtc.New(&functions, lib.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, capability := range [][2]int32{{8, 0}, {9, 0}} {
		f, dir := newFake(), t.TempDir()
		f.major, f.minor = capability[0], capability[1]
		m, err := Load(f.context(t), rtc, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		cubin, ok := cacheFile(entries(t, dir)[0]).read()
		if !ok || !bytes.HasPrefix(cubin, []byte("\x7fELF")) {
			t.Fatalf("sm_%d%d: no ELF file", capability[0], capability[1])
		}
		for _, name := range Names() {
			if !bytes.Contains(cubin, []byte(".text."+name+"\x00")) {
				t.Errorf("sm_%d%d: the code has no %s", capability[0], capability[1], name)
			}
		}
	}
	f := newFake()
	f.major = 99
	if _, err := Load(f.context(t), rtc, t.TempDir()); err == nil || !strings.Contains(err.Error(), "newer CUDA") {
		t.Errorf("compiled for compute capability 99: %v", err)
	}
}
