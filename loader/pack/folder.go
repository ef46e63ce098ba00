package pack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/philox"
	"alexnet/loader/record"
)

// maxFile bounds the size of an image file.
const maxFile = 256 << 20

// Folder packs a folder, tar or tar.gz of images, which may lie as
//
//	train/<class>/<image>, test/<class>/<image>   (or val or valid for test)
//	train/<class>/<image>                         no test split then
//	<class>/<image>                               a part of each class becomes the test split
//
// all perhaps inside one more folder. Classes are numbered by name; one like
// n01440764 is a WordNet synset, as in ImageNet. Files are images by content,
// whatever their names: JPEG, PNG, GIF, BMP or WebP. Files and folders that
// start with a dot are passed over; any other file that does not decode is an
// error.
func Folder(ctx context.Context, o Options) (d *record.Dataset, err error) {
	if o.Size < 0 || !(o.TestFraction >= 0 && o.TestFraction < 1) {
		return nil, fmt.Errorf("size %d and test fraction %g: the size may not be negative, and the fraction must be from 0 to below 1", o.Size, o.TestFraction)
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
	l, err := arrange(a, cmp.Or(o.TestFraction, 0.1))
	if err != nil {
		return nil, err
	}
	c := content{source: l.source, classes: l.classes, height: o.Size, width: o.Size}
	if o.Size == 0 {
		first := l.train[0].member
		file, err := readImage(a, first, nil)
		if err == nil {
			c.height, c.width, err = size(file)
		}
		if err != nil {
			return nil, badImage(a, first, err)
		}
	}
	for _, s := range []struct {
		name   string
		images []labelled
	}{{"train", l.train}, {"test", l.test}} {
		if len(s.images) == 0 {
			continue
		}
		c.splits = append(c.splits, split{name: s.name, images: len(s.images), decode: func(i int, dst []byte, own *scratch) (int, error) {
			m := s.images[i]
			var err error
			if own.file, err = readImage(a, m.member, own.file); err == nil {
				err = decode(own.file, dst, c.height, c.width, o.Size > 0, own)
			}
			if err != nil {
				return 0, badImage(a, m.member, err)
			}
			return m.label, nil
		}})
	}
	return write(ctx, o, out, c)
}

func badImage(a *archive, m member, err error) error {
	return fmt.Errorf("%s: %w; mend or remove that file, and pack again", a.where(m), err)
}

// readImage reads a whole file into buf's memory.
func readImage(a *archive, m member, buf []byte) ([]byte, error) {
	if m.size > maxFile {
		return buf, fmt.Errorf("the file has %d bytes; at most %d are allowed", m.size, maxFile)
	}
	buf = slices.Grow(buf[:0], int(m.size))[:m.size]
	return buf, a.readAt(m, buf, 0)
}

// labelled is an image file and its class.
type labelled struct {
	member
	label int
}

// layout says which files are which images.
type layout struct {
	source      string // for people
	classes     []record.Class
	train, test []labelled // by name
}

// testNames are the names that a folder of test images may have.
var testNames = []string{"test", "val", "valid"}

var synset = regexp.MustCompile(`^n\d{8}$`)

// arrange finds splits and classes in the names of a's members.
func arrange(a *archive, testFraction float64) (*layout, error) {
	if len(a.members) == 0 {
		return nil, fmt.Errorf("%s: there are no images in it; they must lie at train/<class>/<image> or <class>/<image>", a.path)
	}
	parts := make([][]string, len(a.members)) // split or nothing, class, image
	for i, m := range a.members {
		parts[i] = strings.Split(m.name, "/")
	}
	unwrap(parts)
	hasSplits := isSplit(parts[0][0]) && len(parts[0]) == 3

	// The files of each split by class. Without splits all are under "".
	found := make(map[string]map[string][]member)
	for i, p := range parts {
		fits := len(p) == 2 && !hasSplits || len(p) == 3 && hasSplits && isSplit(p[0])
		if !fits {
			return nil, fmt.Errorf("%s: it does not fit the layout; all images must lie at train/<class>/<image> and test/<class>/<image>, or all at <class>/<image>",
				a.where(a.members[i]))
		}
		name, class := "", p[len(p)-2]
		if hasSplits {
			name = p[0]
		}
		if found[name] == nil {
			found[name] = make(map[string][]member)
		}
		found[name][class] = append(found[name][class], a.members[i])
	}
	if !hasSplits {
		return cut(a, found[""], testFraction)
	}

	test := ""
	for _, name := range testNames {
		if found[name] != nil && test != "" {
			return nil, fmt.Errorf("%s: there are both %s/ and %s/, and only one can be the test split; remove the other", a.path, test, name)
		}
		if found[name] != nil {
			test = name
		}
	}
	l, err := newLayout(a, found["train"])
	if err != nil {
		return nil, err
	}
	l.source += ", test split from " + test + "/"
	if test == "" {
		l.source = filepath.Base(a.path) + ", which has train/ alone: no test split"
	}
	for label, c := range l.classes {
		l.train = appendClass(l.train, found["train"][c.Name], label)
		l.test = appendClass(l.test, found[test][c.Name], label)
		delete(found[test], c.Name)
	}
	for _, class := range slices.Sorted(maps.Keys(found[test])) {
		return nil, fmt.Errorf("%s: class %s has no training images; add some, or remove it", a.where(found[test][class][0]), class)
	}
	return l, nil
}

// newLayout numbers the classes by name.
func newLayout(a *archive, classes map[string][]member) (*layout, error) {
	l := &layout{source: filepath.Base(a.path)}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		c := record.Class{Name: name}
		if synset.MatchString(name) {
			c.Synset = name
		}
		l.classes = append(l.classes, c)
	}
	if len(l.classes) < 2 {
		return nil, fmt.Errorf("%s: there are training images of %d classes; at least 2 are needed, each a folder", a.path, len(l.classes))
	}
	return l, nil
}

// cut makes a test split of the given part of each class, chosen by Philox.
func cut(a *archive, classes map[string][]member, part float64) (*layout, error) {
	l, err := newLayout(a, classes)
	if err != nil {
		return nil, err
	}
	l.source += fmt.Sprintf(", of which %g of each class became the test split", part)
	for label, c := range l.classes {
		files := classes[c.Name]
		numbers := philox.NewStream(0, philox.Pack, 0, uint32(1+label)) // index 0 is the order of the training split
		philox.Shuffle(&numbers, files)
		n := min(len(files)-1, int(math.Round(part*float64(len(files)))))
		l.test = appendClass(l.test, files[:n], label)
		l.train = appendClass(l.train, files[n:], label)
	}
	if len(l.test) == 0 {
		return nil, fmt.Errorf("%s: the classes are too small to take %g of each for the test split; give a larger part, or put the images under train/ and test/", a.path, part)
	}
	return l, nil
}

func appendClass(to []labelled, files []member, label int) []labelled {
	for _, m := range files {
		to = append(to, labelled{m, label})
	}
	return to
}

func isSplit(name string) bool { return name == "train" || slices.Contains(testNames, name) }

// unwrap takes off the folders that are around everything.
func unwrap(parts [][]string) {
	for {
		first := parts[0][0]
		for _, p := range parts {
			if len(p) < 3 || p[0] != first || isSplit(first) {
				return
			}
		}
		for i := range parts {
			parts[i] = parts[i][1:]
		}
	}
}
