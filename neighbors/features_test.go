package neighbors

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/loader"
	"alexnet/loader/pack"
)

func TestFeaturesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	about := About{Network: "tiny", Model: "00ff", Layer: "fc7", Dataset: "ab", Split: "train", Classes: []string{"cat", "a \"dog\""}}
	w, err := Create(path, about, 3, 2, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := w.Add(int32(i-1), []float32{float32(i), 1, 2, 3}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(t.Context(), path, about)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]float32, 8)
	if err := f.Read(1, got); err != nil || !slices.Equal(got, []float32{1, 1, 2, 3, 2, 1, 2, 3}) {
		t.Error(got, err)
	}
	if f.Len() != 3 || f.Width() != 4 || !slices.Equal(f.Labels, []int32{-1, 0, 1}) {
		t.Errorf("%d of %d numbers, labels %v", f.Len(), f.Width(), f.Labels)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-13] ^= 1 // the last number before the labels
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, about); err == nil || !strings.Contains(err.Error(), `tensor "features"`) {
		t.Errorf("damaged: %v", err)
	}
	about.Layer = "fc6"
	if _, err := Open(t.Context(), path, about); err == nil || !strings.Contains(err.Error(), `its layer is "fc7", and "fc6" is wanted`) {
		t.Error(err)
	}
}

func TestFeaturesFileIsWholeOrNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	w, err := Create(path, About{}, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(0, make([]float32, 4)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Pixels are those of the images, whoever reads where.
func TestPixels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := pack.Shapes(t.Context(), pack.Options{Out: dir}, 1, 30, 3); err != nil {
		t.Fatal(err)
	}
	set, err := loader.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	p, err := NewPixels(set, "train")
	if err != nil {
		t.Fatal(err)
	}
	images, err := set.Images("train")
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, 2*p.Width()), make([]byte, p.Width())
	for _, first := range []int{20, 0, 28} {
		if err := p.Read(first, got); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if _, err := images.Read(int64(first+i), want); err != nil {
				t.Fatal(err)
			}
			for j, v := range want {
				if got[i*p.Width()+j] != float32(v) {
					t.Fatalf("image %d, number %d: %g, want %d", first+i, j, got[i*p.Width()+j], v)
				}
			}
		}
	}
	if p.Len() != 30 {
		t.Errorf("%d images", p.Len())
	}
	if err := p.Read(29, got); err == nil {
		t.Error("an image after the last was read")
	}
	if _, err := NewPixels(set, "absent"); err == nil {
		t.Error("an absent split was opened")
	}
	queries := make([]float32, p.Width())
	if err := p.Read(7, queries); err != nil {
		t.Fatal(err)
	}
	found, err := Nearest(t.Context(), p, queries, 1, quiet)
	if err != nil || found[0][0] != (Neighbor{7, 0}) {
		t.Error(found, err)
	}
}
