package pack

import (
	"strings"

	"alexnet/internal/matfile"
	"alexnet/loader/record"
)

// nameList says what synsets are in words, as n01440764 is "tench, Tinca tinca".
type nameList map[string]string

// readNames reads a name list: lines of a synset and words, as in
// synset_words.txt, LOC_synset_mapping.txt and words.txt, or a development
// kit's meta.mat.
func readNames(path string) (nameList, error) {
	d, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	return parseNames(d)
}

func parseNames(d document) (nameList, error) {
	if matfile.Is(d.data) || metaFile.MatchString(d.name) {
		m, err := parseMeta(d)
		if err != nil {
			return nil, err
		}
		return m.words, nil
	}
	names := make(nameList)
	for i, line := range d.lines() {
		if line == "" {
			continue
		}
		at := strings.IndexAny(line, " \t")
		if at < 0 || !synset.MatchString(line[:at]) {
			return nil, d.fail(i+1, "%.40q is no synset with words; want lines like %q", line, "n01440764 tench, Tinca tinca")
		}
		id, words := line[:at], strings.ToValidUTF8(strings.TrimSpace(line[at:]), "\ufffd")
		if old, ok := names[id]; ok && old != words {
			return nil, d.fail(i+1, "synset %s is %q here, and %q before; remove one", id, words, old)
		}
		names[id] = words
	}
	return names, nil
}

// apply gives the classes that n has their names, and returns how many. Two
// classes may come to have the same: ImageNet has a crane that lifts and a crane
// that flies.
func (n nameList) apply(classes []record.Class) int {
	found := 0
	for i, c := range classes {
		if words := n[c.Synset]; words != "" {
			classes[i].Name = words
			found++
		}
	}
	return found
}
