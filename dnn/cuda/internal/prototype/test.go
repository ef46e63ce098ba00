package prototype

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/native"
)

// mutations are errors that Check must see, as changes of a prototype that is
// right.
var mutations = []struct{ name, old, new string }{
	{"a parameter missing", `, [\w *]+\)$`, ")"},
	{"a parameter too many", `\)$`, ", int more)"},
	{"an int too wide", `\bint (\w+)([,)])`, "size_t $1$2"},
	{"a size too narrow", `\bsize_t (\w+)([,)])`, "int $1$2"},
	{"a sign", `\bunsigned int\b|\bunsigned\b`, "int"},
	{"float for double", `\bdouble\b`, "float"},
	{"a value for an address", `\bint \*`, "int "},
	{"an address of a narrower number", `\bsize_t \*`, "int *"},
	{"an address of a double", `\bfloat \*`, "double *"},
	{"an unknown type", `^\w+ `, "unknown_t "},
	{"no result", `^\w+ `, "void "},
	{"another function", `(\w+)\(`, "${1}X("},
}

// Test checks a table, and that each of the errors which can be made in its
// prototypes is found.
func (r Rules) Test(t *testing.T, table any, bindings []native.Binding) {
	t.Helper()
	for _, err := range r.Check(table, bindings) {
		t.Error(err)
	}
	names := fields(table)
	for _, m := range mutations {
		old := regexp.MustCompile(m.old)
		for _, b := range bindings {
			wrong := b
			wrong.Prototype = old.ReplaceAllString(b.Prototype, m.new)
			if wrong.Prototype != b.Prototype && len(r.binding(names, wrong)) == 0 {
				t.Errorf("%s is not found: %s", m.name, wrong.Prototype)
			}
		}
	}
	if len(r.Check(table, bindings[1:])) == 0 || len(r.Check(table, append(slices.Clone(bindings), bindings[0]))) == 0 {
		t.Error("a function that is not bound, or is bound twice, is not found")
	}
}

// TestHeader holds bindings against the library's headers, as far as they are
// installed, and skips where none is.
func TestHeader(t *testing.T, bindings []native.Binding, headers ...string) {
	t.Helper()
	var text strings.Builder
	for _, path := range headers {
		if b, err := os.ReadFile(path); err == nil {
			text.Write(b)
		}
	}
	if text.Len() == 0 {
		t.Skipf("none of %s is there", strings.Join(headers, ", "))
	}
	h := parseHeader(text.String())
	for _, b := range bindings {
		if err := h.check(b.Prototype); err != nil {
			t.Error(err)
		}
	}
}

// header is what a C header declares.
type header struct {
	functions map[string]Prototype
	defines   map[string]string
}

var noMacros = strings.NewReplacer("CUDAAPI", "", "CUBLASWINAPI", "", "CUDNNWINAPI", "")

// parseHeader takes the first of several declarations of a function. cuda.h has
// its older forms after it.
func parseHeader(text string) header {
	h := header{map[string]Prototype{}, map[string]string{}}
	var code strings.Builder
	for line := range strings.Lines(noComments(text)) {
		if directive, ok := strings.CutPrefix(strings.TrimSpace(line), "#"); !ok {
			code.WriteString(line)
		} else if words := strings.Fields(directive); len(words) > 2 && words[0] == "define" {
			h.defines[words[1]] = strings.Join(words[2:], " ")
		}
	}
	for _, s := range strings.FieldsFunc(noMacros.Replace(code.String()), func(r rune) bool { return strings.ContainsRune(";{}", r) }) {
		p, err := Parse(s)
		if err != nil {
			continue
		}
		if _, ok := h.functions[p.Name]; !ok {
			h.functions[p.Name] = p
		}
	}
	return h
}

// noComments returns C's text without its comments.
func noComments(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '/')
		if i < 0 {
			return b.String() + text
		}
		b.WriteString(text[:i])
		text = text[i:]
		switch {
		case strings.HasPrefix(text, "/*"):
			_, text, _ = strings.Cut(text, "*/")
		case strings.HasPrefix(text, "//"):
			_, text, _ = strings.Cut(text, "\n")
			b.WriteByte('\n')
		default:
			b.WriteByte('/')
			text = text[1:]
		}
	}
}

// check returns an error unless the header declares the function so, the names
// of its parameters included.
func (h header) check(prototype string) error {
	want, err := Parse(prototype)
	if err != nil {
		return err
	}
	// cuda.h declares cuMemAlloc, after a macro that makes it cuMemAlloc_v2.
	name := want.Name
	if plain := version.ReplaceAllString(name, ""); strings.Contains(h.defines[plain], name) {
		name = plain
	}
	got, ok := h.functions[name]
	if !ok {
		return fmt.Errorf("the header has no %s", name)
	}
	got.Name = want.Name
	if g, w := got.String(), want.String(); g != w {
		return fmt.Errorf("the header has\n\t%s\nand the binding\n\t%s", g, w)
	}
	return nil
}
