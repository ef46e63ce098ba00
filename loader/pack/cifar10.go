package pack

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"alexnet/loader/record"
)

// A record of CIFAR-10's binary version is a label and a 32x32 image, one
// colour after the other (CHW).
const (
	cifarSide    = 32
	cifarPlane   = cifarSide * cifarSide
	cifarRecord  = 1 + 3*cifarPlane
	cifarClasses = 10
)

// CIFAR10 packs the binary version of CIFAR-10 (Krizhevsky 2009): a folder with
// data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt, or
// cifar-10-binary.tar.gz, in which it comes.
func CIFAR10(ctx context.Context, o Options) (d *record.Dataset, err error) {
	if o.Size != 0 || o.TestFraction != 0 {
		return nil, errors.New("CIFAR-10 has a size (32) and a test split of its own; give neither")
	}
	out, err := begin(o.Out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.discard()) }()
	a, err := openArchive(ctx, o.Source, out.temp)
	if err != nil {
		return nil, err
	}
	defer a.close() // read only: nothing can be lost
	c := content{source: filepath.Base(o.Source) + ", CIFAR-10, binary version", height: cifarSide, width: cifarSide}
	if c.classes, err = cifarNames(a); err != nil {
		return nil, err
	}
	train, err := cifarBatches(a, "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin")
	if err != nil {
		return nil, err
	}
	test, err := cifarBatches(a, "test_batch.bin")
	if err != nil {
		return nil, err
	}
	c.splits = []split{cifarSplit(a, "train", train), cifarSplit(a, "test", test)}
	return write(ctx, o, out, c)
}

// find returns the member of a given name, in whatever folder it is.
func find(a *archive, name string) (member, error) {
	for _, m := range a.members {
		if path.Base(m.name) == name {
			return m, nil
		}
	}
	return member{}, fmt.Errorf("%s: there is no %s in it; CIFAR-10's binary version (cifar-10-binary.tar.gz) is needed", a.path, name)
}

func cifarNames(a *archive) ([]record.Class, error) {
	m, err := find(a, "batches.meta.txt")
	if err != nil {
		return nil, err
	}
	text := make([]byte, min(m.size, 4096))
	if err := a.readAt(m, text, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", a.where(m), err)
	}
	var classes []record.Class
	for name := range strings.FieldsSeq(string(text)) {
		classes = append(classes, record.Class{Name: name})
	}
	if len(classes) != cifarClasses {
		return nil, fmt.Errorf("%s: it names %d classes; CIFAR-10 has %d", a.where(m), len(classes), cifarClasses)
	}
	return classes, nil
}

func cifarBatches(a *archive, names ...string) ([]member, error) {
	var batches []member
	for _, name := range names {
		m, err := find(a, name)
		if err != nil {
			return nil, err
		}
		if m.size == 0 || m.size%cifarRecord != 0 {
			return nil, fmt.Errorf("%s: it has %d bytes, which is not a number of records of %d; get it again", a.where(m), m.size, cifarRecord)
		}
		batches = append(batches, m)
	}
	return batches, nil
}

func cifarSplit(a *archive, name string, batches []member) split {
	s := split{name: name}
	for _, m := range batches {
		s.images += int(m.size / cifarRecord)
	}
	s.decode = func(i int, dst []byte, own *scratch) (int, error) {
		at, b := int64(i)*cifarRecord, 0
		for ; at >= batches[b].size; b++ {
			at -= batches[b].size
		}
		if own.file == nil {
			own.file = make([]byte, cifarRecord)
		}
		if err := a.readAt(batches[b], own.file, at); err != nil {
			return 0, fmt.Errorf("%s: record at byte %d: %w", a.where(batches[b]), at, err)
		}
		label, planes := int(own.file[0]), own.file[1:]
		if label >= cifarClasses {
			return 0, fmt.Errorf("%s: record at byte %d: label %d; CIFAR-10 has %d classes; get the file again", a.where(batches[b]), at, label, cifarClasses)
		}
		for p := range cifarPlane {
			for c := range 3 {
				dst[3*p+c] = planes[c*cifarPlane+p]
			}
		}
		return label, nil
	}
	return s
}
