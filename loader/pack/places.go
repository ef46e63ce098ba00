package pack

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The folders of a source in which its parts may lie.
var ilsvrcFolders = []string{"", "ILSVRC/", "ILSVRC/Data/CLS-LOC/", "Data/CLS-LOC/", "CLS-LOC/"}

// Names, in small letters, of what is looked for. Archives inside an archive
// count as folders.
var (
	trainFolder  = regexp.MustCompile(`^(train(ing)?|ilsvrc\d{4}_(img|images)_train)$`)
	trainArchive = regexp.MustCompile(`((^|[^a-z])train.*|_whole)\.(tar|tar\.gz|tgz|zip)$`)
	valFolder    = regexp.MustCompile(`^(val|valid|validation|ilsvrc\d{4}_(img|images)_val)$`)
	valArchive   = regexp.MustCompile(`(^|[^a-z])val.*\.(tar|tar\.gz|tgz|zip)$`)
	noImages     = regexp.MustCompile(`bbox|devkit|_t3\.`) // boxes, kits, the dogs of task 3, who are in the rest too
)

// unwrap goes into the folders that are around everything.
func (s shelf) unwrap() (shelf, error) {
	for {
		entries, err := s.entries("")
		if err != nil || len(entries) != 1 || !entries[0].folder {
			return s, err
		}
		name := entries[0].name
		if lower := strings.ToLower(name); trainFolder.MatchString(lower) || valFolder.MatchString(lower) || synset.MatchString(name) {
			return s, nil
		}
		s = s.sub(name)
	}
}

// find looks in s for images by the names of their folder or archive. "": there
// are none.
func (s shelf) find(what, flag string, folder, archive *regexp.Regexp) (string, error) {
	var found []string
	for _, f := range ilsvrcFolders {
		entries, err := s.entries(f)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			name := strings.ToLower(path.Base(e.name))
			if e.folder && folder.MatchString(name) || !e.folder && archive.MatchString(name) && !noImages.MatchString(name) {
				found = append(found, e.name)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s and %s: both may be the %s images; say which are with %s", s.where(found[0]), s.where(found[1]), what, flag)
}

const ilsvrcLayout = "training images must lie at <class>/<image>, where a class is a folder or a tar"

// training finds the training images: in the place given, or in the source.
func (f *finder) training(source shelf, given string) (p part, err error) {
	s := source
	if given != "" {
		if s, err = f.shelf(given); err != nil {
			return p, err
		}
	}
	name, err := s.find("training", "-train", trainFolder, trainArchive)
	if err != nil {
		return p, err
	}
	var wanted func(string) bool
	if name == "" && given == "" {
		entries, err := s.entries("")
		if err != nil {
			return p, err
		}
		if !slices.ContainsFunc(entries, func(e entry) bool { return isClass(e.name) }) {
			return p, fmt.Errorf("%s: there are no training images in it: no ILSVRC2012_img_train.tar, no folder train, no folders or tars of classes (n01440764); name them with -train", s.where(""))
		}
		wanted = isClass // other things may lie beside them
	}
	if p, err = f.part(s, name, wanted); err != nil {
		return p, err
	}
	images := p.images()
	if len(images) == 0 {
		return p, fmt.Errorf("%s: there are no images in it; %s", p.inside(p.folder), ilsvrcLayout)
	}
	p.folder = unwrap(images, p.folder, func(string) bool { return false })
	return p, p.misfits(ilsvrcLayout)
}

// isClass tells a synset's folder or tar.
func isClass(name string) bool { return synset.MatchString(strings.TrimSuffix(name, ".tar")) }

// validation finds the validation images: in the place given, or in the source.
// Without any, the part has no archive.
func (f *finder) validation(source shelf, given string) (p part, err error) {
	s := source
	if given != "" {
		if s, err = f.shelf(given); err != nil {
			return p, err
		}
	}
	name, err := s.find("validation", "-val", valFolder, valArchive)
	if err != nil || name == "" && given == "" {
		return p, err
	}
	if p, err = f.part(s, name, nil); err != nil {
		return p, err
	}
	if len(p.images()) == 0 {
		return p, fmt.Errorf("%s: there are no images in it; validation images must lie in one folder, or each in the folder of its class", p.inside(p.folder))
	}
	return p, nil
}

// flat tells that the images of p are all in one folder, so that folders do not
// tell their classes.
func (p part) flat() bool {
	images := p.images()
	folder := path.Dir(images[0].name)
	return !synset.MatchString(path.Base(folder)) &&
		!slices.ContainsFunc(images, func(m member) bool { return path.Dir(m.name) != folder })
}

// byFolder labels the images of p by the folders that they are in.
func (p part) byFolder(labels map[string]int) ([]labelled, error) {
	images := make([]labelled, 0, len(p.images()))
	for _, m := range p.images() {
		label, ok := labels[path.Base(path.Dir(m.name))]
		if !ok {
			return nil, fmt.Errorf("%s: it is not in the folder of a class that has training images; validation images must lie in one folder, or each in the folder of its class", p.where(m))
		}
		images = append(images, labelled{p.archive, m, label})
	}
	slices.SortStableFunc(images, func(a, b labelled) int { return cmp.Compare(a.label, b.label) })
	return images, nil
}
