package pack

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/matfile"
)

// truth says of which class each validation image is.
type truth struct {
	document
	kind   truthKind
	lines  []truthLine // line n is n-1 here
	header int         // lines before the first for an image
	ids    *meta       // of truthIDs
}

// truthLine is a line of a truth, of which kind says what is there.
type truthLine struct {
	image  string // its file's name, without extension
	synset string
	number int
}

type truthKind int

// What people have. In the first two, line n is for the image whose name ends in
// the number n.
const (
	truthIDs     truthKind = iota // development kit: a number that meta.mat explains
	truthSynsets                  // a synset
	truthLabels                   // Caffe: "NAME LABEL", counted from 0 in the order of the synsets
	truthNamed                    // "NAME SYNSET", or Kaggle's CSV: "NAME,SYNSET X Y X Y SYNSET ..."
)

const csvHeader = "ImageId,PredictionString"

// fields splits a line into its fields.
func (t *truth) fields(line string) []string {
	name, boxes, ok := strings.Cut(line, ",")
	if !ok {
		return strings.Fields(line)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(boxes), " ")
	return []string{name, first}
}

// parseTruth finds out of which kind d is by its first line, and reads it. Of
// metas, the development kits' tables, one is needed for numbers.
func parseTruth(d document, metas []document) (t *truth, err error) {
	t = &truth{document: d}
	if matfile.Is(d.data) || slices.Contains(d.data, 0) {
		return nil, fmt.Errorf("%s: this is no text; give a list with -truth", d.where)
	}
	lines := d.lines()
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: it is empty; give another list with -truth", d.where)
	}
	if lines[0] == csvHeader {
		t.header = 1
		t.lines = append(t.lines, truthLine{})
	}
	for i, line := range lines[t.header:] {
		n := t.header + i + 1
		l, kind, ok := parseTruthLine(t.fields(line))
		switch {
		case !ok:
			return nil, d.fail(n, "%.40q is no ground truth; want a number, a synset, or an image's name and one of these", line)
		case i == 0:
			t.kind = kind
		case kind != t.kind:
			return nil, d.fail(n, "%.40q is of another kind than the lines before it", line)
		}
		t.lines = append(t.lines, l)
	}
	if len(t.lines) == t.header {
		return nil, fmt.Errorf("%s: there is nothing in it but a header; give another list with -truth", d.where)
	}
	if t.kind == truthIDs {
		t.ids, err = t.table(metas)
	}
	return t, err
}

func parseTruthLine(f []string) (l truthLine, kind truthKind, ok bool) {
	if len(f) < 1 || len(f) > 2 {
		return l, 0, false
	}
	value := f[len(f)-1]
	if len(f) == 2 {
		l.image = imageName(f[0])
	}
	if n, err := strconv.Atoi(value); err == nil {
		l.number = n
		return l, []truthKind{truthIDs, truthLabels}[len(f)-1], true
	}
	l.synset = value
	return l, []truthKind{truthSynsets, truthNamed}[len(f)-1], synset.MatchString(value)
}

// imageName is a file's name as lists have it: some without extension, some with
// the folder.
func imageName(file string) string {
	base := path.Base(file)
	return strings.TrimSuffix(base, path.Ext(base))
}

// imageNumber is the number at the end of an image's name; 0: there is none.
func imageNumber(name string) int {
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// labels returns the label of each line, given those of the classes.
func (t *truth) labels(classes map[string]int) ([]int, error) {
	labels, most := make([]int, len(t.lines)), 0
	for i, l := range t.lines[t.header:] {
		n := t.header + i + 1
		switch t.kind {
		case truthLabels:
			if l.number < 0 || l.number >= len(classes) {
				return nil, t.fail(n, "label %d is out of range: there are training images of %d classes, which count from 0", l.number, len(classes))
			}
			labels[n-1], most = l.number, max(most, l.number)
			continue
		case truthIDs:
			var ok bool
			if l.synset, ok = t.ids.synsets[l.number]; !ok {
				return nil, t.fail(n, "number %d is out of range: meta.mat has no synset of that number", l.number)
			}
		}
		label, ok := classes[l.synset]
		if !ok {
			return nil, t.fail(n, "synset %s has no training images", l.synset)
		}
		labels[n-1] = label
	}
	// Labels are positions in a list of synsets. With more classes than it had,
	// they would silently mean others.
	if t.kind == truthLabels && most+1 != len(classes) {
		return nil, fmt.Errorf("%s: its labels go from 0 to %d, and there are training images of %d classes; both must be of the same synsets", t.where, most, len(classes))
	}
	return labels, nil
}

// table reads meta.mat, which says what the numbers are.
func (t *truth) table(metas []document) (*meta, error) {
	switch metas := different(metas); len(metas) {
	case 0:
		return nil, fmt.Errorf("%s: its numbers are those of a development kit, whose data/meta.mat says of which synset each is, and that is not there; give the kit (as ILSVRC2012_devkit_t12.tar.gz) with -truth", t.where)
	case 1:
		return parseMeta(metas[0])
	default:
		return nil, fmt.Errorf("%s: its numbers may be those of %s, which differ; say with -truth which development kit it is", t.where, wheres(metas))
	}
}

// label gives the images of p their labels. An image that is listed and not
// there is an error, too: with a part of the images, as of an archive that was
// not all unpacked, error rates would look right and compare with no others.
func (t *truth) label(p part, classes map[string]int) ([]labelled, error) {
	labels, err := t.labels(classes)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]int) // line, from 1
	for i, l := range t.lines {
		if l.image == "" {
			continue
		}
		if other := byName[l.image]; other != 0 {
			return nil, t.fail(i+1, "image %s is in line %d already", l.image, other)
		}
		byName[l.image] = i + 1
	}
	images := make([]labelled, 0, len(p.images()))
	used := make([]bool, len(t.lines))
	for _, m := range p.images() {
		name := imageName(m.name)
		n := byName[name]
		if t.kind == truthIDs || t.kind == truthSynsets {
			if n = imageNumber(name); n < 1 {
				return nil, fmt.Errorf("%s: its name does not end in a number, which says what line of %s is for it; remove it if it is no validation image", p.where(m), t.where)
			}
		}
		switch {
		case n < 1 || n > len(labels):
			return nil, fmt.Errorf("%s: this image is not in %s, which has %d lines; give the list for these images with -truth", p.where(m), t.where, len(t.lines))
		case used[n-1]:
			return nil, fmt.Errorf("%s: line %d of %s is for another image, too; remove one", p.where(m), n, t.where)
		}
		used[n-1] = true
		images = append(images, labelled{p.archive, m, labels[n-1]})
	}
	for i := range t.lines {
		if i >= t.header && !used[i] {
			return nil, t.fail(i+1, "its image is not in %s: there are %d images, and lines for more; get the rest", p.inside(p.folder), len(images))
		}
	}
	return images, nil
}
