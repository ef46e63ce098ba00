package main

import (
	"fmt"
	"slices"
	"strings"

	"alexnet/loader/pack"
	"alexnet/loader/record"
)

// imbalance is how many times as many images one class has as another before that is
// worth a message.
const imbalance = 10

// counter counts the images of each class of a split, in the order of labels.
type counter interface {
	Counts(split string) ([]int, error)
}

// classMessages says what keeps classes of a data set from being learned or tested. A
// class may have no images, as when all its files were rejected, or far fewer than
// another class.
func classMessages(d *record.Dataset, of counter) ([]string, error) {
	var messages []string
	for _, split := range []string{"train", "test"} {
		if _, ok := d.Splits[split]; !ok {
			continue
		}
		counts, err := of.Counts(split)
		if err != nil {
			return nil, err
		}
		var empty []string
		for label, n := range counts {
			if n == 0 {
				empty = append(empty, fmt.Sprintf("%q", classTitle(d.Classes[label])))
			}
		}
		if len(empty) > 0 {
			messages = append(messages, emptyMessage(d, split, empty))
		}
		if few, many := extremes(counts); counts[many] >= imbalance*counts[few] {
			messages = append(messages, fmt.Sprintf("%q has %d %s images, and %q %d: errors say little about the small classes; test -by-class shows each",
				classTitle(d.Classes[many]), counts[many], split, classTitle(d.Classes[few]), counts[few]))
		}
	}
	return messages, nil
}

// emptyMessage says which classes have no images in a split, and what follows.
func emptyMessage(d *record.Dataset, split string, empty []string) string {
	const shown = 5
	names := strings.Join(empty[:min(shown, len(empty))], ", ")
	if len(empty) > shown {
		names += fmt.Sprintf(" and %d more", len(empty)-shown)
	}
	have := "have"
	if len(empty) == 1 {
		have = "has"
	}
	s := fmt.Sprintf("%d of %d classes %s no %s images: %s", len(empty), len(d.Classes), have, split, names)
	switch {
	case split != "train":
		s += "; the test error says nothing about them"
	case len(empty) == len(d.Classes)-1:
		s += "; with one class left there is nothing to learn, and an error of 0% means nothing"
	default:
		s += "; a network cannot learn them"
	}
	if d.Rejected > 0 {
		s += "; " + pack.RejectedFile + " of the data set lists files that were rejected"
	}
	return s
}

// extremes returns the labels of the smallest class that has images, and of the largest.
func extremes(counts []int) (few, many int) {
	for label, n := range counts {
		if n > counts[many] {
			many = label
		}
	}
	few = many
	for label, n := range counts {
		if n > 0 && n < counts[few] {
			few = label
		}
	}
	return few, many
}

// perClass says how many images the classes of a split have.
func perClass(d *record.Dataset, counts []int) string {
	if slices.Min(counts) == slices.Max(counts) {
		return fmt.Sprintf("%d images of each class", counts[0])
	}
	few, many := extremes(counts)
	s := fmt.Sprintf("%d (%q) to %d (%q) images a class", counts[few], classTitle(d.Classes[few]), counts[many], classTitle(d.Classes[many]))
	empty := 0
	for _, n := range counts {
		if n == 0 {
			empty++
		}
	}
	switch {
	case empty == 1:
		s += ", one class without any"
	case empty > 1:
		s += fmt.Sprintf(", %d classes without any", empty)
	}
	return s
}

// classTitle returns the name of a class, after its synset if it has one.
func classTitle(c record.Class) string {
	if c.Synset != "" && c.Synset != c.Name {
		return c.Synset + " " + c.Name
	}
	return c.Name
}
