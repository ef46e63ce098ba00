package pack

import (
	"bytes"
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
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := openArchive(t.Context(), path, dir)
		if err != nil {
			return
		}
		defer a.close()
		for _, m := range a.members {
			if _, err := readImage(a, m, nil); err != nil {
				t.Errorf("%s is listed and cannot be read: %v", m.name, err)
			}
		}
		if l, err := arrange(a, 0.1); err == nil && (len(l.classes) < 2 || len(l.train)+len(l.test) != len(a.members)) {
			t.Errorf("%d members, %d for training, %d for testing", len(a.members), len(l.train), len(l.test))
		}
	})
}

// Whatever an image file holds, it is decoded or refused, without a panic.
func FuzzDecode(f *testing.F) {
	for n := range 3 {
		f.Add(encoded(f, n, 9, 12))
	}
	f.Add(bmpOf(3, 5, 1, 2, 3))
	f.Add([]byte("GIF89a"))
	f.Add([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L"))
	var s scratch
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, w, err := size(b); err == nil && h*w > 1<<20 {
			t.Skip() // allowed, and slow
		}
		got, again := make([]byte, 8*8*3), make([]byte, 8*8*3)
		if decode(b, got, 8, 8, true, &s) == nil {
			if err := decode(b, again, 8, 8, true, &s); err != nil || !bytes.Equal(got, again) {
				t.Errorf("decoded again, an image is another; error %v", err)
			}
		}
	})
}
