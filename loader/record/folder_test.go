package record

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// folder writes a small data set into a new folder.
func folder(t *testing.T) (string, *Dataset, *Statistics) {
	t.Helper()
	dir := t.TempDir()
	d := &Dataset{
		Name: "small", Source: "a test", Height: small.Height, Width: small.Width, ChunkImages: small.ChunkImages, Codec: Delta, Prepared: "drawn", Rejected: 1,
		Classes: []Class{{Name: "a"}, {Name: "b", Synset: "n00000001"}, {Name: "c"}, {Name: "d"}},
		Splits: map[string]Split{
			"train": {Images: 14, Shards: []Shard{
				writeShard(t, filepath.Join(dir, "train-00000.rec"), small, Delta, 10),
				writeShard(t, filepath.Join(dir, "train-00001.rec"), small, Delta, 4),
			}},
			"test": {Images: 2, Shards: []Shard{writeShard(t, filepath.Join(dir, "test-00000.rec"), small, Delta, 2)}},
		},
	}
	s := &Statistics{Height: small.Height, Width: small.Width, Images: 14, RGB: [3]float64{1, 2.5, -3},
		Covariance: [3][3]float64{{1, 2, 3}, {2, 4, 5}, {3, 5, 6}}, Mean: make([]float32, small.ImageBytes())}
	for i := range s.Mean {
		s.Mean[i] = float32(i) / 7
	}
	var err error
	if d.Statistics, err = WriteStatistics(dir, s); err != nil {
		t.Fatal(err)
	}
	if err := WriteDataset(dir, d); err != nil {
		t.Fatal(err)
	}
	return dir, d, s
}

func TestFolderKeepsEverything(t *testing.T) {
	dir, d, s := folder(t)
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !reflect.DeepEqual(f.Dataset, d) || !reflect.DeepEqual(f.Statistics, s) {
		t.Errorf("read\n%+v\n%+v\nwrote\n%+v\n%+v", f.Dataset, f.Statistics, d, s)
	}
	if len(f.Shards["train"]) != 2 || len(f.Shards["test"]) != 1 {
		t.Errorf("shards %v", f.Shards)
	}
	last := 0
	if err := f.Verify(t.Context(), func(done, total int) {
		if done <= last || total != 16 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}); err != nil || last != 16 {
		t.Errorf("verified %d images: %v", last, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Every flipped bit in any file of the folder is found, at the latest by Verify.
func TestFolderFindsEveryDamage(t *testing.T) {
	dir, _, _ := folder(t)
	ofImage := regexp.MustCompile(`chunk \d+ \(images \d+ to \d+\) at byte \d+`)
	for _, name := range []string{"statistics.bin", "train-00001.rec", "test-00000.rec"} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(b []byte, what string, at int) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFolder(dir)
			if err == nil {
				err = errors.Join(f.Verify(t.Context(), nil), f.Close())
			}
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("%s %s at %d: %v", name, what, at, err)
			}
			if strings.Contains(err.Error(), "chunk") && !ofImage.MatchString(err.Error()) {
				t.Fatalf("%s %s at %d: the images are not named: %v", name, what, at, err)
			}
		}
		for i := range whole {
			b := bytes.Clone(whole)
			b[i] ^= 1 << (i % 8)
			check(b, "flipped", i)
		}
		for i := 0; i < len(whole); i += 7 {
			check(whole[:i], "cut", i)
		}
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Verify lists all that is damaged, and no more of it than can be read.
func TestVerifyListsDamage(t *testing.T) {
	dir, _, _ := folder(t)
	path := filepath.Join(dir, "train-00000.rec")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(b), int64(len(b)), path)
	if err != nil {
		t.Fatal(err)
	}
	b[r.chunks[1].offset+3] ^= 1
	b[r.chunks[3].offset+3] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = f.Verify(t.Context(), nil)
	for _, want := range []string{"chunk 1 (images 3 to 5)", "chunk 3 (images 9 to 9)"} {
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// Shards are opened when they are needed.
func TestShardsAreOpenedLazily(t *testing.T) {
	dir, _, _ := folder(t)
	if err := os.WriteFile(filepath.Join(dir, "train-00001.rec"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, second := f.Shards["train"][0], f.Shards["train"][1]
	if first.file.File != nil || first.Images() != 10 || first.Chunks() != 4 || second.Images() != 4 {
		t.Errorf("before loading: %+v, %+v", first, second)
	}
	if err := first.Load(); err != nil || first.Image(9).Source != 91 {
		t.Errorf("error %v, image %+v", err, first.Image(9))
	}
	for range 2 {
		if err := second.Load(); err == nil || !strings.Contains(err.Error(), "train-00001.rec") {
			t.Errorf("error %v", err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Shards["test"][0].Load(); err == nil {
		t.Error("a shard was opened after Close")
	}
}

func TestDatasetErrors(t *testing.T) {
	dir, d, _ := folder(t)
	path := filepath.Join(dir, "dataset.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"version":     {`"version": 2`, `"version": 1`, "version 1 of the format"},
		"format":      {`"alexnet records"`, `"other"`, "its format is"},
		"syntax":      {`"height": 4,`, "\"height\": 4;", "6:14: invalid character"},
		"type":        {`"height": 4`, `"height": "4"`, "6:15: json: cannot unmarshal string"},
		"unknown":     {`"height"`, `"hight"`, "hight"},
		"height":      {`"height": 4`, `"height": 0`, "0 rows"},
		"class":       {`"name": "b"`, `"name": "B"`, "fingerprint"},
		"content":     {d.Splits["train"].Shards[0].Content, strings.Repeat("0", 64), "fingerprint"},
		"checksum":    {d.Splits["train"].Shards[1].Checksum, "00000000", "train-00001.rec"},
		"path":        {`"train-00001.rec"`, `"../train-00001.rec"`, "without folders"},
		"twice":       {`"train-00001.rec"`, `"train-00000.rec"`, "named twice"},
		"absent":      {`"train-00001.rec"`, `"train-00002.rec"`, "train-00002.rec"},
		"images":      {`"images": 14`, `"images": 15`, "they must agree"},
		"statistics":  {d.Statistics, "00000000", "not of one data set"},
		"two values":  {"{\n", "{}{\n", "after top-level value"},
		"cut":         {string(text[len(text)/2:]), "", "damaged"},
		"empty":       {string(text), "", "damaged"},
		"codec":       {`"codec": "delta"`, `"codec": "raw"`, "dataset.json says"},
		"no codec":    {`"codec": "delta"`, `"codec": "zip"`, "want raw (fast) or delta (small)"},
		"few classes": {`"classes": [`, `"classes": [], "x": [`, "unknown field"},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Fatalf("%s: nothing to replace", name)
		}
		if err := os.WriteFile(path, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFolder(dir)
		if err == nil {
			err = errors.Join(f.Verify(t.Context(), nil), f.Close())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without dataset.json: %v", err)
	}
}

func TestLabelWithoutClass(t *testing.T) {
	dir, d, _ := folder(t)
	d.Classes = d.Classes[:3]
	if err := WriteDataset(dir, d); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Verify(t.Context(), nil); err == nil || strings.Count(err.Error(), "image 3 has label 3") != 2 || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("error %v, want one for each shard that has the label", err)
	}
}

func TestFingerprintFollowsTheData(t *testing.T) {
	_, d, _ := folder(t)
	same := *d
	same.Name, same.Source = "other", "other"
	if same.fingerprint() != d.fingerprint() {
		t.Error("the fingerprint depends on the name")
	}
	for name, change := range map[string]func(*Dataset){
		"class":  func(d *Dataset) { d.Classes = append([]Class{{Name: "x"}}, d.Classes[1:]...) },
		"chunks": func(d *Dataset) { d.ChunkImages++ },
		"split":  func(d *Dataset) { d.Splits = map[string]Split{"train": d.Splits["train"]} },
	} {
		other := *d
		change(&other)
		if other.fingerprint() == d.fingerprint() {
			t.Errorf("%s: the fingerprint stays", name)
		}
	}
}

// JSON cannot hold a name that is not UTF-8: what is written would not be read again.
func TestClassNotUTF8(t *testing.T) {
	dir, d, _ := folder(t)
	d.Classes[1].Name = "caf\xe9"
	if err := WriteDataset(dir, d); err == nil || !strings.Contains(err.Error(), `"caf\xe9" is not UTF-8`) {
		t.Errorf("error %v", err)
	}
}
