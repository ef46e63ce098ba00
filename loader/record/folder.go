package record

import (
	"errors"
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

	files *files
}

// OpenFolder opens the data set in dir. It reads and checks description and
// statistics. A shard is opened, and held against the description, by Load or when
// it is first read: Missing says before whether one is not there. However many
// shards there are, only a part of the files that the process may open are open.
func OpenFolder(dir string) (*Folder, error) {
	d, err := readDataset(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dataset: d, Shards: make(map[string][]*Reader), files: newFiles(openLimit())}
	if f.Statistics, err = readStatistics(dir, d); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		for _, s := range d.Splits[name].Shards {
			path := filepath.Join(dir, s.File)
			r := &Reader{path: path, shape: d.shape(), count: s.Images,
				file: &file{path: path, files: f.files}}
			r.load = func() error { return r.openIn(d, s) }
			f.Shards[name] = append(f.Shards[name], r)
		}
	}
	return f, nil
}

// Missing returns an error about the first shard that is not there, or nil.
func (f *Folder) Missing() error {
	for _, name := range slices.Sorted(maps.Keys(f.Shards)) {
		for _, r := range f.Shards[name] {
			if _, err := os.Stat(r.path); errors.Is(err, fs.ErrNotExist) {
				return missing(err)
			}
		}
	}
	return nil
}

// Counts returns how many images of a split each class has, in the order of labels. It
// loads every shard of the split.
func (f *Folder) Counts(split string) ([]int, error) {
	counts := make([]int, len(f.Dataset.Classes))
	for _, r := range f.Shards[split] {
		if err := r.Load(); err != nil {
			return nil, err
		}
		for i := range r.Images() {
			counts[r.Image(i).Label]++
		}
	}
	return counts, nil
}

// openIn reads the head of shard s of d and holds it against what d says of it.
func (r *Reader) openIn(d *Dataset, s Shard) error {
	opened := &Reader{path: r.path, file: r.file}
	if err := opened.open(); err != nil {
		return r.fault(err)
	}
	var err error
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
		return r.fault(err)
	}
	r.codec, r.chunks, r.entries, r.crc = opened.codec, opened.chunks, opened.entries, opened.crc
	return nil
}

// fault makes err one about the shard, unless it is already, or is not about the
// shard at all.
func (r *Reader) fault(err error) error {
	var e *Error
	if errors.As(err, &e) || IsShortage(err) || errors.Is(err, fs.ErrClosed) {
		return err
	}
	return &Error{r.path, "shard", 0, err}
}

// Close closes all files. It must not be called while a shard is read.
func (f *Folder) Close() error { return f.files.Close() }
