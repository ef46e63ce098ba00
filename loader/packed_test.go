package loader_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"alexnet/loader"
	"alexnet/loader/pack"
)

// A file that is looked at by itself has the pixels of its record, with edges of
// color, and chroma that is subsampled.
func TestFilesAreAsPacked(t *testing.T) {
	const size = 24
	m := image.NewRGBA(image.Rect(0, 0, 61, 47))
	for i := range 61 * 47 {
		m.Set(i%61, i/61, color.RGBA{byte(i / 61 * i % 61 * 9), byte(i / 7 % 2 * 255), byte(i % 61 * 4), 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil { // always 4:2:0
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	var path string
	for _, class := range []string{"a", "b"} { // no fewer classes are packed
		path = filepath.Join(source, "train", class, "1.jpg")
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	if _, err := pack.Folder(t.Context(), pack.Options{Source: source, Out: out, Size: size}); err != nil {
		t.Fatal(err)
	}
	set, err := loader.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	images, err := set.Images("train")
	if err != nil {
		t.Fatal(err)
	}
	stills, err := loader.Files([]string{path}, size, size)
	if err != nil {
		t.Fatal(err)
	}
	packed, still := make([]byte, size*size*3), make([]byte, size*size*3)
	if _, err := images.Read(0, packed); err != nil {
		t.Fatal(err)
	}
	if _, err := stills.Read(t.Context(), 0, still); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed, still) {
		t.Error("the file and its record have other pixels")
	}
}
