package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const (
	mostReport = 4 << 20 // bytes of a report; one of alexnet.net has 20 thousand
	longest    = 1e12    // milliseconds: more than 30 years
)

// ReadReport reads a report that was written as JSON. It refuses reports whose
// times cannot have been measured. Errors name path.
func ReadReport(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, mostReport+1))
	if err != nil {
		return nil, err
	}
	r, err := parseReport(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; give a file that alexnet bench -json wrote", path, err)
	}
	return r, nil
}

func parseReport(b []byte) (*Report, error) {
	if len(b) > mostReport {
		return nil, fmt.Errorf("the file has more than %d bytes", mostReport)
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, r.check()
}

// check says, as an error, why a report cannot be compared with another.
func (r *Report) check() error {
	for _, of := range []struct{ name, value string }{
		{"net", r.Net}, {"device", r.Device}, {"precision", r.Precision}, {"cpu", r.CPU}, {"matrix_products", r.BLAS},
	} {
		if strings.ContainsFunc(of.value, func(c rune) bool { return !strconv.IsPrint(c) }) {
			return fmt.Errorf("%s is %q, which cannot be printed", of.name, of.value)
		}
	}
	switch {
	case r.Net == "":
		return errors.New("it names no net")
	case r.Batch < 1:
		return fmt.Errorf("batch is %d", r.Batch)
	case r.Step.Min <= 0:
		return fmt.Errorf("the fastest step took %g ms", r.Step.Min)
	case len(r.Passes) != len(passNames):
		return fmt.Errorf("it has %d passes, want %d", len(r.Passes), len(passNames))
	}
	if err := r.Step.check(); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	for i, t := range r.Passes {
		if err := t.check(); err != nil {
			return fmt.Errorf("%s: %w", passNames[i], err)
		}
	}
	for _, o := range r.Operations {
		if err := o.Time.check(); err != nil {
			return fmt.Errorf("operation %q of layer %q: %w", o.What, o.Layer, err)
		}
	}
	return nil
}

func (t Time) check() error {
	if !(0 <= t.Min && t.Min <= t.Median && t.Median <= t.Max && t.Max <= longest) {
		return fmt.Errorf("a median of %g ms, with a fastest round of %g and a slowest of %g", t.Median, t.Min, t.Max)
	}
	return nil
}
