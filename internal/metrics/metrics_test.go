package metrics

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample(kind string, step int64) Metric {
	return Metric{Kind: kind, Step: step, Epoch: float64(step) / 8, Loss: 6.907755, Top1Error: 0.999, Top5Error: 1e-9, Rate: 0.01, ImagesPerSecond: 1234.5}
}

// same compares bit for bit what == cannot: NaN is the same as NaN.
func same(a, b Metric) bool {
	bits := math.Float64bits
	return a.Kind == b.Kind && a.Step == b.Step && bits(a.Epoch) == bits(b.Epoch) && bits(a.Loss) == bits(b.Loss) &&
		bits(a.Top1Error) == bits(b.Top1Error) && bits(a.Top5Error) == bits(b.Top5Error) &&
		bits(a.Rate) == bits(b.Rate) && bits(a.ImagesPerSecond) == bits(b.ImagesPerSecond)
}

func record(t *testing.T, ms ...Metric) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func appendText(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
}

func steps(t *testing.T, path string) []int64 {
	t.Helper()
	ms, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var s []int64
	for _, m := range ms {
		s = append(s, m.Step)
	}
	return s
}

// The keys and their order are what other programs read: fixed here by hand.
func TestLine(t *testing.T) {
	m := Metric{Kind: Test, Step: 12, Epoch: 1.5, Loss: math.NaN(), Top1Error: 0.25, Top5Error: math.Inf(1), Rate: 1e-05, ImagesPerSecond: 1e21}
	const want = `{"kind":"test","step":12,"epoch":1.5,"loss":null,"top1_error":0.25,"top5_error":null,"rate":1e-05,"images_per_second":1e+21}`
	b, err := os.ReadFile(record(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want+"\n" {
		t.Errorf("wrote %s\nwant  %s", b, want)
	}
	if b, err := json.Marshal(m); err != nil || string(b) != want {
		t.Errorf("json.Marshal gives %s, %v\nwant %s", b, err, want)
	}
	// encoding/json's own rendering of the same fields must mean the same.
	type plain Metric
	finite := sample(Train, 77)
	b, err = json.Marshal(plain(finite))
	if err != nil {
		t.Fatal(err)
	}
	ms, err := Decode("x", strings.NewReader(string(b)+"\n"))
	if err != nil || len(ms) != 1 || !same(ms[0], finite) {
		t.Errorf("Decode of %s gives %v, %v", b, ms, err)
	}
}

func TestRoundTrip(t *testing.T) {
	want := []Metric{sample(Train, 1), sample(Test, 1), {Kind: Train, Step: math.MaxInt64, Loss: math.MaxFloat64, Rate: 5e-324, Epoch: -0.1}}
	want = append(want, Metric{Kind: Train, Step: math.MaxInt64, Loss: math.NaN()})
	got, err := Read(record(t, want...))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d metrics, want %d", len(got), len(want))
	}
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("metric %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func TestAbsentNumbersAreNaN(t *testing.T) {
	ms, err := Decode("x", strings.NewReader(`{"kind":"test","step":3,"epoch":2,"loss":1,"note":[1]}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if m := ms[0]; m.Epoch != 2 || m.Loss != 1 || !math.IsNaN(m.Top1Error) || !math.IsNaN(m.Rate) {
		t.Errorf("got %+v", m)
	}
}

func TestReadErrors(t *testing.T) {
	const good = `{"kind":"train","step":1}` + "\n"
	for _, c := range []struct{ name, text, want string }{
		{"not JSON", good + "hello\n" + good, "run:2: invalid character"},
		{"empty line", good + "\n", "run:2: "},
		{"other kind", good + good + `{"kind":"valid","step":1}` + "\n", `run:3: kind is "valid", want "train", "test" or "change"`},
		{"no step", `{"kind":"train"}` + "\n", `run:1: there is no "step"`},
		{"null", "null\n", `run:1: there is no "step"`},
		{"negative step", `{"kind":"train","step":-1}` + "\n", "run:1: step is -1"},
		{"fractional step", `{"kind":"train","step":1.5}` + "\n", "run:1: json: cannot unmarshal number 1.5"},
		{"text for a number", `{"kind":"train","step":1,"loss":"low"}` + "\n", "run:1: json: cannot unmarshal string"},
		{"endless line", good + strings.Repeat(" ", maxLine) + "\n", "run:2: the line has more than 65536 bytes"},
	} {
		ms, err := Decode("run", strings.NewReader(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an error with %q", c.name, ms, err, c.want)
		}
	}
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("Read of a folder: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "absent")); !os.IsNotExist(err) {
		t.Errorf("Read of nothing: %v", err)
	}
}

func TestResume(t *testing.T) {
	path := record(t, sample(Train, 10), sample(Test, 10), sample(Train, 20), sample(Train, 30))
	appendText(t, path, `{"kind":"train","st`)
	if got := steps(t, path); len(got) != 4 {
		t.Errorf("a torn line was not passed over: %v", got)
	}
	w, last, err := Resume(path, 10, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(last) != 2 || last[0].Kind != Train || last[1].Kind != Test {
		t.Errorf("lines of step 10: %v", last)
	}
	if err := w.Write(sample(Train, 11)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, path); len(got) != 3 || got[1] != 10 || got[2] != 11 {
		t.Errorf("steps after resuming at 10: %v, want [10 10 11]", got)
	}
}

// A test that is done again takes the place of the one that was recorded.
func TestResumeBeforeATest(t *testing.T) {
	path := record(t, sample(Train, 10), sample(Test, 10), sample(Change, 10), sample(Train, 20))
	w, last, err := Resume(path, 10, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, path); len(got) != 1 || len(last) != 1 || last[0].Kind != Train {
		t.Errorf("steps after resuming before the test of step 10: %v, lines of the step %v", got, last)
	}
}

// Resuming cuts no file that the name only leads to.
func TestResumeFollowsNoLink(t *testing.T) {
	path := record(t, sample(Train, 10), sample(Train, 20))
	link := filepath.Join(t.TempDir(), "metrics.jsonl")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Resume(link, 10, false); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("error %v", err)
	}
	if got := steps(t, path); len(got) != 2 {
		t.Errorf("the file has steps %v", got)
	}
}

// A crash may stop the writing of a line at any byte.
func TestResumeTornAnywhere(t *testing.T) {
	path := record(t, sample(Train, 1), sample(Train, 2))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.IndexByte(string(whole), '\n') + 1
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		w, _, err := Resume(path, 100, false)
		if err != nil {
			t.Fatalf("torn at byte %d: %v", n, err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		want := 0
		if n >= first {
			want = first
		}
		if n == len(whole) {
			want = n
		}
		if info, err := os.Stat(path); err != nil || info.Size() != int64(want) {
			t.Fatalf("torn at byte %d: %d bytes are left (%v), want %d", n, info.Size(), err, want)
		}
	}
}

func TestResumeLeavesADamagedFileAlone(t *testing.T) {
	path := record(t, sample(Train, 1))
	appendText(t, path, "<<<<<<<\n")
	before, _ := os.ReadFile(path)
	if _, _, err := Resume(path, 5, false); err == nil || !strings.Contains(err.Error(), "metrics.jsonl:2: ") {
		t.Errorf("error is %v, want one at line 2", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Errorf("the file became %q", after)
	}
}

func TestCreateLeavesARecordAlone(t *testing.T) {
	path := record(t, sample(Train, 1))
	if _, err := Create(path); err == nil || !strings.Contains(err.Error(), "resume that run") {
		t.Errorf("error is %v", err)
	}
	if got := steps(t, path); len(got) != 1 {
		t.Errorf("steps are now %v", got)
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Write(Metric{Kind: "both"}); err == nil {
		t.Error("kind both was written")
	}
	if err := w.Write(sample(Test, 0)); err != nil {
		t.Fatal(err)
	}
	if got := steps(t, path); len(got) != 1 {
		t.Errorf("steps are %v, want one line", got)
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m := sample(Train, 1)
	if n := testing.AllocsPerRun(100, func() {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Write allocates %v times", n)
	}
}

// FuzzDecode: what is read and written again reads the same.
func FuzzDecode(f *testing.F) {
	f.Add(`{"kind":"train","step":1,"loss":null}` + "\n" + `{"kind":"test","step":1,"epoch":1e300}` + "\n{")
	f.Add("\n")
	f.Fuzz(func(t *testing.T, text string) {
		ms, err := Decode("x", strings.NewReader(text))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, m := range ms {
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			again.Write(append(b, '\n'))
		}
		back, err := Decode("y", strings.NewReader(again.String()))
		if err != nil || len(back) != len(ms) {
			t.Fatalf("%d metrics became %d, %v", len(ms), len(back), err)
		}
		for i := range ms {
			if !same(ms[i], back[i]) {
				t.Fatalf("%+v became %+v", ms[i], back[i])
			}
		}
	})
}
