package dsl

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/model"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with the file beside in, whose name ends in ext instead.
func golden(t *testing.T, in, ext string, got []byte) {
	t.Helper()
	path := strings.TrimSuffix(in, ".net") + ext
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// inputs yields the networks of a folder under testdata.
func inputs(t *testing.T, folder string, test func(t *testing.T, path string, src []byte)) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.net"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no networks in %s: %v", folder, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".net"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			test(t, path, src)
		})
	}
}

func TestErrors(t *testing.T) {
	inputs(t, "errors", func(t *testing.T, path string, src []byte) {
		net, err := Parse(filepath.Base(path), src)
		var errs Errors
		if !errors.As(err, &errs) || net != nil {
			t.Fatalf("got %v and %v, want no network and Errors", net, err)
		}
		golden(t, path, ".err", []byte(err.Error()+"\n"))
		lines := strings.Split(string(src), "\n")
		for i, e := range errs {
			if e.Line != lines[e.Pos.Line-1] {
				t.Errorf("%v: line is %q, want %q", e.Pos, e.Line, lines[e.Pos.Line-1])
			}
			if i > 0 && (e.Pos.Line < errs[i-1].Pos.Line || e.Pos.Line == errs[i-1].Pos.Line && e.Pos.Column < errs[i-1].Pos.Column) {
				t.Errorf("%v comes after %v", e.Pos, errs[i-1].Pos)
			}
		}
	})
}

func TestFormat(t *testing.T) {
	inputs(t, "format", func(t *testing.T, path string, src []byte) {
		out, err := Format(path, src)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, path, ".golden", out)
		if again, err := Format(path, out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("formatted again: %v\n%s", err, again)
		}
	})
}

// TestShapes prints every layer of networks whose shapes are easily got wrong.
func TestShapes(t *testing.T) {
	inputs(t, "shapes", func(t *testing.T, path string, src []byte) {
		net, err := Parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, path, ".golden", table(net))
	})
}

// table lists name, kind, input, output, weight, parameters, neurons and work of
// the layers.
func table(net *model.Net) []byte {
	var out bytes.Buffer
	for i, l := range net.Layers {
		weight, _ := net.ParamShapes(i)
		fmt.Fprintf(&out, "%-15s %-8s %-10v %-10v %-15s %5d %5d %7d divided=%v gathers=%v\n", l.Name, l.Spec.Kind(), l.In, l.Out,
			fmt.Sprint(weight), net.Parameters(i), net.Neurons(i), net.Work(i), l.Divided, net.Gathers(l))
	}
	return out.Bytes()
}
