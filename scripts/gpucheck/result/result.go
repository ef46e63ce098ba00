// Package result is what the GPU check finds: its JSON file, the same for people, and
// the figures that others take from it.
package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"alexnet/internal/measure"

	"github.com/google/renameio/v2"
)

// Result is the content of the JSON file.
type Result struct {
	Date    string  `json:"date"` // of the file's name
	Machine Machine `json:"machine"`
	Parts   []*Part `json:"parts"`
}

// Part is what one part of the check found.
type Part struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Status   Status    `json:"status"`
	Why      string    `json:"why,omitempty"` // it failed or was skipped
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Limit    float64   `json:"limit_seconds"`
	Revision string    `json:"revision"` // of the source that the program was built from
	Notes    []string  `json:"notes,omitempty"`
	Tables   []*Table  `json:"tables,omitempty"`
	Output   string    `json:"output,omitempty"` // the end of what a failed command printed
}

// Status is how a part ended.
type Status string

// The statuses. A part that is running has the last one, and keeps it in the
// file if the check is killed.
const (
	Passed     Status = "passed"
	Failed     Status = "failed"
	Skipped    Status = "skipped"
	Unfinished Status = "unfinished"
)

// Table is a part's figures. In JSON a row is an object with the columns' names.
type Table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Row maps columns to strings, bools and numbers.
type Row map[string]any

// MarshalJSON writes numbers that are not finite as null: JSON has none.
func (r Row) MarshalJSON() ([]byte, error) {
	m := make(map[string]any, len(r))
	for k, v := range r {
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			v = nil
		}
		m[k] = v
	}
	return json.Marshal(m)
}

// NewTable adds a table to the part.
func (p *Part) NewTable(title string, columns ...string) *Table {
	t := &Table{Title: title, Columns: columns, Rows: []Row{}}
	p.Tables = append(p.Tables, t)
	return t
}

// Add adds a row, of a value for each column.
func (t *Table) Add(values ...any) {
	row := make(Row, len(values))
	for i, v := range values {
		row[t.Columns[i]] = v
	}
	t.Rows = append(t.Rows, row)
}

// Note adds a line of text.
func (p *Part) Note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// Find returns the part of that name, or nil.
func (r *Result) Find(name string) *Part {
	if i := slices.IndexFunc(r.Parts, func(p *Part) bool { return p.Name == name }); i >= 0 {
		return r.Parts[i]
	}
	return nil
}

// Part returns the part of that name, adding it if it is not there, in its place
// in the order of all names.
func (r *Result) Part(name string, order []string) *Part {
	if p := r.Find(name); p != nil {
		return p
	}
	p := &Part{Name: name}
	r.Parts = append(r.Parts, p)
	slices.SortStableFunc(r.Parts, func(a, b *Part) int {
		return slices.Index(order, a.Name) - slices.Index(order, b.Name)
	})
	return p
}

// Failed reports whether one of the parts named did not end well.
func (r *Result) Failed(names []string) bool {
	return slices.ContainsFunc(r.Parts, func(p *Part) bool {
		return slices.Contains(names, p.Name) && (p.Status == Failed || p.Status == Unfinished)
	})
}

// FileName returns the name of the result's files, without what tells them
// apart: 2026-11-24-nvidia-h100-80gb-hbm3.
func (r *Result) FileName() string {
	model := "no-gpu"
	if len(r.Machine.Devices.GPUs) > 0 {
		model = measure.Slug(r.Machine.Devices.GPUs[0].Model)
	}
	return r.Date + "-" + model
}

// Write writes both files of the result. Each is whole at any moment.
func (r *Result) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, r.FileName())
	return errors.Join(
		renameio.WriteFile(path+".json", append(text, '\n'), 0o666),
		renameio.WriteFile(path+".md", r.markdown(), 0o666))
}

// GoOn takes over what an earlier check of the same day and machine found, whose
// other parts stay as they are.
func (r *Result) GoOn(dir string) error {
	path := filepath.Join(dir, r.FileName()+".json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var old Result
	if err := json.Unmarshal(text, &old); err != nil {
		return fmt.Errorf("%s: %w; give another -out", path, err)
	}
	if is, was := r.Machine.identity(), old.Machine.identity(); is != was {
		return fmt.Errorf("%s is of another machine, or of other libraries; give another -out\nit was: %s\nit is:  %s", path, was, is)
	}
	r.Parts = old.Parts
	return nil
}
