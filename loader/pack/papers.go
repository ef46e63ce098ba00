package pack

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Names, in small letters, of what comes with images.
var (
	kitArchive = regexp.MustCompile(`devkit.*\.(tar|tar\.gz|tgz|zip)$`)
	truthFile  = regexp.MustCompile(`ground_truth\.txt$|^val(idation)?\.txt$|^loc_val_solution\.csv$|val.*(labels|synsets)\.txt$`)
	metaFile   = regexp.MustCompile(`^meta(_clsloc)?\.mat$`)
)

// nameFiles are the lists of names, the one that is preferred first.
var nameFiles = []string{"synset_words.txt", "loc_synset_mapping.txt", "words.txt"}

// papers are the lists that are found beside images.
type papers struct {
	truths, metas []document
	names         []document // by preference
}

// papers finds what is in s, and in the development kits there.
func (f *finder) papers(s shelf, kits bool) (p papers, err error) {
	for _, folder := range append([]string{"data/"}, ilsvrcFolders...) { // kits have a folder data
		entries, err := s.entries(folder)
		if err != nil {
			return p, err
		}
		for _, e := range entries {
			name := strings.ToLower(path.Base(e.name))
			switch {
			case !kits:
			case e.folder && strings.Contains(name, "devkit"):
				err = f.kit(s.sub(e.name), &p)
			case !e.folder && s.a == nil && kitArchive.MatchString(name):
				var kit shelf
				if kit, err = f.shelf(s.where(e.name)); err == nil {
					err = f.kit(kit, &p)
				}
			}
			if err == nil && !e.folder {
				err = p.add(s, e.name)
			}
			if err != nil {
				return p, err
			}
		}
	}
	slices.SortStableFunc(p.names, func(a, b document) int {
		return cmp.Compare(slices.Index(nameFiles, strings.ToLower(a.name)), slices.Index(nameFiles, strings.ToLower(b.name)))
	})
	return p, nil
}

// kit adds what is in a development kit.
func (f *finder) kit(s shelf, p *papers) error {
	s, err := s.unwrap()
	if err != nil {
		return err
	}
	more, err := f.papers(s, false)
	p.truths, p.metas, p.names = append(p.truths, more.truths...), append(p.metas, more.metas...), append(p.names, more.names...)
	return err
}

// add reads the file of the given name in s if it is a list.
func (p *papers) add(s shelf, name string) error {
	base := strings.ToLower(path.Base(name))
	var to *[]document
	switch {
	case truthFile.MatchString(base):
		to = &p.truths
	case metaFile.MatchString(base):
		to = &p.metas
	case slices.Contains(nameFiles, base):
		to = &p.names
	default:
		return nil
	}
	d, err := s.document(name)
	*to = append(*to, d)
	return err
}

// truth finds and reads what is said of the images of val: in the place given,
// or in the papers. With a kit given, its meta.mat is the only one in p then.
func (f *finder) truth(val part, p *papers, given string) (*truth, error) {
	truths := p.truths
	if given != "" {
		d, err := readDocument(given)
		if err == nil && !isArchive(d.data) {
			if err = p.beside(d); err != nil {
				return nil, err
			}
			return parseTruth(d, p.metas)
		}
		kit, err := f.shelf(given)
		if err != nil {
			return nil, err
		}
		in := papers{}
		if err := f.kit(kit, &in); err != nil {
			return nil, err
		}
		truths = in.truths
		if len(in.metas) > 0 {
			p.metas = in.metas
		}
	}
	of := "validation"
	if strings.Contains(path.Base(val.images()[0].name), "_test_") {
		of = "test"
	}
	truths = slices.DeleteFunc(different(truths), func(d document) bool {
		return strings.Contains(strings.ToLower(d.name), "test") != (of == "test")
	})
	switch len(truths) {
	case 0:
		return nil, fmt.Errorf("%s: nothing says of which class each of these %s images is; name the development kit (as ILSVRC2012_devkit_t12.tar.gz) or a list with -truth", val.inside(val.folder), of)
	case 1:
		return parseTruth(truths[0], p.metas)
	}
	return nil, fmt.Errorf("%s: these may all say of which class each %s image is; say which does with -truth", wheres(truths), of)
}

// beside puts a meta.mat that lies beside d before others.
func (p *papers) beside(d document) error {
	meta, err := readDocument(filepath.Join(filepath.Dir(d.where), "meta.mat"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil:
		p.metas = []document{meta}
	}
	return err
}

// isArchive tells a tar, tar.gz or zip from a list.
func isArchive(b []byte) bool {
	return len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b || strings.HasPrefix(string(b), "PK") || len(b) > 262 && string(b[257:262]) == "ustar"
}

// nameList reads the classes' names: those given, or the preferred ones of p, or
// those in meta.mat. It returns also what they are read from.
func (p *papers) nameList(given string) (nameList, string, error) {
	switch {
	case given != "":
		names, err := readNames(given)
		return names, filepath.Base(given), err
	case len(p.names) > 0:
		names, err := parseNames(p.names[0])
		return names, p.names[0].name, err
	}
	switch metas := different(p.metas); len(metas) {
	case 0:
		return nil, "", nil
	case 1:
		names, err := parseNames(metas[0])
		return names, metas[0].name, err
	default:
		return nil, "", fmt.Errorf("%s: both may have the names of the classes, and they differ; say with -names which is to be used", wheres(metas))
	}
}
