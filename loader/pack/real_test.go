package pack

import (
	"path/filepath"
	"testing"

	"alexnet/internal/testenv"
)

// Original photographs to 256x256.
func BenchmarkImageNet(b *testing.B) {
	benchmark(b, Options{Source: testenv.Shared(b, "imagenet-sample.tar"), Size: 256}, 700)
}

// 60,000 images of 32x32.
func BenchmarkCIFAR10JPEG(b *testing.B) {
	benchmark(b, Options{Source: testenv.Shared(b, "cifar10.tar.gz")}, 60_000)
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
