// Package prototype holds tables of Go functions against the C prototypes that
// they are bound to. Only tests import it.
package prototype

import (
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"alexnet/internal/native"
)

// Type is a C type without arrays: const Base **.
type Type struct {
	Base  string
	Const bool // of what the first star points to, or of the value
	Stars int
}

// Param is one parameter of a function.
type Param struct {
	Type
	Name string
}

// Prototype is a C function's.
type Prototype struct {
	Name   string
	Result Type
	Params []Param
}

var (
	shape = regexp.MustCompile(`^([\w\s*]+[\s*])(\w+)\s*\(([\w\s*,]*)\)$`)
	token = regexp.MustCompile(`\w+|\*`)
	array = regexp.MustCompile(`(\w+)\s*\[\s*\]`) // which a function takes as an address
)

// Parse reads a prototype whose parameters have names.
func Parse(text string) (Prototype, error) {
	m := shape.FindStringSubmatch(array.ReplaceAllString(strings.TrimSpace(text), "*$1"))
	if m == nil {
		return Prototype{}, fmt.Errorf("%s: no prototype", text)
	}
	p := Prototype{Name: m[2], Result: parseType(token.FindAllString(m[1], -1))}
	if strings.TrimSpace(m[3]) == "void" {
		return p, nil
	}
	for _, s := range strings.Split(m[3], ",") {
		t := token.FindAllString(s, -1)
		if len(t) < 2 || t[len(t)-1] == "*" {
			return Prototype{}, fmt.Errorf("%s: parameter %q has no name", text, s)
		}
		p.Params = append(p.Params, Param{parseType(t[:len(t)-1]), t[len(t)-1]})
	}
	return p, nil
}

func parseType(tokens []string) (t Type) {
	var base []string
	for _, s := range tokens {
		switch {
		case s == "*":
			t.Stars++
		case s == "const" && t.Stars == 0:
			t.Const = true
		case s == "const": // of a pointer, which a function takes by value
		default:
			base = append(base, s)
		}
	}
	if t.Base = strings.Join(base, " "); t.Base == "unsigned" {
		t.Base = "unsigned int"
	}
	if t.Stars == 0 {
		t.Const = false // of a value that the function copies
	}
	return t
}

func (t Type) String() string {
	s := t.Base + " " + strings.Repeat("*", t.Stars)
	if t.Const {
		s = "const " + s
	}
	return strings.TrimSpace(s)
}

func (p Prototype) String() string {
	params := make([]string, len(p.Params))
	for i, c := range p.Params {
		params[i] = fmt.Sprintf("%s %s", c.Type, c.Name)
	}
	return fmt.Sprintf("%s %s(%s)", p.Result, p.Name, strings.Join(params, ", "))
}

// Rules say how a library's names and types are called in Go.
type Rules struct {
	// Prefix is what C's names begin with and Go's do not. An ending _v2 falls away
	// too.
	Prefix string
	Names  map[string]string // Go's names that do not follow from C's, by C's
	// Types are the library's own: enumerations, of 4 bytes; handles, which are
	// uintptr; structures, of which functions take addresses.
	Types map[string]reflect.Type
	// Device is the type of a void * that is an address on the device. It is that
	// of all but the parameters called as in Host, which are unsafe.Pointer, as
	// they are without Device.
	Device reflect.Type
	Host   []string
}

// basic are C's own types on the machines that the libraries are for.
var basic = map[string]reflect.Kind{
	"char":               reflect.Uint8,
	"unsigned char":      reflect.Uint8,
	"int":                reflect.Int32,
	"unsigned int":       reflect.Uint32,
	"unsigned long long": reflect.Uint64,
	"int64_t":            reflect.Int64,
	"uint64_t":           reflect.Uint64,
	"size_t":             reflect.Uintptr,
	"float":              reflect.Float32,
	"double":             reflect.Float64,
}

// Check holds a table, a pointer to a structure of functions, against its
// bindings: each function is bound once, to the C function of its name, and its
// type is that of the prototype.
func (r Rules) Check(table any, bindings []native.Binding) (errs []error) {
	names := fields(table)
	for _, b := range bindings {
		errs = append(errs, r.binding(names, b)...)
		delete(names, b.Func)
	}
	for _, name := range names {
		errs = append(errs, fmt.Errorf("%s is bound to no C function", name))
	}
	return errs
}

// fields returns the names of a table's functions by their addresses.
func fields(table any) map[any]string {
	names := map[any]string{}
	v := reflect.ValueOf(table).Elem()
	for i := range v.NumField() {
		names[v.Field(i).Addr().Interface()] = v.Type().Field(i).Name
	}
	return names
}

func (r Rules) binding(names map[any]string, b native.Binding) (errs []error) {
	p, err := Parse(b.Prototype)
	if err != nil {
		return []error{err}
	}
	if name, ok := names[b.Func]; !ok {
		errs = append(errs, fmt.Errorf("%s is bound to no function of the table, or to one that is bound already", p.Name))
	} else if want := r.goName(p.Name); name != want {
		errs = append(errs, fmt.Errorf("%s is bound to %s, not to %s", p.Name, name, want))
	}
	if err := r.function(p, reflect.TypeOf(b.Func).Elem()); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
	}
	if err := passes(b, p); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
	}
	return errs
}

var version = regexp.MustCompile(`_v\d+$`)

func (r Rules) goName(name string) string {
	if s, ok := r.Names[name]; ok {
		return s
	}
	return version.ReplaceAllString(strings.TrimPrefix(name, r.Prefix), "")
}

func (r Rules) function(p Prototype, f reflect.Type) error {
	if f.Kind() != reflect.Func || f.NumOut() != 1 {
		return fmt.Errorf("%v is no function of one result", f)
	}
	if p.Result == (Type{Base: "void"}) {
		if f.Out(0) != reflect.TypeFor[native.None]() {
			return fmt.Errorf("there is no result, but in Go %v", f.Out(0))
		}
	} else if err := r.fits(Param{Type: p.Result}, f.Out(0)); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	if f.NumIn() != len(p.Params) {
		return fmt.Errorf("%d parameters, but %d in Go", len(p.Params), f.NumIn())
	}
	for i, c := range p.Params {
		if err := r.fits(c, f.In(i)); err != nil {
			return fmt.Errorf("parameter %d, %s: %w", i, c.Name, err)
		}
	}
	return nil
}

// fits returns an error if C's p cannot be passed as a t.
func (r Rules) fits(p Param, t reflect.Type) error {
	mismatch := fmt.Errorf("%s is a %v in Go", p.Type, t)
	own, isOwn := r.Types[p.Base]
	kind, isBasic := basic[p.Base]
	switch {
	case p.Base == "void" && p.Stars == 1:
		want := r.Device
		if want == nil || slices.Contains(r.Host, p.Name) {
			want = reflect.TypeFor[unsafe.Pointer]()
		}
		if t != want {
			return fmt.Errorf("%w, not a %v", mismatch, want)
		}
	case p.Stars > 0:
		if t.Kind() != reflect.Pointer {
			return mismatch
		}
		p.Stars--
		if err := r.pointee(p, t.Elem()); err != nil {
			return fmt.Errorf("%w: %w", mismatch, err)
		}
	case isBasic:
		if t.Kind() != kind {
			return mismatch
		}
	case isOwn:
		if t != own {
			return fmt.Errorf("%w, not a %v", mismatch, own)
		}
		if k := t.Kind(); k != reflect.Int32 && k != reflect.Uint32 && k != reflect.Uintptr {
			return fmt.Errorf("%w, which is neither an enumeration nor a handle", mismatch)
		}
	default:
		return fmt.Errorf("%s is a type without a rule", p.Type)
	}
	return nil
}

// pointee is fits for what is behind an address, where structures may be.
func (r Rules) pointee(p Param, t reflect.Type) error {
	if own, ok := r.Types[p.Base]; ok && p.Stars == 0 && own.Kind() != reflect.Int32 && own.Kind() != reflect.Uint32 && own.Kind() != reflect.Uintptr {
		if t != own {
			return fmt.Errorf("a %v, not a %v", t, own)
		}
		return nil
	}
	return r.fits(p, t)
}

// passes returns an error if the binding passes floating-point numbers as
// integers, or takes memory for a function that has none. Which of package
// native's functions made a binding is seen from the name of its function.
func passes(b native.Binding, p Prototype) error {
	float := slices.ContainsFunc(p.Params, func(c Param) bool {
		return c.Stars == 0 && (c.Base == "float" || c.Base == "double")
	})
	bind := reflect.ValueOf(b).FieldByName("bind")
	if !bind.IsValid() || bind.IsNil() {
		return fmt.Errorf("it was not bound by package native")
	}
	if by := runtime.FuncForPC(bind.Pointer()).Name(); strings.Contains(by, "FuncFloat") != float {
		return fmt.Errorf("floating-point parameters: %t, but bound by %s", float, by)
	}
	return nil
}
