package dsl

import (
	"go/doc/comment"
	goparser "go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listings returns the indented texts of the package documentation.
func listings(t *testing.T) []string {
	file, err := goparser.ParseFile(gotoken.NewFileSet(), "doc.go", nil, goparser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, block := range new(comment.Parser).Parse(file.Doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok {
			texts = append(texts, code.Text)
		}
	}
	return texts
}

func TestDocumentedNetworkParses(t *testing.T) {
	found := 0
	for _, text := range listings(t) {
		if !strings.HasPrefix(text, "net ") {
			continue
		}
		found++
		if _, err := Parse("doc.go", []byte(text)); err != nil {
			t.Error(err)
		}
		if out, err := Format("doc.go", []byte(text)); err != nil || string(out) != text {
			t.Errorf("not canonical: %v\n%s", err, out)
		}
	}
	if found == 0 {
		t.Error("no network in the documentation")
	}
}

// TestGrammarHasTheWords holds the productions of the EBNF against the tables
// that the parser works from, in both directions.
func TestGrammarHasTheWords(t *testing.T) {
	var grammar string
	for _, text := range listings(t) {
		if strings.HasPrefix(text, "file ") {
			grammar = text
		}
	}
	productions := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?ms)^(\w+) += (.*?) \.$`).FindAllStringSubmatch(grammar, -1) {
		productions[m[1]] = regexp.MustCompile(`"[^"]+"|\w+`).FindAllString(m[2], -1)
	}
	// terminals returns the words that a production can hold.
	var terminals func(name string) map[string]bool
	terminals = func(name string) map[string]bool {
		set := map[string]bool{}
		for _, symbol := range productions[name] {
			if word, ok := strings.CutPrefix(symbol, `"`); ok {
				if word = strings.TrimSuffix(word, `"`); isWord(word) {
					set[word] = true
				}
			} else if symbol != name {
				maps.Copy(set, terminals(symbol))
			}
		}
		return set
	}
	check := func(production string, want ...string) {
		t.Helper()
		got := slices.Sorted(maps.Keys(terminals(production)))
		want = slices.Compact(slices.Sorted(slices.Values(want)))
		if !slices.Equal(got, want) {
			t.Errorf("%s: the grammar has %v, the tables %v", production, got, want)
		}
	}

	production := map[string]string{
		"local": "conv", "relu": "activation", "tanh": "activation", "sigmoid": "activation", "maxpool": "pool", "avgpool": "pool",
	}
	siblings := map[string][]string{}
	nameOf := func(kind string) string {
		if p, ok := production[kind]; ok {
			return p
		}
		return kind
	}
	for _, k := range kinds {
		siblings[nameOf(k.word)] = append(siblings[nameOf(k.word)], k.word)
	}
	all := slices.Concat(header.words(), []string{"data", "train"})
	for _, k := range kinds {
		want := slices.Concat(words(k.clauses), siblings[nameOf(k.word)])
		if k.clause("from") != nil {
			want = append(want, "input")
		}
		check(nameOf(k.word), want...)
		all = append(all, want...)
	}
	for _, b := range blocks {
		in := []string{b.word}
		for _, s := range b.statements {
			want := append(words(s.clauses), s.word)
			if len(s.sizes) > 0 && s.sizes[0].value == meanValue {
				want = append(want, means...)
			}
			check(s.word, want...)
			in = append(in, want...)
		}
		check(b.word, in...)
		all = append(all, in...)
	}
	check("file", all...)
}

// TestRepositoryIsCanonical reads every network of the repository.
func TestRepositoryIsCanonical(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".net" {
			return nil
		}
		found++
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := Parse(path, src); err != nil {
			t.Error(err)
		}
		if out, err := Format(path, src); err != nil || string(out) != string(src) {
			t.Errorf("%s is not in canonical layout: %v\n%s", path, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 6 {
		t.Errorf("%d networks found", found)
	}
}
