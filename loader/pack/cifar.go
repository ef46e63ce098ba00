package pack

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/loader/picture"
	"alexnet/loader/record"
)

// A record of CIFAR's binary versions is a label or two and a 32x32 image, one
// colour after the other (CHW).
const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

// cifar says what is in one of the two data sets (Krizhevsky 2009).
type cifar struct {
	name        string
	classes     int
	labels      int    // bytes before the pixels; the last is the class
	names       string // file of the classes' names
	train, test []string
	archive     string // in which it comes
	most        int64  // images in a file
}

var cifar10 = cifar{
	name: "CIFAR-10", classes: 10, labels: 1, names: "batches.meta.txt",
	train:   []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	test:    []string{"test_batch.bin"},
	archive: "cifar-10-binary.tar.gz", most: 10_000,
}

var cifar100 = cifar{
	name: "CIFAR-100", classes: 100, labels: 2, names: "fine_label_names.txt",
	train: []string{"train.bin"}, test: []string{"test.bin"},
	archive: "cifar-100-binary.tar.gz", most: 50_000,
}

// CIFAR10 packs the binary version of CIFAR-10: a folder with data_batch_1.bin
// to data_batch_5.bin, test_batch.bin and batches.meta.txt, or a tar, tar.gz
// (cifar-10-binary.tar.gz, in which it comes) or zip of them.
func CIFAR10(ctx context.Context, o Options) (*record.Dataset, error) { return cifar10.pack(ctx, o) }

// CIFAR100 packs the binary version of CIFAR-100, with its 100 fine labels:
// train.bin, test.bin and fine_label_names.txt, as cifar-100-binary.tar.gz has
// them. The 20 coarse labels are passed over.
func CIFAR100(ctx context.Context, o Options) (*record.Dataset, error) { return cifar100.pack(ctx, o) }

func (c *cifar) pack(ctx context.Context, o Options) (d *record.Dataset, err error) {
	if o.Size != 0 || o.Full || o.Orient || o.TestFraction != 0 || o.Names != "" {
		return nil, fmt.Errorf("%s has a size (32), a test split and names of its own; give none", c.name)
	}
	out, err := begin(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = out.end(err) }()
	a, err := openArchive(ctx, o.Source, scratch{out.temp, o.Unpacked})
	if err != nil {
		return nil, err
	}
	defer a.close() // read only: nothing can be lost
	found := content{source: filepath.Base(o.Source) + ", " + c.name + ", binary version", height: cifarSide, width: cifarSide}
	if found.classes, err = c.classNames(a); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name  string
		files []string
	}{{"train", c.train}, {"test", c.test}} {
		images, err := c.images(a, s.files)
		if err != nil {
			return nil, err
		}
		found.splits = append(found.splits, images.split(s.name))
	}
	found.identity = fmt.Sprintf("%q %q", found.source, found.classes)
	for _, s := range found.splits {
		found.identity += fmt.Sprint(" ", s.images)
	}
	return write(ctx, o, out, found)
}

// find returns the member of a given name, in whatever folder it is.
func (c *cifar) find(a *archive, name string) (member, error) {
	for _, m := range a.members {
		if path.Base(m.name) == name {
			return m, nil
		}
	}
	return member{}, fmt.Errorf("%s: there is no %s in it; %s's binary version (%s) is needed", a.path, name, c.name, c.archive)
}

func (c *cifar) classNames(a *archive) ([]record.Class, error) {
	m, err := c.find(a, c.names)
	if err != nil {
		return nil, err
	}
	text, err := a.read(m, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.where(m), err)
	}
	var classes []record.Class
	for name := range strings.FieldsSeq(string(text)) {
		classes = append(classes, record.Class{Name: name})
	}
	if len(classes) != c.classes {
		return nil, fmt.Errorf("%s: it names %d classes; %s has %d", a.where(m), len(classes), c.name, c.classes)
	}
	return classes, nil
}

// cifarImages are the images of a split, in memory: all of CIFAR has 180 MB,
// and a file in a zip can be read only from its beginning.
type cifarImages struct {
	labels int // bytes before the pixels
	count  int
	files  [][]byte
}

// images reads and checks the named files.
func (c *cifar) images(a *archive, files []string) (*cifarImages, error) {
	s := &cifarImages{labels: c.labels}
	size := int64(s.size())
	for _, name := range files {
		m, err := c.find(a, name)
		if err != nil {
			return nil, err
		}
		if m.size == 0 || m.size%size != 0 || m.size > c.most*size {
			return nil, fmt.Errorf("%s: it has %d bytes, which is not a number of records of %d, up to %d records; get it again", a.where(m), m.size, size, c.most)
		}
		b, err := a.read(m, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; get it again", a.where(m), err)
		}
		for at := 0; at < len(b); at += s.size() {
			if label := int(b[at+c.labels-1]); label >= c.classes {
				return nil, fmt.Errorf("%s: record at byte %d: label %d; %s has %d classes; get the file again", a.where(m), at, label, c.name, c.classes)
			}
		}
		s.count += len(b) / s.size()
		s.files = append(s.files, b)
	}
	return s, nil
}

// size is that of a record.
func (s *cifarImages) size() int { return s.labels + 3*cifarPlane }

// decode writes image i, RGB HWC, into dst and returns its label.
func (s *cifarImages) decode(i int, dst []byte) int {
	at, f := i*s.size(), 0
	for ; at >= len(s.files[f]); f++ {
		at -= len(s.files[f])
	}
	r := s.files[f][at:][:s.size()]
	planes := r[s.labels:]
	for p := range cifarPlane {
		for c := range 3 {
			dst[3*p+c] = planes[c*cifarPlane+p]
		}
	}
	return int(r[s.labels-1])
}

func (s *cifarImages) split(name string) split {
	return split{name: name, images: s.count, decode: func(_ context.Context, i int, _ *worker, dst []byte) (picture.Image, int, error) {
		im := picture.Image{Pixels: slices.Grow(dst[:0], 3*cifarPlane)[:3*cifarPlane], Height: cifarSide, Width: cifarSide}
		return im, s.decode(i, im.Pixels), nil
	}}
}
