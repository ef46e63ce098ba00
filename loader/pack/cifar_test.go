package pack

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// cifar100Files has 6 training and 4 test images; image i of a file is of class
// 7i, coarse class 3.
func cifar100Files() map[string][]byte {
	var fine, coarse strings.Builder
	for i := range 100 {
		fmt.Fprintf(&fine, "fine_%d\n", i)
		fmt.Fprintf(&coarse, "coarse_%d\n", i/5)
	}
	files := map[string][]byte{
		"cifar-100-binary/fine_label_names.txt":   []byte(fine.String()),
		"cifar-100-binary/coarse_label_names.txt": []byte(coarse.String()),
	}
	for name, images := range map[string]int{"train": 6, "test": 4} {
		var b []byte
		for i := range images {
			b = append(b, 3, byte(7*i))
			for p := range 3072 {
				b = append(b, byte(p/1024*80+p%31+i+len(name)))
			}
		}
		files["cifar-100-binary/"+name+".bin"] = b
	}
	return files
}

func TestCIFAR100(t *testing.T) {
	dir, files := t.TempDir(), cifar100Files()
	for _, source := range []string{
		writeDir(t, filepath.Join(dir, "s"), files),
		writeTar(t, filepath.Join(dir, "cifar-100-binary.tar"), files),
		writeTar(t, filepath.Join(dir, "cifar-100-binary.tar.gz"), files),
		write1(t, filepath.Join(dir, "cifar.zip"), zipOf(t, files)),
	} {
		out := source + ".out"
		d, err := CIFAR100(t.Context(), Options{Source: source, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Classes) != 100 || d.Classes[14].Name != "fine_14" || !strings.Contains(d.Source, "CIFAR-100") {
			t.Errorf("%+v", d)
		}
		for split, want := range map[string]int{"train": 6, "test": 4} {
			images, labels, sources := pixels(t, out, split)
			if len(images) != want {
				t.Fatalf("%s: %d images of %s", source, len(images), split)
			}
			for i, n := range sources {
				if labels[i] != 7*int(n) {
					t.Errorf("image %d has label %d", n, labels[i])
				}
				for p, v := range images[i] {
					if want := byte(p%3*80 + (p%3*1024+p/3)%31 + int(n) + len(split)); v != want {
						t.Fatalf("image %d: byte %d is %d, want %d", n, p, v, want)
					}
				}
			}
		}
	}
}

func TestCIFAR10Zip(t *testing.T) {
	dir := t.TempDir()
	d, err := CIFAR10(t.Context(), Options{Source: write1(t, filepath.Join(dir, "z"), zipOf(t, cifarFiles(10))), Out: filepath.Join(dir, "out")})
	if err != nil {
		t.Fatal(err)
	}
	if d.Splits["train"].Images != 25 || d.Splits["test"].Images != 8 {
		t.Errorf("%+v", d)
	}
}

func TestCIFAR100Errors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f map[string][]byte)
		want   []string
	}{
		"absent": {func(f map[string][]byte) { delete(f, "cifar-100-binary/test.bin") }, []string{"no test.bin", "cifar-100-binary.tar.gz"}},
		"label":  {func(f map[string][]byte) { f["cifar-100-binary/train.bin"][3075] = 100 }, []string{"train.bin: record at byte 3074: label 100", "100 classes"}},
		"ten":    {func(f map[string][]byte) { f["cifar-100-binary/train.bin"] = make([]byte, 3073) }, []string{"records of 3074"}},
		"long":   {func(f map[string][]byte) { f["cifar-100-binary/train.bin"] = make([]byte, 3074*50_001) }, []string{"up to 50000 records"}},
		"names":  {func(f map[string][]byte) { f["cifar-100-binary/fine_label_names.txt"] = []byte("a b") }, []string{"names 2 classes; CIFAR-100 has 100"}},
	} {
		dir, files := t.TempDir(), cifar100Files()
		c.change(files)
		_, err := CIFAR100(t.Context(), Options{Source: writeDir(t, filepath.Join(dir, "s"), files), Out: filepath.Join(dir, "out")})
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want one with %q", name, err, w)
			}
		}
	}
	dir := t.TempDir()
	if _, err := CIFAR100(t.Context(), Options{Source: dir, Out: filepath.Join(dir, "out"), Size: 8}); err == nil || !strings.Contains(err.Error(), "CIFAR-100 has a size") {
		t.Errorf("with a size: %v", err)
	}
	// A file in a zip that is damaged.
	z := zipOf(t, cifar100Files())
	z[bytes.Index(z, []byte("test.bin"))+1000]++ // a pixel
	if _, err := CIFAR100(t.Context(), Options{Source: write1(t, filepath.Join(dir, "z"), z), Out: filepath.Join(dir, "out")}); err == nil || !strings.Contains(err.Error(), "test.bin: zip: checksum error; get it again") {
		t.Errorf("a damaged zip: %v", err)
	}
}
