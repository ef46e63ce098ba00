package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"alexnet/neighbors"
	"alexnet/report"

	"github.com/urfave/cli/v2"
)

var neighborsCommand = &cli.Command{
	Name:  "neighbors",
	Usage: "for test images, the training images whose last hidden layer is nearest (figure 4, right)",
	Description: "Looks test images up among all training images, by Euclidean distance between what a layer\n" +
		"makes of them, and says how many of the nearest are of the right class: so, and by pixels.\n" +
		"Features are computed once and kept: 16 KB an image of alexnet.net.",
	Flags: append(lookupFlags(500),
		&cli.BoolFlag{Name: "pixels", Value: true, Usage: "compare with the images nearest by pixels; -pixels=false saves the time"},
		&cli.IntFlag{Name: "rows", Value: 8, Usage: "images to draw: the first `N` of the queries"},
		&cli.StringFlag{Name: "out", Value: "neighbors.png", Usage: "the picture's `FILE`"}),
	Action: neighborsAction,
}

// found is what alexnet neighbors -json prints.
type found struct {
	Layer         string       `json:"layer"`
	K             int          `json:"k"`
	RightFeatures float64      `json:"right_features"`         // share of the neighbours that are of the query's class
	RightPixels   *float64     `json:"right_pixels,omitempty"` // the same by pixels
	Queries       []foundQuery `json:"queries"`
}

type foundQuery struct {
	Image     int64           `json:"image"` // of the test split
	Class     string          `json:"class"`
	Neighbors []foundNeighbor `json:"neighbors"`
}

type foundNeighbor struct {
	Image    int     `json:"image"` // of the training split
	Class    string  `json:"class"`
	Distance float64 `json:"distance"`
}

func neighborsAction(c *cli.Context) (err error) {
	if c.Int("rows") < 1 {
		return usagef("-rows %d: want at least 1", c.Int("rows"))
	}
	l, err := openLookup(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	near, err := l.search(c.Context, l.layer, l.x, l.train.Vectors())
	if err != nil {
		return err
	}
	f := found{Layer: l.layer, K: l.k, RightFeatures: l.right(near)}
	if c.Bool("pixels") {
		byPixels, err := l.byPixels()
		if err != nil {
			return err
		}
		right := l.right(byPixels)
		f.RightPixels = &right
	}
	if err := l.draw(c.String("out"), near[:min(c.Int("rows"), len(near))]); err != nil {
		return err
	}
	if c.Bool("json") {
		for i, image := range l.queries {
			q := foundQuery{Image: image, Class: l.class(l.test.Labels[image])}
			for _, n := range near[i] {
				q.Neighbors = append(q.Neighbors, foundNeighbor{n.Index, l.class(l.train.Labels[n.Index]), n.Distance})
			}
			f.Queries = append(f.Queries, q)
		}
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(f)
	}
	fmt.Fprintf(c.App.Writer, "%d test images, the %d nearest of %d training images each; of the right class:\n", len(l.queries), l.k, len(l.train.Labels))
	t := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "by %s\t%.1f%%\n", l.layer, 100*f.RightFeatures)
	if f.RightPixels != nil {
		fmt.Fprintf(t, "by pixels\t%.1f%%\n", 100**f.RightPixels)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, c.String("out"))
	return nil
}

// byPixels looks the queries up by their pixels.
func (l *lookup) byPixels() (near [][]neighbors.Neighbor, err error) {
	var queries []float32
	for _, image := range l.queries {
		x, err := neighbors.PixelsOf(l.set, "test", image)
		if err != nil {
			return nil, err
		}
		queries = append(queries, x...)
	}
	pixels, err := neighbors.OpenPixels(l.c.Context, l.set, "train")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pixels.Close()) }()
	return l.search(l.c.Context, "pixels", queries, pixels)
}

// draw draws the first queries and what was found.
func (l *lookup) draw(path string, near [][]neighbors.Neighbor) error {
	var rows []report.Nearest
	for i, list := range near {
		query, err := labelled(l.set, "test", l.queries[i])
		if err != nil {
			return err
		}
		row := report.Nearest{Query: query}
		for _, n := range list {
			neighbor, err := labelled(l.set, "train", int64(n.Index))
			if err != nil {
				return err
			}
			row.Neighbors = append(row.Neighbors, neighbor)
		}
		rows = append(rows, row)
	}
	img, err := report.Neighbors(rows)
	if err != nil {
		return err
	}
	return report.WritePNG(path, img)
}
