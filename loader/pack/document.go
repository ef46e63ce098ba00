package pack

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxText bounds the lists that come with images; the largest, LOC_val_solution.csv
// and words.txt, have 3 MB.
const maxText = 16 << 20

// document is a list that comes with images.
type document struct {
	name  string // of the file
	where string // for people
	data  []byte
}

// readDocument reads a file on disk.
func readDocument(path string) (document, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return document{}, err
	case !info.Mode().IsRegular():
		return document{}, fmt.Errorf("%s: this is no plain file; give a list", path)
	case info.Size() > maxText:
		return document{}, fmt.Errorf("%s: the file has %d bytes; a list has at most %d", path, info.Size(), maxText)
	}
	data, err := os.ReadFile(path)
	return document{filepath.Base(path), path, data}, err
}

// lines are those of a text, without what a Windows editor adds. Line n is n-1
// here, so that empty lines are kept, but for the last ones.
func (d document) lines() []string {
	text := strings.TrimRight(string(bytes.TrimPrefix(d.data, []byte("\xef\xbb\xbf"))), " \t\r\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

// fail says what is wrong with line n, from 1.
func (d document) fail(n int, format string, a ...any) error {
	return fmt.Errorf("%s: line %d: %w", d.where, n, fmt.Errorf(format, a...))
}

// different drops copies: people have a kit packed and unpacked side by side.
func different(docs []document) []document {
	var kept []document
	for _, d := range docs {
		if !slices.ContainsFunc(kept, func(k document) bool { return bytes.Equal(k.data, d.data) }) {
			kept = append(kept, d)
		}
	}
	return kept
}

// wheres names docs for people.
func wheres(docs []document) string {
	var names []string
	for _, d := range docs {
		names = append(names, d.where)
	}
	return strings.Join(names, " and ")
}
