package pack

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a file holds, it is listed or refused, and its layout found or
// refused, without a panic.
func FuzzArchive(f *testing.F) {
	files := map[string][]byte{"train/a/1": []byte("1"), "train/b/2": []byte("22")}
	f.Add(tarOf(f, files))
	packed, err := os.ReadFile(writeTar(f, filepath.Join(f.TempDir(), "s.tgz"), files))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte("PK\x03\x04"))
	f.Add(zipOf(f, files))
	f.Add(tarOf(f, map[string][]byte{"train/a.tar": tarOf(f, map[string][]byte{"1": []byte("1")}), "train/b/2": []byte("22")}))
	f.Add(tarOf(f, one("n01440764.tar", tarOf(f, map[string][]byte{"1": []byte("1"), "2": nil}))))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := openArchive(t.Context(), path, scratch{dir: dir})
		if err != nil {
			return
		}
		defer a.close()
		for _, m := range a.members {
			if m.size > 1<<20 {
				continue // allowed, and slow
			}
			if _, err := a.read(m, nil); err != nil && a.zip == nil { // a zip says little before it is read
				t.Errorf("%s is listed and cannot be read: %v", m.name, err)
			}
		}
		if l, err := arrange(a, 0.1); err == nil && (len(l.classes) < 2 || len(l.train)+len(l.test) != len(a.members)) {
			t.Errorf("%d members, %d for training, %d for testing", len(a.members), len(l.train), len(l.test))
		}
	})
}

// Whatever the lists beside images hold, they are read or refused, and every
// image gets a label that there is, or none does.
func FuzzLists(f *testing.F) {
	for _, b := range [][]byte{idsText(), csvText(), caffeText(), smallMeta(f), []byte("n01440764 tench\n")} {
		f.Add(b)
	}
	table := document{name: "meta.mat", data: smallMeta(f)}
	a := new(archive)
	for i := range smallTruth {
		a.members = append(a.members, member{name: fmt.Sprintf("ILSVRC2012_val_%08d.JPEG", i+1)})
	}
	labels := make(map[string]int)
	for i, class := range smallClasses {
		labels[class] = i
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := document{name: "list", data: b}
		if truth, err := parseTruth(d, []document{table}); err == nil {
			images, err := truth.label(part{archive: a}, labels)
			if err == nil && len(images) != len(a.members) {
				t.Errorf("%d images have labels", len(images))
			}
			for _, m := range images {
				if m.label < 0 || m.label >= len(labels) {
					t.Errorf("%s has label %d", m.name, m.label)
				}
			}
		}
		if names, err := parseNames(d); err == nil {
			for id := range names {
				if !synset.MatchString(id) {
					t.Errorf("%q passes for a synset", id)
				}
			}
		}
		parseMeta(d)
	})
}
