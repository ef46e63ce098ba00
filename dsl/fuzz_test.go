package dsl

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds adds every network of the repository.
func seeds(f *testing.F) {
	found := 0
	for _, pattern := range []string{"../*.net", "../nets/*.net", "testdata/*/*.net"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
			found++
		}
	}
	if found == 0 {
		f.Fatal("no networks found")
	}
}

// FuzzScan wants every token where its position says, and nothing lost between
// tokens but blanks.
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		src, tooLong := newSource("fuzz", text)
		if tooLong != nil {
			return
		}
		for n, l := range src.lines {
			var errs Errors
			tokens, comment := scan(src, n+1, 0, &errs)
			if end := tokens[len(tokens)-1]; end.kind != endOfLine || end.text != "" {
				t.Fatalf("the last token of %q is %+v", l, end)
			}
			bad := 0
			rest, column := l, 1
			skip := func(to int) {
				for ; column < to; column++ {
					r, size := utf8.DecodeRuneInString(rest)
					if r != ' ' && r != '\t' && comment == "" {
						t.Fatalf("%q is in no token of %q", r, l)
					}
					rest = rest[size:]
				}
			}
			for _, tok := range tokens[:len(tokens)-1] {
				skip(tok.column)
				if !strings.HasPrefix(rest, tok.text) || tok.text == "" || tok.line != n+1 {
					t.Fatalf("%+v is not in line %d at its column: %q", tok, n+1, l)
				}
				if tok.kind == badToken {
					bad++
				}
				rest, column = rest[len(tok.text):], column+tok.width()
			}
			if bad != len(errs) {
				t.Fatalf("%d bad tokens and %d errors in %q", bad, len(errs), l)
			}
			if len(errs) == 0 && strings.Trim(rest, " \t") != comment {
				t.Fatalf("after the tokens of %q comes %q, and the comment is %q", l, rest, comment)
			}
		}
	})
}

// FuzzParse wants a sound network or errors whose positions are in the text.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		net, err := Parse("fuzz", text)
		if err == nil {
			if problems := net.Infer(); len(problems) > 0 {
				t.Fatalf("a network with problems: %v", problems)
			}
			net.Totals()
			return
		}
		var errs Errors
		if !errors.As(err, &errs) || net != nil {
			t.Fatalf("got %v and %v", net, err)
		}
		lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		for _, e := range errs {
			if e.Pos.Line < 1 || e.Pos.Line > len(lines) || e.Pos.Column < 1 || e.Width < 1 {
				t.Fatalf("%+v is not in the text", e)
			}
			if line := lines[e.Pos.Line-1]; e.Line != strings.TrimSuffix(line, "\r") || e.Pos.Column > utf8.RuneCountInString(line)+1 {
				t.Fatalf("%+v is not in line %q", e, line)
			}
		}
		if !utf8.ValidString(err.Error()) {
			t.Fatalf("the message is not text: %q", err.Error())
		}
	})
}

// FuzzFormat wants a fixed point after one step, with the same network, or the
// same soundness.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		once, err := Format("fuzz", text)
		if err != nil {
			return
		}
		twice, err := Format("fuzz", once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v\n%q\nis formatted as\n%s\nand that as\n%s", err, text, once, twice)
		}
		for _, word := range comments(text) {
			if !bytes.Contains(once, []byte(word)) {
				t.Fatalf("the comment %q is lost:\n%s", word, once)
			}
		}
		a, errA := Parse("fuzz", text)
		b, errB := Parse("fuzz", once)
		if (errA == nil) != (errB == nil) || !reflect.DeepEqual(a, b) {
			t.Fatalf("%q\nand\n%s\nare different networks: %v, %v", text, once, errA, errB)
		}
	})
}

func comments(text []byte) []string {
	var list []string
	for line := range strings.Lines(string(text)) {
		if _, c, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "#"); ok {
			list = append(list, strings.TrimRight(c, " \t"))
		}
	}
	return list
}

// FuzzSetting wants what Apply writes to be what Parse makes of the settings.
func FuzzSetting(f *testing.F) {
	for _, set := range []string{"train.batch=64", "train.divide=10 at 8 10", "conv1.kernels=48", "conv1.relu.from=input", "data.mirror=no", "columns=default"} {
		f.Add(set)
	}
	src, err := os.ReadFile("../nets/cifar10-quick.net")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseSetting(text)
		if err != nil {
			return
		}
		net, err := Parse("fuzz", src, set)
		if err != nil {
			_ = err.Error()
			return
		}
		out, err := Apply("fuzz", src, set)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse("fuzz", out); err != nil || !reflect.DeepEqual(net, again) {
			t.Fatalf("%q: %v, or another network:\n%s", text, err, out)
		}
	})
}
