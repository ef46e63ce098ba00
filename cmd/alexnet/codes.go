package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"alexnet/internal/philox"
	"alexnet/neighbors"

	"github.com/urfave/cli/v2"
)

var codesCommand = &cli.Command{
	Name:  "codes",
	Usage: "look test images up by short binary codes, and compare with the exact search",
	Description: "Trains an auto-encoder on what a layer makes of training images, and looks up test images by\n" +
		"the bits of its bottleneck (section 6.1). Says how many of the exactly nearest are found so, how\n" +
		"many after the nearest by code are compared exactly, and how much quicker; and the same for\n" +
		"bits that say on which side of random planes an image lies.",
	Flags: append(lookupFlags(),
		&cli.IntFlag{Name: "bits", Value: 128, Usage: "`N` bits a code"},
		&cli.IntSliceFlag{Name: "shortlist", Value: cli.NewIntSlice(10, 100), Usage: "compare the nearest `N` by code exactly; may be given several times"},
		&cli.IntFlag{Name: "sample", Value: 10_000, Usage: "train on `N` of the training images, which are held in memory"},
		&cli.IntFlag{Name: "passes", Value: 10, Usage: "over the sample (`N`)"}),
	Action: codesAction,
}

// codesResult is what codesAction found.
type codesResult struct {
	Layer    string        `json:"layer"`
	Images   int           `json:"images"`
	Queries  int           `json:"queries"`
	K        int           `json:"k"`
	Bits     int           `json:"bits"`
	Exact    float64       `json:"exact_seconds"`
	Training float64       `json:"training_seconds"`
	Encoders []codesRecall `json:"encoders"`
}

type codesRecall struct {
	Encoder  string  `json:"encoder"`
	Recall   float64 `json:"recall"` // of the k nearest by code
	Seconds  float64 `json:"seconds"`
	Speedup  float64 `json:"speedup"` // over the exact search of the same run
	Reranked []rerun `json:"reranked"`
}

// rerun is a shortlist that was compared exactly.
type rerun struct {
	Shortlist int     `json:"shortlist"`
	Recall    float64 `json:"recall"`
	Seconds   float64 `json:"seconds"`
	Speedup   float64 `json:"speedup"`
}

func codesAction(c *cli.Context) (err error) {
	for _, name := range []string{"bits", "sample", "passes"} {
		if c.Int(name) < 1 {
			return usagef("-%s %d: want at least 1", name, c.Int(name))
		}
	}
	for _, n := range c.IntSlice("shortlist") {
		if n < c.Int("k") {
			return usagef("-shortlist %d: want at least as many as -k, %d", n, c.Int("k"))
		}
	}
	l, err := openLookup(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	start := time.Now()
	want, err := searched(c, "searching exactly", l.rows, l.queries)
	if err != nil {
		return err
	}
	result := codesResult{Layer: l.about.Layer, Images: l.rows.Len(), Queries: len(l.numbers), K: c.Int("k"), Bits: c.Int("bits"),
		Exact: time.Since(start).Seconds()}
	sample, err := sampleOf(l.rows, c.Int("sample"), c.Uint64("seed"))
	if err != nil {
		return err
	}
	planes := neighbors.NewPlanes(sample, l.rows.Width(), c.Int("bits"), c.Uint64("seed"))
	start = time.Now()
	learning := newProgress(c.App.ErrWriter, "training an auto-encoder", "steps")
	learned, err := neighbors.TrainAutoencoder(c.Context, sample, l.rows.Width(), neighbors.AutoencoderOptions{
		Bits: c.Int("bits"), Passes: c.Int("passes"), Seed: c.Uint64("seed"), Progress: learning.update})
	learning.end()
	if err != nil {
		return err
	}
	result.Training = time.Since(start).Seconds()
	for _, e := range []struct {
		name    string
		encoder neighbors.Encoder
	}{{"auto-encoder", learned}, {"random planes", planes}} {
		r, err := recall(c, l, e.encoder, want, result.Exact)
		if err != nil {
			return err
		}
		r.Encoder = e.name
		result.Encoders = append(result.Encoders, r)
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(result)
	}
	return result.print(c)
}

// sampleOf returns n rows, drawn by lot, or all if there are fewer.
func sampleOf(rows neighbors.Rows, n int, seed uint64) ([]float32, error) {
	all := make([]int32, rows.Len())
	for i := range all {
		all[i] = int32(i)
	}
	s := philox.NewStream(seed, philox.Choose, 1, 0)
	philox.Shuffle(&s, all)
	all = all[:min(n, len(all))]
	slices.Sort(all) // to read from front to back
	sample := make([]float32, len(all)*rows.Width())
	for i, row := range all {
		if err := rows.Read(int(row), sample[i*rows.Width():][:rows.Width()]); err != nil {
			return nil, err
		}
	}
	return sample, nil
}

// recall looks the queries up by code, and holds what is found against want, which
// took exact seconds.
func recall(c *cli.Context, l *lookup, e neighbors.Encoder, want [][]neighbors.Neighbor, exact float64) (r codesRecall, err error) {
	encoding := newProgress(c.App.ErrWriter, "encoding", "images")
	codes, err := neighbors.Encode(c.Context, l.rows, e, encoding.update)
	encoding.end()
	if err != nil {
		return r, err
	}
	// look finds the nearest by code, with what it takes to make the queries' codes.
	look := func(k int) ([][]neighbors.Neighbor, error) {
		return codes.Nearest(c.Context, neighbors.EncodeVectors(l.queries, l.rows.Width(), e), k)
	}
	start := time.Now()
	found, err := look(c.Int("k"))
	if err != nil {
		return r, err
	}
	r.Seconds = time.Since(start).Seconds()
	r.Recall, r.Speedup = neighbors.Recall(found, want), exact/r.Seconds
	for _, n := range c.IntSlice("shortlist") {
		start := time.Now()
		short, err := look(n)
		if err != nil {
			return r, err
		}
		found, err := neighbors.Rerank(c.Context, l.rows, l.queries, short, c.Int("k"))
		if err != nil {
			return r, err
		}
		seconds := time.Since(start).Seconds()
		r.Reranked = append(r.Reranked, rerun{n, neighbors.Recall(found, want), seconds, exact / seconds})
	}
	return r, nil
}

func (r codesResult) print(c *cli.Context) error {
	fmt.Fprintf(c.App.Writer, "%d test images, the %d nearest of %d training images by %s: %.3f s exactly\n", r.Queries, r.K, r.Images, r.Layer, r.Exact)
	fmt.Fprintf(c.App.Writer, "an auto-encoder of %d bits learned in %.1f s\n\n", r.Bits, r.Training)
	t := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "codes\tcompared exactly\tof the nearest found\ttimes as fast")
	for _, e := range r.Encoders {
		fmt.Fprintf(t, "%s\tnone\t%.1f%%\t%.1f\n", e.Encoder, 100*e.Recall, e.Speedup)
		for _, s := range e.Reranked {
			fmt.Fprintf(t, "\t%d\t%.1f%%\t%.1f\n", s.Shortlist, 100*s.Recall, s.Speedup)
		}
	}
	return t.Flush()
}
