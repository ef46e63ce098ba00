package pack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// shared returns the path of a file of real images, which lies beside the
// repository, or skips the test.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("there is no go.mod above this test")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not there", path)
	}
	return path
}

// Photographs as cameras, scanners and 2009's web made them: every 70th of the
// sample, at their own sizes.
func TestRealPhotographs(t *testing.T) {
	a, err := openArchive(t.Context(), shared(t, "imagenet-sample.tar"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if len(a.members) != 700 {
		t.Errorf("%d images, want 700", len(a.members))
	}
	var s scratch
	dst := make([]byte, 64*64*3)
	for i := 0; i < len(a.members); i += 70 {
		m := a.members[i]
		file, err := readImage(a, m, nil)
		if err == nil {
			err = decode(file, dst, 64, 64, true, &s)
		}
		if err != nil {
			t.Error(badImage(a, m, err))
		}
	}
}

// Original photographs to 256x256.
func BenchmarkImageNet(b *testing.B) {
	benchmark(b, Options{Source: shared(b, "imagenet-sample.tar"), Size: 256}, 700)
}

// 60,000 images of 32x32.
func BenchmarkCIFAR10JPEG(b *testing.B) {
	benchmark(b, Options{Source: shared(b, "cifar10.tar.gz")}, 60_000)
}

func benchmark(b *testing.B, o Options, images int) {
	for b.Loop() {
		o.Out = filepath.Join(b.TempDir(), "out")
		d, err := Folder(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if got := d.Splits["train"].Images + d.Splits["test"].Images; got != images {
			b.Fatalf("%d images, want %d", got, images)
		}
	}
	b.ReportMetric(float64(images)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
