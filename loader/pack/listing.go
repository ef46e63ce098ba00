package pack

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"alexnet/internal/philox"
	"alexnet/loader/record"

	"golang.org/x/text/unicode/norm"
)

// listing says which files are which images.
type listing struct {
	source      string         // for people
	classes     []record.Class // in the order of labels
	train, test []labelled     // the same for the same source, whatever holds it
	archives    []*archive     // to be closed
}

// labelled is an image file and its class. With its name it costs 88 bytes.
type labelled struct {
	from *archive
	member
	label int
}

// close closes what the images are read from.
func (l *listing) close() error {
	var errs []error
	for _, a := range l.archives {
		errs = append(errs, a.close())
	}
	return errors.Join(errs...)
}

// part is the images under one folder of an archive.
type part struct {
	*archive
	folder string // "", or a path inside that ends in a slash
}

// images are the members in that folder: the archive's are sorted by name, so
// that they lie together.
func (p part) images() []member {
	first := sort.Search(len(p.members), func(i int) bool { return p.members[i].name >= p.folder })
	n := sort.Search(len(p.members)-first, func(i int) bool { return !strings.HasPrefix(p.members[first+i].name, p.folder) })
	return p.members[first:][:n]
}

// base names p for the listing's source.
func (p part) base() string {
	base := filepath.Base(p.path)
	if p.folder != "" {
		base += ": " + p.folder
	}
	return base
}

// class is the folder that m, one of p's images, lies in, in form NFC; false if it
// does not lie at <class>/<image>. The same name may be written in several ways: an é
// as one letter (NFC), as most systems do, or as e and an accent (NFD), as macOS did.
func (p part) class(m member) (string, bool) {
	class, image, ok := strings.Cut(m.name[len(p.folder):], "/")
	return norm.NFC.String(class), ok && !strings.Contains(image, "/")
}

// misfits says of the first image of p that is not at <class>/<image> that it
// does not fit the layout.
func (p part) misfits(layout string) error {
	for _, m := range p.images() {
		if _, ok := p.class(m); !ok {
			return fmt.Errorf("%s: it does not fit the layout; %s", p.where(m), layout)
		}
	}
	return nil
}

var synset = regexp.MustCompile(`^n\d{8}$`)

// number makes the folders of p, the training images, the classes of l, in the
// order of their names, and returns the label of each.
func (l *listing) number(p part) (map[string]int, error) {
	labels := make(map[string]int)
	for _, m := range p.images() {
		class, _ := p.class(m)
		if !utf8.ValidString(class) {
			return nil, p.notUTF8(m)
		}
		labels[class] = 0
	}
	for label, name := range slices.Sorted(maps.Keys(labels)) {
		labels[name] = label
		c := record.Class{Name: strings.Clone(name)} // not a piece of the file's name, which may go
		if synset.MatchString(name) {
			c.Synset = c.Name
		}
		l.classes = append(l.classes, c)
	}
	if len(labels) < 2 {
		return nil, fmt.Errorf("%s: there are training images of %d classes; at least 2 are needed, each a folder", p.inside(p.folder), len(labels))
	}
	return labels, nil
}

// notUTF8 says that the class of m has a name that no data set can hold.
func (p part) notUTF8(m member) error {
	remedy := "rename that folder"
	if p.file != nil {
		remedy = "unpack the archive, rename that folder, and give the folder that holds it"
	}
	if p.zip != nil {
		remedy = "unpack the zip with a program that knows the code page of its names (such as unzip -O gbk), and give the folder"
	}
	return fmt.Errorf("%q: the name of its class is not UTF-8; %s", p.where(m), remedy)
}

// byClass returns the images of p, class by class and by name within each.
func byClass(p part, labels map[string]int) ([]labelled, error) {
	images := p.images()
	next := make([]int, len(labels)+1) // where the next image of each class goes
	for _, m := range images {
		class, _ := p.class(m)
		label, ok := labels[class]
		if !ok && !utf8.ValidString(class) {
			return nil, p.notUTF8(m)
		}
		if !ok {
			return nil, fmt.Errorf("%s: class %s has no training images; add some, or remove it", p.where(m), class)
		}
		next[label+1]++
	}
	for i := range len(labels) {
		next[i+1] += next[i]
	}
	sorted := make([]labelled, len(images))
	for _, m := range images {
		class, _ := p.class(m)
		label := labels[class]
		sorted[next[label]] = labelled{p.archive, m, label}
		next[label]++
	}
	return sorted, nil
}

// cut takes the given part of each class from l's training images, chosen by
// Philox, for the test split.
func (l *listing) cut(fraction float64) error {
	images, kept := l.train, 0
	for first := 0; first < len(images); {
		label, n := images[first].label, 1
		for first+n < len(images) && images[first+n].label == label {
			n++
		}
		files := images[first:][:n]
		numbers := philox.NewStream(0, philox.Pack, 0, uint32(1+label)) // index 0 is the order of the training split
		philox.Shuffle(&numbers, files)
		test := min(n-1, int(math.Round(fraction*float64(n))))
		l.test = append(l.test, files[:test]...)
		kept += copy(images[kept:], files[test:])
		first += n
	}
	l.train = images[:kept]
	if len(l.test) == 0 {
		return fmt.Errorf("the classes are too small to take %g of each for the test split; give a larger part, or put the images under train/ and test/", fraction)
	}
	return nil
}

// finish lets go of what was needed to make l: the archives' lists of members.
func (l *listing) finish() *listing {
	for _, a := range l.archives {
		a.members = nil
	}
	return l
}
