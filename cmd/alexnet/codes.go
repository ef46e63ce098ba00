package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"alexnet/neighbors"

	"github.com/urfave/cli/v2"
)

var codesCommand = &cli.Command{
	Name:  "codes",
	Usage: "search by short binary codes, learned by an auto-encoder, beside the exact search (section 6.1)",
	Description: "Trains an auto-encoder on what a layer makes of the training images, gives each a code of\n" +
		"128 bits, looks test images up by Hamming distance, and says how many of the k that are\n" +
		"nearest by the features themselves are among the first of that list, and what time both take.\n" +
		"Beside it stand codes of as many random projections, which cost nothing to learn.",
	Flags: append(lookupFlags(1000),
		&cli.IntFlag{Name: "steps", Value: neighbors.DefaultLearning(0).Steps, Usage: "the auto-encoder learns for `N` steps"}),
	Action: codesAction,
}

// shortlists are the lengths of the lists by codes that are ranked again by the
// features themselves. The shortest list is k itself, which is not.
var shortlists = []int{10, 100, 1000}

// coded is what alexnet codes -json prints.
type coded struct {
	Layer          string      `json:"layer"`
	Images         int         `json:"images"` // that are searched
	Queries        int         `json:"queries"`
	K              int         `json:"k"`
	Bits           int         `json:"bits"`
	ExactSeconds   float64     `json:"exact_seconds"` // of the exact search, for all queries
	LearnedSeconds float64     `json:"learned_seconds"`
	Codes          []codedKind `json:"codes"`
}

// codedKind is one kind of codes.
type codedKind struct {
	Kind  string      `json:"kind"` // auto-encoder or random
	Lists []codedList `json:"lists"`
}

// codedList is a search by codes.
type codedList struct {
	Length  int     `json:"length"`
	Recall  float64 `json:"recall"`  // share of the k nearest that are in the list, and so are found
	Seconds float64 `json:"seconds"` // codes of the queries, search, and ranking again
	Faster  float64 `json:"faster"`  // times the exact search
}

func codesAction(c *cli.Context) (err error) {
	if c.Int("steps") < 1 {
		return usagef("-steps %d: want at least 1", c.Int("steps"))
	}
	l, err := openLookup(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	r := coded{Layer: l.layer, Images: len(l.train.Labels), Queries: len(l.queries), K: l.k, Bits: neighbors.Bits}
	mean, deviation, err := neighbors.Moments(c.Context, l.train.Vectors())
	if err != nil {
		return err
	}
	start := time.Now()
	near, err := l.search(c.Context, l.layer, l.x, l.train.Vectors())
	if err != nil {
		return err
	}
	r.ExactSeconds = time.Since(start).Seconds()

	learning := newProgress(c.App.ErrWriter, "learning codes", "steps")
	defer learning.end()
	o := neighbors.DefaultLearning(c.Uint64("seed"))
	o.Steps = c.Int("steps")
	o.Progress = func(step int, loss float64) {
		learning.update(int64(step), int64(o.Steps))
		learning.describe("loss %.4g", loss)
	}
	start = time.Now()
	learned, err := neighbors.Learn(c.Context, l.train.Vectors, mean, deviation, o)
	if err != nil {
		return err
	}
	learning.end()
	r.LearnedSeconds = time.Since(start).Seconds()
	random, err := neighbors.RandomProjection(mean, c.Uint64("seed"))
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name    string
		encoder neighbors.Encoder
	}{{"auto-encoder", learned}, {"random", random}} {
		lists, err := l.byCodes(kind.encoder, near, r.ExactSeconds)
		if err != nil {
			return err
		}
		r.Codes = append(r.Codes, codedKind{kind.name, lists})
	}
	if c.Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.write(c.App.Writer)
}

// byCodes looks the queries up by codes, in lists of all lengths, beside the k that
// are nearest.
func (l *lookup) byCodes(e neighbors.Encoder, near [][]neighbors.Neighbor, exact float64) ([]codedList, error) {
	ctx := l.c.Context
	codes, err := neighbors.Codes(ctx, e, l.train.Vectors())
	if err != nil {
		return nil, err
	}
	var result []codedList
	for i, length := range append([]int{l.k}, shortlists...) {
		if i > 0 && (length <= l.k || length >= len(codes)) {
			continue
		}
		start := time.Now()
		queries := make([]neighbors.Code, len(l.queries))
		e.Encode(l.x, queries)
		lists, err := neighbors.SearchCodes(ctx, queries, codes, length)
		if err != nil {
			return nil, err
		}
		if length > l.k {
			ranked, err := neighbors.Rerank(ctx, l.x, l.train.Dim(), lists, l.train.At, l.k)
			if err != nil {
				return nil, err
			}
			for q, list := range ranked {
				lists[q] = lists[q][:0]
				for _, n := range list {
					lists[q] = append(lists[q], n.Index)
				}
			}
		}
		seconds := time.Since(start).Seconds()
		result = append(result, codedList{Length: length, Recall: neighbors.Recall(near, lists), Seconds: seconds, Faster: exact / seconds})
	}
	return result, nil
}

func (r *coded) write(w io.Writer) error {
	fmt.Fprintf(w, "%d test images among %d training images by %s; exact search: %.3g ms each; the auto-encoder learned for %.3g s\n",
		r.Queries, r.Images, r.Layer, 1000*r.ExactSeconds/float64(r.Queries), r.LearnedSeconds)
	fmt.Fprintf(w, "the %d nearest that %d-bit codes find:\n", r.K, r.Bits)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "codes\tlist\tfound\tms each\ttimes as fast\n")
	for _, kind := range r.Codes {
		for _, list := range kind.Lists {
			what := fmt.Sprintf("%d, ranked by features", list.Length)
			if list.Length == r.K {
				what = fmt.Sprint(r.K)
			}
			fmt.Fprintf(t, "%s\t%s\t%.1f%%\t%.3g\t%.3g\n", kind.Kind, what, 100*list.Recall, 1000*list.Seconds/float64(r.Queries), list.Faster)
		}
	}
	return t.Flush()
}
