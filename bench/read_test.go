package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// measured is a report as it is written.
func measured() *Report {
	t := Time{Median: 2, Min: 1, Max: 3}
	return &Report{Net: "n", Device: "cpu", Batch: 4, Precision: "fp32", CPU: "a processor", Cores: 2, BLAS: "own", Step: t, Passes: []Time{t, t, t},
		Operations: []Operation{{Layer: "conv1", Pass: "forward", What: "ConvForward", Time: t}, {Layer: "conv1", Pass: "update", What: "Update"}}}
}

func written(t testing.TB, r *Report) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.json")
	read := func(b []byte) (*Report, error) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return ReadReport(path)
	}
	r, err := read(written(t, measured()))
	if err != nil || !bytes.Equal(written(t, r), written(t, measured())) {
		t.Errorf("got %+v, error %v", r, err)
	}
	for want, spoil := range map[string]func(*Report){
		"names no net":         func(r *Report) { r.Net = "" },
		"batch is 0":           func(r *Report) { r.Batch = 0 },
		"fastest step took 0":  func(r *Report) { r.Step.Min = 0 },
		"step: a median of -2": func(r *Report) { r.Step.Median = -2 },
		"2 passes":             func(r *Report) { r.Passes = r.Passes[1:] },
		"backward: a median":   func(r *Report) { r.Passes[1].Max = 1 },
		`of layer "conv1": a`:  func(r *Report) { r.Operations[0].Max = 1e300 },
		`device is "\x1b[2J"`:  func(r *Report) { r.Device = "\x1b[2J" },
		"more than 4194304":    func(r *Report) { r.CPU = strings.Repeat("x", mostReport) },
	} {
		r := measured()
		spoil(r)
		if _, err := read(written(t, r)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for _, text := range []string{"", "null", "{}", "[]", "{}{}"} {
		if _, err := read([]byte(text)); err == nil {
			t.Errorf("%q was taken for a report", text)
		}
	}
}

// FuzzReport: what is accepted can be written and reads the same again, and its
// comparison is a table of finite numbers.
func FuzzReport(f *testing.F) {
	f.Add(written(f, measured()))
	whole := measured()
	whole.Operations = nil
	f.Add(written(f, whole))
	f.Fuzz(func(t *testing.T, b []byte) {
		old, err := parseReport(b)
		if err != nil {
			return
		}
		again, err := parseReport(written(t, old))
		if err != nil || !bytes.Equal(written(t, old), written(t, again)) {
			t.Fatalf("%+v reads back as %+v, error %v", old, again, err)
		}
		now := measured()
		now.Net, now.Batch, now.Forward = old.Net, old.Batch, old.Forward
		var text bytes.Buffer
		if err := now.Compare(&text, old); err != nil {
			t.Fatal(err)
		}
		table := text.String()
		if strings.ContainsFunc(strings.ReplaceAll(table, "\n", ""), func(c rune) bool { return !strconv.IsPrint(c) }) {
			t.Fatalf("not printable: %q", table)
		}
		table = table[strings.LastIndex(table, "ratio"):] // before it stand names of the older report
		if strings.Contains(table, "NaN") || strings.Contains(table, "Inf") {
			t.Fatalf("numbers that are not finite:\n%s", table)
		}
		if lines := strings.Count(table, "\n"); lines > 1+1+len(passNames)+len(now.Operations) {
			t.Fatalf("%d lines:\n%s", lines, table)
		}
	})
}
