package pack

import (
	"context"
	"errors"
	"fmt"
)

// ILSVRCSource says where the images of an ImageNet challenge are, or those of
// all of ImageNet. Source is a folder or archive that holds what people have of
//
//	ILSVRC2012_img_train.tar   training images: a tar of a tar for each class; or
//	train/                     a folder of class folders or of their tars
//	ILSVRC2012_img_val.tar     validation images; or
//	val/                       a folder of them, flat or in class folders
//	ILSVRC2012_devkit_t12.tar.gz, val.txt, LOC_val_solution.csv
//	                           what the validation images show; class folders need none
//	synset_words.txt, LOC_synset_mapping.txt, words.txt
//	                           the classes' names
//
// under these names or those of 2010, or under ILSVRC/Data/CLS-LOC, as Kaggle
// has it, or one of the training archives or folders itself. The other fields
// name a part that is elsewhere, or one of several; "": it is found in Source.
type ILSVRCSource struct {
	Source string
	Train  string // training images
	Val    string // validation images; or ILSVRC-2010's test images, which the paper reports
	Truth  string // development kit or list
	Names  string // list of names
}

// ilsvrcListing lists s. Classes are the synsets of the training images, in
// their order. Without validation images, testFraction of each class becomes the
// test split. The archives are closed where it fails.
func ilsvrcListing(ctx context.Context, s ILSVRCSource, temp scratch, testFraction float64) (l *listing, err error) {
	f := &finder{ctx: ctx, temp: temp}
	defer func() {
		if err != nil {
			l, err = nil, errors.Join(err, (&listing{archives: f.archives}).close())
		}
	}()
	source, err := f.shelf(s.Source)
	if err != nil {
		return nil, err
	}
	if source, err = source.unwrap(); err != nil {
		return nil, err
	}
	// What is small comes first: training images take long to list.
	p, err := f.papers(source, true)
	if err != nil {
		return nil, err
	}
	val, err := f.validation(source, s.Val)
	if err != nil {
		return nil, err
	}
	var t *truth
	if val.archive != nil && (s.Truth != "" || val.flat()) {
		if t, err = f.truth(val, &p, s.Truth); err != nil {
			return nil, err
		}
	} else if s.Truth != "" {
		return nil, fmt.Errorf("%s: there are no validation images in it that %s is for; name them with -val", s.Source, s.Truth)
	}
	names, named, err := p.nameList(s.Names)
	if err != nil {
		return nil, err
	}

	train, err := f.training(source, s.Train)
	if err != nil {
		return nil, err
	}
	l = &listing{source: "training images of " + train.base()}
	labels, err := l.number(train)
	if err != nil {
		return nil, err
	}
	if l.train, err = byClass(train, labels); err != nil {
		return nil, err
	}
	switch {
	case val.archive == nil:
		l.source += fmt.Sprintf(", of which %g of each class became the test split", testFraction)
		if err = l.cut(testFraction); err != nil {
			err = fmt.Errorf("%s: %w", train.path, err)
		}
	case t != nil:
		l.source += "; test split: " + val.base() + ", labels of " + t.name
		l.test, err = t.label(val, labels)
	default:
		l.source += "; test split: " + val.base() + ", labelled by its folders"
		l.test, err = val.byFolder(labels)
	}
	if err != nil {
		return nil, err
	}
	if names.apply(l.classes) > 0 {
		l.source += "; names of " + named
	}
	l.archives = f.archives
	return l.finish(), nil
}
