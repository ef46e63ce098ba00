package pack

import (
	"context"
	"errors"
	"fmt"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// testNames are the names that a folder of test images may have.
var testNames = []string{"test", "val", "valid"}

func isSplit(name string) bool { return name == "train" || slices.Contains(testNames, name) }

// folderListing lists a folder or archive of images, laid out as Folder says, or
// those of the given classes if there are any. The archives are closed where it
// fails.
func folderListing(ctx context.Context, path string, temp scratch, testFraction float64, classes []string) (*listing, error) {
	a, err := openArchive(ctx, path, temp)
	if err != nil {
		return nil, err
	}
	if len(classes) > 0 {
		err = a.keep(classes)
	}
	l := (*listing)(nil)
	if err == nil {
		l, err = arrange(a, testFraction)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return l.finish(), nil
}

// keep leaves only the members that lie in folders of these names.
func (a *archive) keep(classes []string) error {
	classes = slices.Clone(classes)
	for i, c := range classes {
		classes[i] = norm.NFC.String(c)
	}
	missing := slices.Clone(classes)
	a.members = slices.DeleteFunc(a.members, func(m member) bool {
		class := norm.NFC.String(pathpkg.Base(pathpkg.Dir(m.name)))
		missing = slices.DeleteFunc(missing, func(c string) bool { return c == class })
		return !slices.Contains(classes, class)
	})
	if len(missing) > 0 {
		return fmt.Errorf("%s: it has no class %s", a.path, strings.Join(missing, ", "))
	}
	return nil
}

const folderLayout = "all images must lie at train/<class>/<image> and test/<class>/<image>, or all at <class>/<image>"

// arrange finds splits and classes in the names of a's members.
func arrange(a *archive, testFraction float64) (*listing, error) {
	if len(a.members) == 0 {
		return nil, fmt.Errorf("%s: there are no images in it; they must lie at train/<class>/<image> or <class>/<image>", a.path)
	}
	root := unwrap(a.members, "", isSplit)
	l := &listing{source: filepath.Base(a.path), archives: []*archive{a}}
	if first := strings.Split(a.members[0].name[len(root):], "/"); len(first) != 3 || !isSplit(first[0]) {
		return l, l.wholeFolder(part{a, root}, testFraction)
	}
	test := part{archive: a}
	seen := make(map[string]bool)
	for _, m := range a.members {
		name, _, _ := strings.Cut(m.name[len(root):], "/")
		if !isSplit(name) {
			return nil, fmt.Errorf("%s: it does not fit the layout; %s", a.where(m), folderLayout)
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := (part{a, root + name + "/"}).misfits(folderLayout); err != nil {
			return nil, err
		}
	}
	name := ""
	for _, n := range testNames {
		if seen[n] && name != "" {
			return nil, fmt.Errorf("%s: there are both %s/ and %s/, and only one can be the test split; remove the other", a.path, name, n)
		}
		if seen[n] {
			name, test.folder = n, root+n+"/"
		}
	}
	train := part{a, root + "train/"}
	labels, err := l.number(train)
	if err != nil {
		return nil, err
	}
	if l.train, err = byClass(train, labels); err != nil {
		return nil, err
	}
	if name == "" {
		l.source += ", which has train/ alone: no test split"
		return l, nil
	}
	l.source += ", test split from " + name + "/"
	l.test, err = byClass(test, labels)
	return l, err
}

// wholeFolder takes all images of p, which has no splits.
func (l *listing) wholeFolder(p part, testFraction float64) (err error) {
	if err := p.misfits(folderLayout); err != nil {
		return err
	}
	labels, err := l.number(p)
	if err != nil {
		return err
	}
	if l.train, err = byClass(p, labels); err != nil {
		return err
	}
	l.source += fmt.Sprintf(", of which %g of each class became the test split", testFraction)
	if err := l.cut(testFraction); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	return nil
}

// unwrap returns the folder, root or one below, that has more in it than one
// more folder of folders, or that of a name at which to stop.
func unwrap(members []member, root string, stop func(folder string) bool) string {
	for {
		first, _, _ := strings.Cut(members[0].name[len(root):], "/")
		for _, m := range members {
			rest, ok := strings.CutPrefix(m.name[len(root):], first+"/")
			if !ok || !strings.Contains(rest, "/") || stop(first) {
				return root
			}
		}
		root += first + "/"
	}
}
