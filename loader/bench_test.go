package loader_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"alexnet/loader"
	"alexnet/loader/pack"
)

// Images a second of photographs, 256x256 in, 224x224 with mirror and colour
// noise out.
func BenchmarkTrain(b *testing.B) {
	source, err := filepath.Abs("../../shared/data/imagenet-sample.tar") // beside the repository
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(source); errors.Is(err, os.ErrNotExist) {
		b.Skipf("%s is not there", source)
	}
	out := filepath.Join(b.TempDir(), "out")
	d, err := pack.Folder(b.Context(), pack.Options{Source: source, Out: out, Size: 256})
	if err != nil {
		b.Fatal(err)
	}
	s, err := loader.Open(out)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const rows = 128
	batches, err := s.Train(b.Context(), loader.Options{Rows: rows, Height: 224, Width: 224, Mirror: true, Color: 0.1}, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer batches.Close()
	b.ReportAllocs()
	for b.Loop() {
		batch, err := batches.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		batches.Release(batch)
	}
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "images/s")
	shard := d.Splits["train"].Shards[0]
	b.ReportMetric(float64(shard.Bytes)/(float64(shard.Images)*256*256*3), "stored/raw")
}
