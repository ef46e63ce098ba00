package native

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"alexnet/internal/native/nativetest"
	"alexnet/internal/testenv"
)

// functions are of every count of arguments that there is. Each kind of argument
// comes to stand in registers and on the stack, and each kind of result is there.
type functions struct {
	F0  func() int32
	F1  func(*byte) uintptr
	F2  func(uint8, int32) *byte
	F3  func(int64, uint64, *byte) None
	F4  func(int32, int32, uint8, int64) int64
	F5  func(uint64, uintptr, int32, *byte, uint8) int32
	F6  func(*byte, int64, uint64, uintptr, int32, uint8) uint64
	F7  func(uint8, *byte, int64, uint64, uintptr, int32, int32) uint32
	F8  func(int32, uint8, *byte, int64, uint64, uintptr, uint8, int32) int32
	F9  func(uintptr, int32, uint8, *byte, int64, uint64, int32, uint8, *byte) None
	F10 func(uint64, uintptr, int32, uint8, *byte, int64, *byte, int64, int32, uint8) *byte
	F11 func(int64, uint64, uintptr, int32, uint8, *byte, uint8, *byte, int64, int32, uint64) int32
	F12 func(*byte, int64, uint64, uintptr, int32, uint8, int32, uint64, uint8, uintptr, *byte, int32) uintptr
	F13 func(uint8, *byte, int64, uint64, uintptr, int32, int64, int32, uint32, uint8, uintptr, *byte, int64) int32
	F14 func(int32, uint8, *byte, int64, uint64, uintptr, uint32, int64, int32, int32, uint8, uint64, *byte, uint8) int64
	F16 func(uintptr, int32, uint8, *byte, int64, uint64, *byte, uint8, uint32, int64, int32, int32, uint64, uint8, uintptr, *byte) int32
	F18 func(uint64, uintptr, int32, uint8, *byte, int64, int32, *byte, uint8, uint32, int64, int32, int32, uint64, uint8, uintptr, *byte, int64) *byte
}

func (f *functions) bindings() []Binding {
	return []Binding{
		Func0(&f.F0, prototype(f, 0)), Func1(&f.F1, prototype(f, 1)), Func2(&f.F2, prototype(f, 2)), Func3(&f.F3, prototype(f, 3)),
		Func4(&f.F4, prototype(f, 4)), Func5(&f.F5, prototype(f, 5)), Func6(&f.F6, prototype(f, 6)), Func7(&f.F7, prototype(f, 7)),
		Func8(&f.F8, prototype(f, 8)), Func9(&f.F9, prototype(f, 9)), Func10(&f.F10, prototype(f, 10)), Func11(&f.F11, prototype(f, 11)),
		Func12(&f.F12, prototype(f, 12)), Func13(&f.F13, prototype(f, 13)), Func14(&f.F14, prototype(f, 14)),
		Func16(&f.F16, prototype(f, 15)), Func18(&f.F18, prototype(f, 16)),
	}
}

var cNames = map[reflect.Type]string{
	reflect.TypeFor[int32](): "int32_t ", reflect.TypeFor[uint32](): "uint32_t ", reflect.TypeFor[int64](): "int64_t ", reflect.TypeFor[uint64](): "uint64_t ",
	reflect.TypeFor[uint8](): "uint8_t ", reflect.TypeFor[uintptr](): "size_t ", reflect.TypeFor[*byte](): "const uint8_t *", reflect.TypeFor[None](): "void ",
}

// prototype returns that of the ith function in C.
func prototype(f *functions, i int) string {
	field := reflect.TypeOf(*f).Field(i)
	var args []string
	for j := range field.Type.NumIn() {
		args = append(args, fmt.Sprintf("%sa%d", cNames[field.Type.In(j)], j))
	}
	if args == nil {
		args = []string{"void"}
	}
	return fmt.Sprintf("%s%s(%s)", cNames[field.Type.Out(0)], field.Name, strings.Join(args, ", "))
}

// The C side writes down each argument as 64 bits, with the sign for the types
// that have one; of a pointer, what it points to. A pointer that comes back is
// the last pointer argument, or the address of count if there is none; any other
// result has all bits set but those of the count of arguments.
func source(bindings []Binding) string {
	var b strings.Builder
	b.WriteString("#include <stddef.h>\n#include <stdint.h>\nuint64_t seen[18];\nint count;\n")
	for i, binding := range bindings {
		fn := reflect.TypeOf(functions{}).Field(i).Type
		fmt.Fprintf(&b, "%s {\n", binding.Prototype)
		pointer := -1
		for j := range fn.NumIn() {
			switch fn.In(j).Kind() {
			case reflect.Pointer:
				pointer = j
				fmt.Fprintf(&b, "\tseen[%d] = *a%d;\n", j, j)
			case reflect.Int32, reflect.Int64:
				fmt.Fprintf(&b, "\tseen[%d] = (uint64_t)(int64_t)a%d;\n", j, j)
			default:
				fmt.Fprintf(&b, "\tseen[%d] = a%d;\n", j, j)
			}
		}
		fmt.Fprintf(&b, "\tcount = %d;\n", fn.NumIn())
		switch out := fn.Out(0); {
		case out == reflect.TypeFor[None]():
		case out.Kind() == reflect.Pointer && pointer >= 0:
			fmt.Fprintf(&b, "\treturn a%d;\n", pointer)
		case out.Kind() == reflect.Pointer:
			b.WriteString("\treturn (const uint8_t *)&count;\n")
		default:
			fmt.Fprintf(&b, "\treturn (%s)~(uint64_t)%d;\n", cNames[out], fn.NumIn())
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func openBuilt(t *testing.T, name, source string) *Library {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	nativetest.Build(t, path, source)
	l, err := Open([]string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// variable returns the address of a library's variable as a T.
func variable[T any](t *testing.T, l *Library, name string) *T {
	t.Helper()
	address, err := l.Symbol(name)
	if err != nil {
		t.Fatal(err)
	}
	return *(**T)(unsafe.Pointer(&address)) // the library's memory: Go moves and frees none of it
}

func TestBindPassesEveryArgument(t *testing.T) {
	var f functions
	bindings := f.bindings()
	l := openBuilt(t, "libalexnetbind.so", source(bindings))
	if err := l.Bind(bindings); err != nil {
		t.Fatal(err)
	}
	seen, count := variable[[18]uint64](t, l, "seen"), variable[int32](t, l, "count")
	fields := reflect.ValueOf(&f).Elem()
	for i := range fields.NumField() {
		fn := fields.Field(i)
		var args []reflect.Value
		var want []uint64
		var last *byte
		for j := range fn.Type().NumIn() {
			arg := reflect.New(fn.Type().In(j)).Elem()
			var bits uint64
			switch fn.Type().In(j).Kind() {
			case reflect.Int32: // negative ones, the least among them, and large ones
				v := []int32{-1, math.MinInt32, math.MaxInt32, -12345}[(i+j)%4] ^ int32(j)
				arg.SetInt(int64(v))
				bits = uint64(int64(v))
			case reflect.Int64:
				v := []int64{math.MinInt64, -1, math.MaxInt64}[(i+j)%3] ^ int64(j)<<33
				arg.SetInt(v)
				bits = uint64(v)
			case reflect.Uint32:
				bits = 0xfedcba98 ^ uint64(j)
				arg.SetUint(bits)
			case reflect.Uint8:
				bits = 0xf0 ^ uint64(j)
				arg.SetUint(bits)
			case reflect.Pointer:
				last = new(byte)
				*last = byte(0x80 + j)
				arg.Set(reflect.ValueOf(last))
				bits = uint64(*last)
			default: // uint64 and uintptr
				bits = 0xfedcba9876543210 ^ uint64(i)<<8 ^ uint64(j)
				arg.SetUint(bits)
			}
			args, want = append(args, arg), append(want, bits)
		}
		name := fields.Type().Field(i).Name
		*seen, *count = [18]uint64{}, -1
		out := fn.Call(args)[0]
		if *count != int32(len(want)) {
			t.Errorf("%s: a function of %d arguments was called", name, *count)
		}
		for j := range want {
			if seen[j] != want[j] {
				t.Errorf("%s: argument %d, a %v, arrived as %#x, want %#x", name, j, args[j].Type(), seen[j], want[j])
			}
		}
		ones := ^uint64(len(want))
		if last == nil {
			last = (*byte)(unsafe.Pointer(count))
		}
		switch v := out.Interface().(type) {
		case None:
		case *byte:
			if v != last {
				t.Errorf("%s returned %p, want %p", name, v, last)
			}
		case int32:
			if v != int32(ones) {
				t.Errorf("%s returned %d, want %d", name, v, int32(ones))
			}
		case uint32:
			if v != uint32(ones) {
				t.Errorf("%s returned %#x, want %#x", name, v, uint32(ones))
			}
		case int64:
			if v != int64(ones) {
				t.Errorf("%s returned %d, want %d", name, v, int64(ones))
			}
		case uint64:
			if v != ones {
				t.Errorf("%s returned %#x, want %#x", name, v, ones)
			}
		case uintptr:
			if v != uintptr(ones) {
				t.Errorf("%s returned %#x, want %#x", name, v, ones)
			}
		}
	}
}

func TestBoundCallsTakeNoMemory(t *testing.T) {
	var f functions
	l := openBuilt(t, "libalexnetalloc.so", source(f.bindings()))
	if err := l.Bind(f.bindings()); err != nil {
		t.Fatal(err)
	}
	if testenv.Race {
		t.Skip("the race detector makes pools forget what they hold")
	}
	p := new(byte)
	for name, call := range map[string]func(){
		"F0":  func() { f.F0() },
		"F8":  func() { f.F8(1, 2, p, 4, 5, 6, 7, 8) },
		"F18": func() { f.F18(1, 2, 3, 4, p, 6, 7, p, 9, 10, 11, 12, 13, 14, 15, 16, p, 18) },
	} {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s: %v allocations a call", name, n)
		}
	}
}

// Calls share a pool of argument lists: none may see another's.
func TestBoundCallsAtTheSameTime(t *testing.T) {
	l := openBuilt(t, "libalexnetpool.so", `
		#include <stdint.h>
		int64_t digits(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g, int64_t h) {
			return a + 10*(b + 10*(c + 10*(d + 10*(e + 10*(f + 10*(g + 10*h))))));
		}`)
	var digits func(a, b, c, d, e, f, g, h int64) int64
	if err := l.Bind([]Binding{Func8(&digits, "int64_t digits(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g, int64_t h)")}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range int64(8) {
		wg.Go(func() {
			for range 2000 {
				if got := digits(i, i, i, i, i, i, i, i); got != i*11111111 {
					t.Errorf("eight times %d arrived as %d", i, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestFuncFloat(t *testing.T) {
	l := openBuilt(t, "libalexnetfloat.so", `
		#include <stdint.h>
		double blend(double a, double b, int32_t n, float c, const double *d) { return a + 2*b + 4*n + 8*c + 16**d; }`)
	var blend func(a, b float64, n int32, c float32, d *float64) float64
	if err := l.Bind([]Binding{FuncFloat(&blend, "double blend(double a, double b, int32_t n, float c, const double *d)")}); err != nil {
		t.Fatal(err)
	}
	d := 0.25
	if got, want := blend(1e300, -0.5e300, -3, 0.125, &d), -7.0; got != want { // the large ones cancel exactly
		t.Errorf("blend = %v, want %v", got, want)
	}
	if got, want := blend(-1.5, 0.25, 7, -2, &d), 15.0; got != want {
		t.Errorf("blend = %v, want %v", got, want)
	}
}

func TestBindingName(t *testing.T) {
	for prototype, want := range map[string]string{
		"int f(void)":         "f",
		"const char *g(f *x)": "g",
	} {
		if got := (Binding{Prototype: prototype}).Name(); got != want {
			t.Errorf("Name of %q is %q, want %q", prototype, got, want)
		}
	}
}

func TestBindSaysWhatIsMissing(t *testing.T) {
	l := openBuilt(t, "libalexnetmissing.so", "void there(void) {}")
	var there, absent func() None
	err := l.Bind([]Binding{Func0(&there, "void there(void)"), Func0(&absent, "void alexnet_absent(void)")})
	if err == nil || !strings.Contains(err.Error(), "alexnet_absent") || !strings.Contains(err.Error(), l.Path) {
		t.Errorf("error is %v, want one that names the function and the library", err)
	}
}
