package train

import (
	"cmp"
	"slices"
)

// ByClass is a test's outcome class by class.
type ByClass struct {
	classes []Class
	given   map[[2]int32]int64 // images by true and given class, where they differ
}

// Class is the outcome for the images of one class.
type Class struct {
	Label     int32   `json:"label"`
	Name      string  `json:"name"`
	Images    int64   `json:"images"`
	Top1Error float64 `json:"top1_error"`
	Top5Error float64 `json:"top5_error"`

	wrong1, wrong5 int64
}

// Confusion is a number of images of one class that were taken for another.
type Confusion struct {
	True   string `json:"true"`
	Given  string `json:"given"`
	Images int64  `json:"images"`

	pair [2]int32
}

// NewByClass makes an empty table.
func NewByClass() *ByClass { return &ByClass{given: map[[2]int32]int64{}} }

// Add enters an image, in the form that [Testing.Each] gives it.
func (b *ByClass) Add(_ int64, label int32, logits []float64) {
	for len(b.classes) < len(logits) {
		b.classes = append(b.classes, Class{Label: int32(len(b.classes))})
	}
	c := &b.classes[label]
	c.Images++
	n := likelier(label, logits)
	if n >= 5 {
		c.wrong5++
	}
	if n >= 1 {
		c.wrong1++
		b.given[[2]int32{label, likeliest(logits, label)}]++
	}
}

// likeliest returns the class that is given to an image whose own is not: of
// equal ones the lowest, and where nothing can be compared the lowest other.
func likeliest(logits []float64, label int32) int32 {
	best := int32(-1)
	for c, v := range logits {
		if int32(c) != label && (best < 0 || v > logits[best]) {
			best = int32(c)
		}
	}
	return best
}

// Classes returns the classes that have images, the one with the most errors
// first.
func (b *ByClass) Classes(names []string) []Class {
	var list []Class
	for i, c := range b.classes {
		if c.Images == 0 {
			continue
		}
		c.Name = at(names, i)
		c.Top1Error, c.Top5Error = float64(c.wrong1)/float64(c.Images), float64(c.wrong5)/float64(c.Images)
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(x, y Class) int { return cmp.Compare(y.Top1Error, x.Top1Error) })
	return list
}

// Confusions returns the n most frequent confusions, or all if there are fewer.
func (b *ByClass) Confusions(names []string, n int) []Confusion {
	list := []Confusion{}
	for pair, images := range b.given {
		list = append(list, Confusion{at(names, int(pair[0])), at(names, int(pair[1])), images, pair})
	}
	slices.SortFunc(list, func(x, y Confusion) int {
		return cmp.Or(cmp.Compare(y.Images, x.Images), slices.Compare(x.pair[:], y.pair[:]))
	})
	return list[:min(n, len(list))]
}
