package record

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Reading of chunks of 256x256 that are about as smooth as photographs, from memory.
func BenchmarkRead(b *testing.B) {
	s, err := NewShape(256, 256, 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, codec := range []Codec{Raw, Delta} {
		b.Run(codec.String(), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "a.rec")
			w, err := Create(path, s, codec)
			if err != nil {
				b.Fatal(err)
			}
			e, err := NewEncoder(codec)
			if err != nil {
				b.Fatal(err)
			}
			c := NewChunk(s)
			for n := 0; !c.Full(); n++ {
				if err := c.Add(Image{Height: 256, Width: 256}, smooth(n)); err != nil {
					b.Fatal(err)
				}
			}
			e.Encode(c)
			if err := w.Write(c); err != nil {
				b.Fatal(err)
			}
			if _, err := w.Close(); err != nil {
				b.Fatal(err)
			}
			file, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			r, err := NewReader(bytes.NewReader(file), int64(len(file)), path)
			if err != nil {
				b.Fatal(err)
			}
			var d Decoder
			for b.Loop() {
				if err := d.Read(r, 0); err != nil {
					b.Fatal(err)
				}
				for k := range d.Len() {
					d.Image(k)
				}
			}
			images := float64(b.N * c.Len())
			b.ReportMetric(images/b.Elapsed().Seconds(), "images/s")
			b.ReportMetric(float64(len(c.packed))/float64(len(c.pixels)), "stored/raw")
			b.ReportMetric(float64(d.Times.Decompress.Microseconds())/images, "µs-decompress")
			b.ReportMetric(float64(d.Times.Restore.Microseconds())/images, "µs-restore")
		})
	}
}

// smooth draws waves with a little noise.
func smooth(n int) []byte {
	b := make([]byte, 0, 256*256*3)
	noise := uint32(n)
	for y := range 256 {
		for x := range 256 {
			light := 60 * math.Sin(float64(y*(n+3))/97) * math.Cos(float64(x*(n+2))/71)
			for c := range 3 {
				noise = noise*1664525 + 1013904223
				b = append(b, byte(128+light+float64(10*c)+float64(noise>>28)))
			}
		}
	}
	return b
}
