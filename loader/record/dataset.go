package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	datasetFile   = "dataset.json"
	datasetFormat = "alexnet records"
	maxDataset    = 64 << 20 // bytes of dataset.json
)

// Dataset is the content of dataset.json.
type Dataset struct {
	Format      string           `json:"format"`  // "alexnet records"
	Version     int              `json:"version"` // of the format
	Name        string           `json:"name"`
	Source      string           `json:"source"` // what it was packed from, for people
	Height      int              `json:"height"`
	Width       int              `json:"width"`
	Longest     int              `json:"longest,omitempty"` // longest side of whole images; Height is then the shorter side of each
	ChunkImages int              `json:"chunk_images"`      // images a chunk
	Codec       Codec            `json:"codec"`
	Prepared    string           `json:"prepared,omitempty"` // how files became pixels, for people
	Rejected    int              `json:"rejected,omitempty"` // files that are no images, listed in rejected.tsv
	Classes     []Class          `json:"classes"`            // in the order of labels
	Splits      map[string]Split `json:"splits"`             // "train", "test"
	Statistics  string           `json:"statistics"`         // checksum of statistics.bin
	Fingerprint string           `json:"fingerprint"`
}

// Class is what a label means.
type Class struct {
	Name   string `json:"name"`
	Synset string `json:"synset,omitempty"` // WordNet's number, as n01440764
}

// Split is a part of the data set.
type Split struct {
	Images int     `json:"images"`
	Shards []Shard `json:"shards"`
}

// Shard is one file of a split.
type Shard struct {
	File     string `json:"file"` // name, in the same folder
	Images   int    `json:"images"`
	Bytes    int64  `json:"bytes"`
	Checksum string `json:"checksum"` // of the index, which has those of the chunks: 8 hex digits
	Content  string `json:"content"`  // SHA-256 over the digests of the chunks: of pixels, labels and sizes, not of what they are compressed to
}

// fingerprint returns a SHA-256 over all that decides which batches a run
// gets: pixels, labels, class names, geometry and the division into chunks and
// shards; not the name, nor how the pixels are compressed.
func (d *Dataset) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n%d %d %d %d\n", datasetFormat, Version, d.Height, d.Width, d.Longest, d.ChunkImages)
	for _, c := range d.Classes {
		fmt.Fprintf(h, "class %q %q\n", c.Name, c.Synset)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		fmt.Fprintf(h, "split %q\n", name)
		for _, s := range d.Splits[name].Shards {
			fmt.Fprintf(h, "shard %d %s\n", s.Images, s.Content)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// WriteDataset fills in d's format, version and fingerprint and writes
// dataset.json into the folder dir. It belongs last: a folder without it is no
// data set.
func WriteDataset(dir string, d *Dataset) error {
	d.Format, d.Version = datasetFormat, Version
	d.Fingerprint = d.fingerprint()
	path := filepath.Join(dir, datasetFile)
	if err := d.check(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'))
}

// readDataset reads and checks dataset.json in dir.
func readDataset(dir string) (*Dataset, error) {
	path := filepath.Join(dir, datasetFile)
	b, err := readFile(path, maxDataset)
	if err != nil {
		return nil, err
	}
	d := new(Dataset)
	if err := d.decode(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func (d *Dataset) decode(b []byte) error {
	// Only format and version are read first: a later version may have more.
	var v struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return damaged("%s", jsonError(b, err))
	}
	switch {
	case v.Format != datasetFormat:
		return fmt.Errorf("its format is %q, not %q; give the folder that `alexnet pack` wrote", v.Format, datasetFormat)
	case v.Version != Version:
		return fmt.Errorf("version %d of the format, and this program reads version %d; use the program that wrote it, or pack the data set again", v.Version, Version)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return damaged("%s", jsonError(b, err))
	}
	if err := d.check(); err != nil {
		return damaged("%v", err)
	}
	if f := d.fingerprint(); f != d.Fingerprint {
		return damaged("its fingerprint is %q and should be %q", d.Fingerprint, f)
	}
	return nil
}

// jsonError adds line and column to an error of encoding/json about b.
func jsonError(b []byte, err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	at := int64(-1)
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset - 1 // it counts the bytes read, the bad one too
	case errors.As(err, &kind):
		at = kind.Offset - 1
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(b))
	}
	if at < 0 || at > int64(len(b)) {
		return err.Error()
	}
	before := b[:at]
	return fmt.Sprintf("%d:%d: %v", 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'), err)
}

func (d *Dataset) check() error {
	if err := d.shape().check(); err != nil {
		return err
	}
	switch {
	case len(d.Classes) == 0:
		return errors.New("it has no classes")
	case len(d.Splits) == 0:
		return errors.New("it has no splits")
	}
	for _, c := range d.Classes {
		if !utf8.ValidString(c.Name) { // JSON would change it, and with it the fingerprint
			return fmt.Errorf("the name of class %q is not UTF-8", c.Name)
		}
	}
	seen := make(map[string]bool)
	for name, split := range d.Splits {
		images := 0
		for _, s := range split.Shards {
			switch {
			case s.File == "" || s.File != filepath.Base(s.File) || !filepath.IsLocal(s.File) || strings.ContainsAny(s.File, `/\`):
				return fmt.Errorf("split %s: shard %q: it must be a file's name, without folders", name, s.File)
			case seen[s.File]:
				return fmt.Errorf("split %s: shard %s is named twice", name, s.File)
			case s.Images < 1 || s.Images > MaxImages || s.Bytes < headerSize+trailerSize:
				return fmt.Errorf("split %s: shard %s: %d images in %d bytes cannot be", name, s.File, s.Images, s.Bytes)
			}
			seen[s.File] = true
			images += s.Images
		}
		if images != split.Images || images == 0 {
			return fmt.Errorf("split %s has %d images, and its shards %d; they must agree and not be 0", name, split.Images, images)
		}
	}
	return nil
}

func (d *Dataset) shape() Shape {
	return Shape{Height: d.Height, Width: d.Width, Longest: d.Longest, ChunkImages: d.ChunkImages}
}
