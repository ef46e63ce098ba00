package metrics

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"alexnet/internal/regular"
)

// maxLine bounds the memory that a line takes. Lines of this package have some
// 250 bytes.
const maxLine = 64 << 10

// Read returns the metrics of the file at path, in its order. Errors name
// path:line.
func Read(path string) ([]Metric, error) {
	f, err := regular.Follow(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Decode(path, f)
}

// Decode returns the metrics that r holds. Errors name name:line.
func Decode(name string, r io.Reader) ([]Metric, error) {
	var ms []Metric
	for l, err := range lines(name, r) {
		if err != nil {
			return nil, err
		}
		ms = append(ms, l.Metric)
	}
	return ms, nil
}

// line is a Metric and the place in its file where it ends.
type line struct {
	Metric
	end int64 // byte offset behind the newline
}

// lines yields the lines of r that are whole, to the first error.
func lines(name string, r io.Reader) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		br := bufio.NewReaderSize(r, maxLine)
		var l line
		for n := 1; ; n++ {
			b, err := br.ReadSlice('\n')
			if err == io.EOF {
				return // b, if there is any, is a torn line
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("the line has more than %d bytes: this is not a metrics.jsonl", maxLine)
			}
			if err == nil {
				err = json.Unmarshal(b, &l.Metric)
			}
			if err != nil {
				yield(line{}, fmt.Errorf("%s:%d: %w", name, n, err))
				return
			}
			l.end += int64(len(b))
			if !yield(l, nil) {
				return
			}
		}
	}
}
