package record

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// Folder is a data set that is open for reading.
type Folder struct {
	Dataset    *Dataset
	Statistics *Statistics
	Shards     map[string][]*Reader // of each split, in order
}

// OpenFolder opens the data set in dir. It reads and checks everything but the
// chunks: description, statistics, and each shard's size, header, index and
// labels. What a chunk holds is checked when it is read.
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
			r, err := openShard(dir, d, s)
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			f.Shards[name] = append(f.Shards[name], r)
		}
	}
	return f, nil
}

// openShard opens shard s of d and holds it against what d says of it.
func openShard(dir string, d *Dataset, s Shard) (*Reader, error) {
	r, err := Open(filepath.Join(dir, s.File))
	if err != nil {
		return nil, err
	}
	switch {
	case r.shape != d.shape():
		err = damaged("its images are %dx%d, %d a chunk, and dataset.json says %dx%d, %d a chunk",
			r.shape.Height, r.shape.Width, r.shape.ChunkImages, d.Height, d.Width, d.ChunkImages)
	case r.Images() != s.Images || r.size() != s.Bytes || hex32(r.crc) != s.Checksum:
		err = damaged("it has %d images, %d bytes, checksum %08x, and dataset.json says %d images, %d bytes, checksum %s",
			r.Images(), r.size(), r.crc, s.Images, s.Bytes, s.Checksum)
	}
	for i, l := range r.labels {
		if err == nil && int(l) >= len(d.Classes) {
			err = damaged("image %d has label %d, and dataset.json %d classes", i, l, len(d.Classes))
		}
	}
	if err != nil {
		return nil, errors.Join(&Error{r.path, "shard", 0, err}, r.Close())
	}
	return r, nil
}

// Verify reads every chunk and holds all pixels and labels against the
// checksums in dataset.json. progress, if not nil, is told images done and
// images in all after each chunk.
func (f *Folder) Verify(ctx context.Context, progress func(done, total int)) error {
	total, done := 0, 0
	for _, s := range f.Dataset.Splits {
		total += s.Images
	}
	var pixels []byte
	var scratch Scratch
	for _, name := range slices.Sorted(maps.Keys(f.Shards)) {
		for i, r := range f.Shards[name] {
			content := sha256.New()
			for c := range r.Chunks() {
				if err := ctx.Err(); err != nil {
					return err
				}
				var err error
				if pixels, err = r.ReadChunk(c, pixels, &scratch); err != nil {
					return err
				}
				first, n := r.Chunk(c)
				for k := range n {
					var l [4]byte
					le.PutUint32(l[:], uint32(r.Label(first+k)))
					content.Write(l[:])
					content.Write(pixels[k*r.shape.ImageBytes():][:r.shape.ImageBytes()])
				}
				done += n
				if progress != nil {
					progress(done, total)
				}
			}
			if got, want := fmt.Sprintf("%x", content.Sum(nil)), f.Dataset.Splits[name].Shards[i].Content; got != want {
				return &Error{r.path, "shard", 0, damaged("the SHA-256 of its images is %s, and dataset.json says %s", got, want)}
			}
		}
	}
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
