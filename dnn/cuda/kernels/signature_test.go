package kernels_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/kernels"
)

var (
	kernelPattern = regexp.MustCompile(`__global__\s+void\s+(\w+)\(([^)]*)\)`)
	paramPattern  = regexp.MustCompile(`^(?:const )?([a-z0-9 ]+) (\*?)(\w+)$`)
)

// ctypes are the C types of the fields' types.
var ctypes = map[reflect.Type]string{
	reflect.TypeFor[int32]():   "int",
	reflect.TypeFor[uint32]():  "unsigned",
	reflect.TypeFor[int64]():   "long long",
	reflect.TypeFor[uint64]():  "unsigned long long",
	reflect.TypeFor[float32](): "float",

	reflect.TypeFor[[kernels.MaxParams]kernels.Parameter](): "parameters",
}

// A parameter has its field's name in C's way: XOffset is x_offset, KH and DY are
// kh and dy. It is a pointer where the field is a device's, else it has the type
// of the same width and sign.
func TestSignatures(t *testing.T) {
	names := map[string]bool{}
	for _, name := range kernels.Names() {
		names[name] = true
	}
	found := kernelPattern.FindAllStringSubmatch(kernels.Source(), -1)
	if len(found) != strings.Count(kernels.Source(), "__global__") || len(found) != len(names) {
		t.Errorf("%d kernels could be parsed of %d in the sources; %d have arguments in Go", len(found), strings.Count(kernels.Source(), "__global__"), len(names))
	}
	for _, kernel := range found {
		a, err := kernels.New(kernel[1])
		if err != nil {
			t.Error(err)
			continue
		}
		want := wantParams(reflect.TypeOf(a).Elem())
		var got []string
		for p := range strings.SplitSeq(kernel[2], ",") {
			m := paramPattern.FindStringSubmatch(strings.TrimSpace(p))
			if m == nil {
				t.Fatalf("%s: parameter %q", kernel[1], p)
			}
			if m[2] == "*" {
				m[1] = "pointer"
			}
			got = append(got, m[1]+" "+m[3])
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s has parameters\n%q, its arguments are\n%q", kernel[1], got, want)
		}
	}
}

func wantParams(t reflect.Type) []string {
	var list []string
	for f := range t.Fields() {
		if f.Type.Kind() == reflect.Struct {
			list = append(list, wantParams(f.Type)...)
			continue
		}
		kind, ok := ctypes[f.Type]
		if f.Type == reflect.TypeFor[cu.DevicePtr]() {
			kind, ok = "pointer", true
		}
		if !ok {
			kind = fmt.Sprintf("no C type for %s", f.Type)
		}
		list = append(list, kind+" "+cName(f.Name))
	}
	return list
}

// cName puts an underscore before each capital that follows a small letter, and
// before each that begins a word after another capital.
func cName(name string) string {
	var b strings.Builder
	r := []rune(name)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

func TestParamsAndDecode(t *testing.T) {
	for _, name := range kernels.Names() {
		p, err := kernels.New(name)
		if err != nil {
			t.Fatal(err)
		}
		number(reflect.ValueOf(p).Elem(), 1)
		want := reflect.ValueOf(p).Elem().Interface().(kernels.Args)
		params := kernels.Params(want)
		if n := len(wantParams(reflect.TypeOf(want))); len(params) != n {
			t.Errorf("%s: %d addresses of %d arguments", name, len(params), n)
		}
		if got, err := kernels.Decode(name, &params[0]); err != nil || got != want {
			t.Errorf("%s: decoded %+v, %v, want %+v", name, got, err, want)
		}
		params[len(params)-1] = nil
		if _, err := kernels.Decode(name, &params[0]); err == nil {
			t.Errorf("%s: decoded an argument without an address", name)
		}
	}
	if _, err := kernels.Decode("scale", nil); err == nil {
		t.Error("decoded no arguments")
	}
	if _, err := kernels.Decode("absent", nil); err == nil || !strings.Contains(err.Error(), `"absent"`) {
		t.Errorf("decoded the arguments of no kernel: %v", err)
	}
}

// number sets all fields to numbers that differ.
func number(v reflect.Value, n int) int {
	for _, f := range v.Fields() {
		switch {
		case f.Kind() == reflect.Struct:
			n = number(f, n)
			continue
		case f.Kind() == reflect.Array:
			for i := range f.Len() {
				n = number(f.Index(i), n)
			}
			continue
		case f.CanInt():
			f.SetInt(int64(-n))
		case f.CanUint():
			f.SetUint(uint64(n))
		default:
			f.SetFloat(float64(n) / 2)
		}
		n++
	}
	return n
}
