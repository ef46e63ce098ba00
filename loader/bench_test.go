package loader_test

import (
	"path/filepath"
	"testing"

	"alexnet/internal/testenv"
	"alexnet/loader"
	"alexnet/loader/pack"
	"alexnet/loader/record"
)

// Images a second of photographs, 256x256 in, 224x224 with mirror and colour
// noise out.
func BenchmarkTrain(b *testing.B) {
	source := testenv.Shared(b, "imagenet-sample.tar")
	for _, codec := range []record.Codec{record.Raw, record.Delta} {
		b.Run(codec.String(), func(b *testing.B) { benchmarkTrain(b, source, codec) })
	}
}

func benchmarkTrain(b *testing.B, source string, codec record.Codec) {
	out := filepath.Join(b.TempDir(), "out")
	d, err := pack.Folder(b.Context(), pack.Options{Source: source, Out: out, Size: 256, Codec: codec})
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
