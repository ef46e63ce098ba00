package record

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"alexnet/internal/durable"

	"github.com/google/renameio/v2"
)

const (
	statisticsFile  = "statistics.bin"
	statisticsMagic = "ALEXNETS"
	statisticsHead  = 128
)

// Statistics are taken over the training split, of pixels from 0 to 255.
type Statistics struct {
	Height, Width int
	Images        int64         // how many were counted
	RGB           [3]float64    // mean over all pixels
	Covariance    [3][3]float64 // over all pixels, divided by their number
	Mean          []float32     // mean image [Height][Width][3]
}

// WriteStatistics writes s into the folder dir and returns its checksum for
// dataset.json.
func WriteStatistics(dir string, s *Statistics) (string, error) {
	b := append(make([]byte, 0, statisticsHead+4*len(s.Mean)+4), statisticsMagic...)
	for _, v := range []int{Version, s.Height, s.Width, channels} {
		b = le.AppendUint32(b, uint32(v))
	}
	b = le.AppendUint64(b, uint64(s.Images))
	for _, v := range s.RGB {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	for _, row := range s.Covariance {
		for _, v := range row {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	for _, v := range s.Mean {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	crc := checksum(b)
	if err := writeFile(filepath.Join(dir, statisticsFile), le.AppendUint32(b, crc)); err != nil {
		return "", err
	}
	return hex32(crc), nil
}

// readStatistics reads the statistics of the data set d in dir.
func readStatistics(dir string, d *Dataset) (*Statistics, error) {
	path := filepath.Join(dir, statisticsFile)
	size := statisticsHead + 4*d.Height*d.Width*channels + 4
	b, err := readFile(path, int64(size))
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*Statistics, error) { return nil, &Error{path, "statistics", 0, err} }
	if len(b) != size {
		return fail(damaged("it has %d bytes; images of %dx%d need %d", len(b), d.Height, d.Width, size))
	}
	body, sum := b[:size-4], le.Uint32(b[size-4:])
	switch crc := checksum(body); {
	case string(b[:8]) != statisticsMagic || le.Uint32(b[8:]) != Version:
		return fail(damaged("it does not start with %s and version %d", statisticsMagic, Version))
	case crc != sum:
		return fail(damaged("its checksum is %08x, and the file says %08x", crc, sum))
	case hex32(crc) != d.Statistics:
		return fail(damaged("its checksum is %08x, and dataset.json says %s: the two are not of one data set", crc, d.Statistics))
	}
	s := &Statistics{
		Height: int(le.Uint32(b[12:])),
		Width:  int(le.Uint32(b[16:])),
		Images: int64(le.Uint64(b[24:])),
		Mean:   make([]float32, d.Height*d.Width*channels),
	}
	if s.Height != d.Height || s.Width != d.Width || le.Uint32(b[20:]) != channels {
		return fail(damaged("it is of images of %dx%d, and dataset.json says %dx%d", s.Height, s.Width, d.Height, d.Width))
	}
	f64 := func(i int) float64 { return math.Float64frombits(le.Uint64(b[i:])) }
	for i := range 3 {
		s.RGB[i] = f64(32 + 8*i)
		for j := range 3 {
			s.Covariance[i][j] = f64(56 + 24*i + 8*j)
		}
	}
	for i := range s.Mean {
		s.Mean[i] = math.Float32frombits(le.Uint32(b[statisticsHead+4*i:]))
	}
	return s, nil
}

// writeFile writes a small file that appears whole or not at all.
func writeFile(path string, b []byte) error {
	if err := renameio.WriteFile(path, b, 0o666, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("%s: writing it: %w; nothing is left under that name", path, err)
	}
	return durable.SyncDir(filepath.Dir(path))
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; give the folder that `alexnet pack` wrote, or pack the data set again", err)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: this is no plain file", path)
	}
	if info.Size() > limit {
		return nil, &Error{path, "file", 0, damaged("it has %d bytes, and may have %d", info.Size(), limit)}
	}
	return os.ReadFile(path)
}
