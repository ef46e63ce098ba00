package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRatio(t *testing.T) {
	over, under := series("over", []float64{10, 40, 90}), series("under", []float64{10, 20, 30})
	if over.Median != 40 || over.Least != 10 || over.Most != 90 {
		t.Error(over)
	}
	want := Series{Name: "r", Median: 2, Least: 1, Most: 3, Rounds: []float64{1, 2, 3}}
	if got := ratio("r", over, under); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// alone is a machine on which nothing else runs.
func alone(t *testing.T) *quiet { return &quiet{log: t.Output()} }

func TestAlternate(t *testing.T) {
	var order []string
	bad := errors.New("out of luck")
	measured := func(name string, figures ...float64) measurement {
		return measurement{name, func(context.Context) (float64, error) {
			order = append(order, name)
			if len(figures) == 0 {
				return 0, bad
			}
			f := figures[0]
			figures = figures[1:]
			return f, nil
		}}
	}
	got, err := alternate(t.Context(), 3, []measurement{measured("a", 3, 1, 2), measured("b", 4, 5, 6)}, alone(t))
	want := []Series{{"a", 2, 1, 3, []float64{3, 1, 2}}, {"b", 5, 4, 6, []float64{4, 5, 6}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if s := strings.Join(order, ""); s != "abbaab" {
		t.Errorf("the order was %s", s)
	}
	_, err = alternate(t.Context(), 2, []measurement{measured("a", 1)}, alone(t))
	if !errors.Is(err, bad) || err.Error() != "round 2, a: out of luck" {
		t.Error(err)
	}
	if _, err = alternate(t.Context(), 1, []measurement{measured("a", 0)}, alone(t)); err == nil {
		t.Error("a speed of 0 was taken for one")
	}
}

// fake writes a program, a shell script, and returns its path.
func fake(t *testing.T, name, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o777); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFindPython(t *testing.T) {
	bare := fake(t, "python3", "echo \"No module named 'torch'\" >&2; exit 1")
	full := fake(t, "python3", `[ "$1" = -c ] && [ "$2" = "import torch" ]`)
	if got, err := findPython(t.Context(), []string{"/none", bare, full}, "torch"); err != nil || got != full {
		t.Error(got, err)
	}
	_, err := findPython(t.Context(), []string{"/none", bare}, "torch")
	if !errors.Is(err, errNoPython) || !strings.Contains(err.Error(), "/none: ") || !strings.Contains(err.Error(), bare+": python3: exit status 1: No module named 'torch'") {
		t.Error(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := findPython(stopped, []string{full}, "torch"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	// A program that was named must work; without a name there may be none.
	var usage usageError
	if _, err := choosePython(t.Context(), bare, "torch"); !errors.As(err, &usage) || !strings.Contains(err.Error(), "-python none") {
		t.Error(err)
	}
	if got, err := choosePython(t.Context(), full, "torch"); err != nil || got != full {
		t.Error(got, err)
	}
	if _, err := choosePython(t.Context(), "none", "torch"); !errors.Is(err, errNoPython) {
		t.Error(err)
	}
	t.Setenv("PATH", filepath.Dir(full))
	if got, err := choosePython(t.Context(), "", "torch"); err != nil || got != full {
		t.Error(got, err)
	}
}

func TestWorkFolder(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, end, err := workFolder("")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a temporary folder is left: %v", err)
	}

	kept := filepath.Join(t.TempDir(), "a", "b")
	if dir, end, err = workFolder(kept); err != nil || dir != kept {
		t.Fatal(dir, err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	var usage usageError
	if _, _, err := workFolder(filepath.Dir(kept)); !errors.As(err, &usage) {
		t.Errorf("a folder with something in it: %v", err)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table(&b, []string{"a", "b"}, []any{"x|y", 1.5}, []any{nil, 2})
	if got, want := b.String(), "\n| a | b |\n| --- | --- |\n| x\\|y | 1.5 |\n|  | 2 |\n"; got != want {
		t.Errorf("%s\nwant%s", got, want)
	}
}

// TestUsage: wrong usage has a status of its own, and says what is right.
func TestUsage(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for want, args := range map[string]string{
		"what is to be measured?":       "",
		"-rounds 0: want":               "cifar -rounds 0",
		"-steps 0: want":                "alexnet -steps 0",
		"what is \"z\"?":                "scaling z",
		"-others -1: want":              "cifar -others -1",
		"-others NaN: want":             "scaling -others NaN",
		"-others 1e+09: want":           "loader -images . -others 1e9",
		"-batches 1,x":                  "alexnet -batches 1,x",
		"what is \"y\"?":                "cifar y",
		"Give -images FOLDER|TAR":       "loader",
		"what is \"x\"?":                "loader -images . x",
		"-rounds 0":                     "loader -images . -rounds 0",
		"-seconds NaN":                  "loader -images . -seconds NaN",
		"-larger-than 0":                "loader -images . -larger-than 0",
		"flag provided but not defined": "loader -speed",
		"-python /none cannot import":   "loader -images . -larger-than 1 -python /none",
		"there are files in it":         "loader -images . -larger-than 1 -work .",
	} {
		var errs bytes.Buffer
		code := run(t.Context(), append([]string{"bench"}, strings.Fields(args)...), t.Output(), &errs)
		if code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: status %d, %s; want %s", args, code, &errs, want)
		}
	}
}
