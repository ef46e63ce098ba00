package record

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Folder is a data set that is open for reading.
type Folder struct {
	Dataset    *Dataset
	Statistics *Statistics
	Shards     map[string][]*Reader // of each split, in order
}

// OpenFolder opens the data set in dir. It reads and checks description and
// statistics, and looks whether every shard is there. A shard is opened, and
// held against the description, by Load or when it is first read.
func OpenFolder(dir string) (*Folder, error) {
	d, err := readDataset(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dataset: d, Shards: make(map[string][]*Reader)}
	if f.Statistics, err = readStatistics(dir, d); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		for _, s := range d.Splits[name].Shards {
			r := &Reader{path: filepath.Join(dir, s.File), shape: d.shape(), count: s.Images}
			r.load = func() error { return r.openIn(d, s) }
			if _, err := os.Stat(r.path); errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%w; copy it from where it is, or pack the data set again", err)
			}
			f.Shards[name] = append(f.Shards[name], r)
		}
	}
	return f, nil
}

// openIn opens shard s of d and holds it against what d says of it.
func (r *Reader) openIn(d *Dataset, s Shard) error {
	opened, err := Open(r.path)
	if err != nil {
		return err
	}
	switch {
	case opened.shape != d.shape() || opened.codec != d.Codec:
		err = damaged("its images are %v, %v, and dataset.json says %v, %v", opened.shape, opened.codec, d.shape(), d.Codec)
	case opened.count != s.Images || opened.size() != s.Bytes || hex32(opened.crc) != s.Checksum:
		err = damaged("it has %d images, %d bytes, checksum %08x, and dataset.json says %d images, %d bytes, checksum %s",
			opened.count, opened.size(), opened.crc, s.Images, s.Bytes, s.Checksum)
	}
	for i := range opened.count {
		if l := opened.Image(i).Label; err == nil && int(l) >= len(d.Classes) {
			err = damaged("image %d has label %d, and dataset.json %d classes", i, l, len(d.Classes))
		}
	}
	if err != nil {
		return errors.Join(&Error{r.path, "shard", 0, err}, opened.Close())
	}
	r.r, r.closer, r.codec, r.chunks, r.entries, r.crc = opened.r, opened.closer, opened.codec, opened.chunks, opened.entries, opened.crc
	return nil
}

// Close closes all files.
func (f *Folder) Close() error {
	var err error
	for _, shards := range f.Shards {
		for _, r := range shards {
			err = errors.Join(err, r.Close())
		}
	}
	return err
}
