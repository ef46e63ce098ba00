package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/loader/record"
)

// TestClassWithoutImages: of a class whose files were all rejected packing and training
// tell, and pack info shows the images of each class.
func TestClassWithoutImages(t *testing.T) {
	dir, config, _ := files(t)
	source, data := filepath.Join(dir, "source"), filepath.Join(dir, "set")
	for class, good := range map[string]int{"ant": 5, "bee": 55, "cat": 0} {
		folder := filepath.Join(source, class)
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		for n := range max(good, 4) {
			b := []byte("broken")
			if n < good {
				b = photo(t, n)
			}
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.png", n)), b, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, errs := alexnet(t, 0, "pack", "folder", source, "-size", "32", "-test-fraction", "0.2", "-out", data)
	empty := `1 of 3 classes has no train images: "cat"; a network cannot learn them; rejected.tsv`
	imbalanced := `"bee" has 44 train images, and "ant" 4`
	contains(t, errs, empty, imbalanced, `1 of 3 classes has no test images: "cat"`, `"bee" has 11 test images, and "ant" 1`)
	_, errs = alexnet(t, 0, "train", "-config", config, "-data", data, "-run", filepath.Join(dir, "run"), "-steps", "1")
	contains(t, errs, empty, imbalanced)
	out, _ := alexnet(t, 0, "pack", "info", data)
	contains(t, out, `4 ("ant") to 44 ("bee") images a class, one class without any`)
	out, _ = alexnet(t, 0, "pack", "info", "-classes", data)
	contains(t, out, "ant (1 test, 4 train)", "bee (11 test, 44 train)", "cat (0 test, 0 train)")
	out, _ = alexnet(t, 0, "pack", "info", "-json", data)
	var got struct {
		record.Dataset
		PerClass map[string][]int `json:"images_per_class"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.PerClass) != "map[test:[1 11 0] train:[4 44 0]]" || len(got.Classes) != 3 {
		t.Errorf("%+v", got)
	}
}

// counted is the counts of each split.
type counted map[string][]int

func (c counted) Counts(split string) ([]int, error) { return c[split], nil }

func TestClassMessages(t *testing.T) {
	for _, c := range []struct {
		counts counted
		want   []string // "": no message
	}{
		{counted{"train": {9, 5, 5}, "test": {1, 1, 1}}, nil},
		{counted{"train": {10, 1, 5}}, []string{`"a\x1b" has 10 train images, and "n00000001 b" 1`}},
		{counted{"train": {9, 1, 5}}, nil},
		{counted{"train": {0, 0, 5}}, []string{`2 of 3 classes have no train images: "a\x1b", "n00000001 b"; with one class left`}},
		{counted{"train": {5, 5, 5}, "test": {5, 0, 0}}, []string{"2 of 3 classes have no test images"}},
		{counted{"train": append(make([]int, 20), 1, 1, 1)}, []string{"20 of 23 classes have no train images", "and 15 more"}},
	} {
		d := &record.Dataset{Splits: make(map[string]record.Split),
			Classes: []record.Class{{Name: "a\x1b"}, {Name: "b", Synset: "n00000001"}, {Name: "c"}}}
		for split, counts := range c.counts {
			d.Splits[split] = record.Split{}
			for len(d.Classes) < len(counts) {
				d.Classes = append(d.Classes, record.Class{Name: "more"})
			}
		}
		messages, err := classMessages(d, c.counts)
		text := strings.Join(messages, "\n")
		if err != nil || len(c.want) == 0 && text != "" {
			t.Errorf("%v: %q, error %v", c.counts, text, err)
		}
		contains(t, text, c.want...)
	}
}
