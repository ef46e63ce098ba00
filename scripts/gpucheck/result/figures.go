package result

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Titles of tables that are read again. Columns that are read again are named in
// [Result.Figures].
const (
	StepTitle = "Training step of alexnet.net"
	PeerTitle = "alexnet and PyTorch " // and the mode

	CeilingsTitle = "Ceilings"
	ProductUnit   = "TFLOP/s"
	CopyUnit      = "GB/s"
)

// Modes are how PyTorch runs; the part of each is named after it.
var Modes = []string{"eager", "compile", "max-autotune"}

// Placements are where a step runs: one stream for both columns, merged; one for
// each, on the same GPU; a GPU for each; and the whole network on both, which share
// the batch.
var Placements = []string{"cuda:0", "cuda:0,cuda:0", "cuda:0,cuda:1", "cuda:0+cuda:1"}

// Figures are images per second of the training step of one precision and batch.
// What was not measured is 0.
type Figures struct {
	Precision string
	Batch     int
	Ours      [4]float64 // by placement, with -autotune
	Theirs    [3]float64 // by mode
	Ratios    [3]float64 // ours to theirs, by mode, measured in turns
	Share     float64    // of the floor, of the first placement
}

// Best returns the fastest of our placements.
func (f *Figures) Best() float64 { return slices.Max(f.Ours[:]) }

// Ratio is of ours to the fastest mode of PyTorch.
func (f *Figures) Ratio() float64 {
	best := 0
	for i, speed := range f.Theirs {
		if speed > f.Theirs[best] {
			best = i
		}
	}
	return f.Ratios[best]
}

// Read reads a JSON file.
func Read(path string) (*Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Figures returns the speeds of all cases, by precision and batch, of a result that
// was read from a file.
func (r *Result) Figures() []Figures {
	var all []Figures
	at := func(row Row) *Figures {
		precision, _ := row["precision"].(string)
		batch := int(number(row["batch"]))
		i := slices.IndexFunc(all, func(f Figures) bool { return f.Precision == precision && f.Batch == batch })
		if i < 0 {
			i = len(all)
			all = append(all, Figures{Precision: precision, Batch: batch})
		}
		return &all[i]
	}
	for _, row := range r.rows("speed", StepTitle) {
		placement := slices.Index(Placements, fmt.Sprint(row["devices"]))
		if row["autotune"] != true || placement < 0 {
			continue
		}
		f := at(row)
		f.Ours[placement] = number(row["images_per_second"])
		if placement == 0 {
			f.Share = number(row["share_of_floor"])
		}
	}
	for i, mode := range Modes {
		for _, row := range r.rows("peer-"+mode, PeerTitle+mode) {
			f := at(row)
			f.Theirs[i], f.Ratios[i] = number(row["theirs"]), number(row["ours_to_theirs"])
		}
	}
	all = slices.DeleteFunc(all, func(f Figures) bool { return f.Best() == 0 && slices.Max(f.Theirs[:]) == 0 })
	slices.SortFunc(all, func(a, b Figures) int {
		return cmp.Or(cmp.Compare(a.Precision, b.Precision), cmp.Compare(a.Batch, b.Batch))
	})
	return all
}

// rows returns those of a part's table, or none.
func (r *Result) rows(part, title string) []Row {
	if p := r.Find(part); p != nil {
		for _, t := range p.Tables {
			if t.Title == title {
				return t.Rows
			}
		}
	}
	return nil
}

// number returns a figure of a row, and 0 if there is none.
func number(v any) float64 {
	f, _ := v.(float64)
	return f
}

// Ceilings returns 10^9 operations a second of a large matrix product in a precision,
// and 10^9 bytes a second of a large copy: 0 for what was not measured.
func (r *Result) Ceilings(precision string) (gflops, gbs float64) {
	for _, row := range r.rows("ceilings", CeilingsTitle) {
		switch {
		case row["unit"] == ProductUnit && row["precision"] == precision:
			gflops = 1e3 * number(row["figure"])
		case row["unit"] == CopyUnit:
			gbs = number(row["figure"])
		}
	}
	return gflops, gbs
}

// NotPassed names the parts that failed or were not ended.
func (r *Result) NotPassed() string {
	var names []string
	for _, p := range r.Parts {
		if p.Status == Failed || p.Status == Unfinished {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}
