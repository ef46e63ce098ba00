package prototype

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"alexnet/internal/native"
)

type (
	enum   int32
	handle uintptr
	record struct{ _ int64 }
	device uintptr
)

var rules = Rules{
	Prefix: "lib",
	Names:  map[string]string{"libOddName": "Odd"},
	Types:  map[string]reflect.Type{"enum_t": reflect.TypeFor[enum](), "handle_t": reflect.TypeFor[handle](), "record_t": reflect.TypeFor[record]()},
	Device: reflect.TypeFor[device](),
	Host:   []string{"alpha"},
}

func TestCheck(t *testing.T) {
	var f struct {
		Call func(handle, *handle, enum, uintptr, *int32, *uintptr, *float32, unsafe.Pointer, device, **byte, *record) enum
		Odd  func(uint32) native.None
		Math func(handle, float64) enum
		Text func() *byte
	}
	list := func(call, odd, math, text string) []native.Binding {
		return []native.Binding{native.Func11(&f.Call, call), native.Func1(&f.Odd, odd), native.FuncFloat(&f.Math, math), native.Func0(&f.Text, text)}
	}
	const (
		call = "enum_t libCall_v3(handle_t h, handle_t *made, enum_t e, size_t n, int *i, size_t *s, float *x, const void *alpha, void *y, const char * const *texts, const record_t *r)"
		odd  = "void libOddName(unsigned flags)"
		math = "enum_t libMath(handle_t h, double x)"
		text = "const char *libText(void)"
	)
	if errs := rules.Check(&f, list(call, odd, math, text)); len(errs) > 0 {
		t.Errorf("what is right: %v", errs)
	}
	for _, c := range []struct{ old, new, want string }{
		{"size_t n", "int n", "parameter 3, n"},
		{"size_t n", "uint64_t n", "parameter 3, n"},
		{"int *i", "int i", "parameter 4, i"},
		{"int *i", "unsigned int *i", "parameter 4, i"},
		{"int *i", "int **i", "parameter 4, i"},
		{"size_t *s", "int *s", "parameter 5, s"},
		{"float *x", "double *x", "parameter 6, x"},
		{"void *alpha", "void *beta", "prototype.device"},
		{"void *y", "void *alpha", "unsafe.Pointer"},
		{"char * const *texts", "char *texts", "parameter 9, texts"},
		{"record_t *r", "record_t r", "parameter 10, r"},
		{"record_t *r", "handle_t *r", "parameter 10, r"},
		{"handle_t h, handle_t *made", "handle_t *made, handle_t h", "parameter 0"},
		{"enum_t e, ", "", "10 parameters, but 11 in Go"},
		{"enum_t e", "other_t e", "without a rule"},
		{"enum_t e", "handle_t e", "prototype.enum"},
		{"double x", "float x", "float"},
		{"double x", "size_t x", "float64"},
		{"void libOddName", "int libOddName", "result"},
		{"const char *libText", "void libText", "no result"},
		{"libOddName", "libOdd2", "libOdd2 is bound to Odd"},
		{"(void)", "(int)", "has no name"},
	} {
		change := func(s string) string { return strings.Replace(s, c.old, c.new, 1) }
		errs := rules.Check(&f, list(change(call), change(odd), change(math), change(text)))
		if len(errs) == 0 || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%s for %s: %v, want an error with %q", c.new, c.old, errs, c.want)
		}
	}
	integers := list(call, odd, math, text)
	integers[2] = native.Func2(&f.Math, math)
	if errs := rules.Check(&f, integers); len(errs) != 1 || !strings.Contains(errs[0].Error(), "floating-point") {
		t.Errorf("a double passed as an integer: %v", errs)
	}
}

func TestHeaderChecks(t *testing.T) {
	h := parseHeader(`
extern "C" {
/* enum_t libOne(int wrong); */
#define libOne  __MACRO(libOne_v2)
enum_t CUDAAPI libOne(const handle_t h,
                      size_t bytes[]);  // the first counts
enum_t CUDAAPI libOne(handle_t h, unsigned int *bytes);
} // the end`)
	for prototype, ok := range map[string]bool{
		"enum_t libOne_v2(handle_t h, size_t *bytes)":       true,
		"enum_t libOne_v2(handle_t h, const size_t *bytes)": false,
		"enum_t libOne_v2(handle_t h, unsigned *bytes)":     false,
		"enum_t libOne_v2(handle_t bytes, size_t *h)":       false,
		"int libOne_v2(handle_t h, size_t *bytes)":          false,
		"enum_t libOne_v3(handle_t h, size_t *bytes)":       false,
		"enum_t libTwo(handle_t h, size_t *bytes)":          false,
	} {
		if err := h.check(prototype); (err == nil) != ok {
			t.Errorf("%s: %v", prototype, err)
		}
	}
}
