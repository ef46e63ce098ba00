package pack

import (
	"fmt"
	"math"
	"regexp"

	"alexnet/internal/matfile"
)

// meta is the table of a development kit, meta.mat.
type meta struct {
	synsets map[int]string // by ID; those over 1000 stand above others in WordNet, and are no classes
	words   nameList
}

// idField is the field with the ID: ILSVRC2010_ID, ILSVRC2012_ID, in later kits
// ILSVRC2015_CLSLOC_ID.
var idField = regexp.MustCompile(`^(ILSVRC\d{4}(_\w+)?_ID|synset_id)$`)

func parseMeta(d document) (*meta, error) {
	table, err := matfile.Read(d.data, "synsets")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.where, err)
	}
	id := ""
	for _, f := range table.Fields {
		if idField.MatchString(f) {
			id = f
		}
	}
	m := &meta{synsets: make(map[int]string), words: make(nameList)}
	for i := range table.Len() {
		n, ok := table.Field(i, id).Number()
		wnid, ok2 := table.Field(i, "WNID").Line()
		if !ok || !ok2 || n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 || !synset.MatchString(wnid) {
			return nil, fmt.Errorf("%s: element %d of synsets has not a number (ILSVRC2012_ID) and a synset (WNID); get the development kit again", d.where, i+1)
		}
		if other, ok := m.synsets[int(n)]; ok {
			return nil, fmt.Errorf("%s: number %d is that of %s and of %s; get the development kit again", d.where, int(n), other, wnid)
		}
		m.synsets[int(n)] = wnid
		words, ok := table.Field(i, "words").Line()
		if !ok {
			words, _ = table.Field(i, "name").Line() // in later kits
		}
		m.words[wnid] = words
	}
	if len(m.synsets) == 0 {
		return nil, fmt.Errorf("%s: there are no synsets in it; get the development kit again", d.where)
	}
	return m, nil
}
