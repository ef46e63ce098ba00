package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"alexnet/neighbors"
	"alexnet/report"

	"github.com/urfave/cli/v2"
)

var neighborsCommand = &cli.Command{
	Name:  "neighbors",
	Usage: "find the training images that a network finds the most like test images",
	Description: "Looks up test images among the training images by what a layer makes of them, by Euclidean\n" +
		"distance (figure 4, right), and says how many of the nearest are of the right class; and the\n" +
		"same by pixels. The picture shows the first of them, each with its nearest.",
	Flags: append(lookupFlags(),
		&cli.BoolFlag{Name: "pixels", Value: true, Usage: "compare with the nearest by pixels; -pixels=false saves the time: all of ImageNet's pixels are 250 GB"},
		&cli.IntFlag{Name: "rows", Value: 8, Usage: "draw the first `N` queries"},
		&cli.StringFlag{Name: "out", Value: "neighbors.png", Usage: "the picture's `FILE`"}),
	Action: neighborsAction,
}

// nearest is what was found for a query.
type nearest struct {
	Query     int64   `json:"query"` // number of the test image
	Class     string  `json:"class"`
	Neighbors []found `json:"neighbors"`
}

type found struct {
	Image    int     `json:"image"` // number of the training image
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
	byFeatures, err := searched(c, "searching by features", l.rows, l.queries)
	if err != nil {
		return err
	}
	if err := drawNeighbors(c, l, byFeatures); err != nil {
		return err
	}
	right := neighbors.Agreement(byFeatures, l.labels, l.rows.Labels)
	var rightByPixels *float64
	if c.Bool("pixels") {
		if rightByPixels, err = l.rightByPixels(c); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(struct {
			Layer    string    `json:"layer"`
			Images   int       `json:"images"`
			K        int       `json:"k"`
			Features float64   `json:"right_by_features"`
			Pixels   *float64  `json:"right_by_pixels,omitempty"`
			Queries  []nearest `json:"queries"`
		}{l.about.Layer, l.rows.Len(), c.Int("k"), right, rightByPixels, l.outcome(byFeatures)})
	}
	fmt.Fprintf(c.App.Writer, "%d test images, the %d nearest of %d training images each\n", len(l.numbers), c.Int("k"), l.rows.Len())
	fmt.Fprintf(c.App.Writer, "of the right class by %s (%d numbers): %.1f%%\n", l.about.Layer, l.rows.Width(), 100*right)
	if rightByPixels != nil {
		fmt.Fprintf(c.App.Writer, "of the right class by pixels (%d numbers): %.1f%%\n", l.pixelWidth(), 100**rightByPixels)
	}
	fmt.Fprintln(c.App.Writer, c.String("out"))
	return nil
}

// rightByPixels returns the share of the images nearest by pixels that are of the
// right class.
func (l *lookup) rightByPixels(c *cli.Context) (*float64, error) {
	pixels, err := neighbors.NewPixels(l.set, "train")
	if err != nil {
		return nil, err
	}
	queries, err := l.pixelQueries()
	if err != nil {
		return nil, err
	}
	found, err := searched(c, "searching by pixels", pixels, queries)
	if err != nil {
		return nil, err
	}
	right := neighbors.Agreement(found, l.labels, l.rows.Labels)
	return &right, nil
}

// pixelWidth returns the count of numbers of an image.
func (l *lookup) pixelWidth() int { return l.set.Info().Height * l.set.Info().Width * 3 }

// searched is neighbors.Nearest with a bar.
func searched(c *cli.Context, what string, rows neighbors.Rows, queries []float32) ([][]neighbors.Neighbor, error) {
	searching := newProgress(c.App.ErrWriter, what, "images")
	defer searching.end()
	return neighbors.Nearest(c.Context, rows, queries, c.Int("k"), searching.update)
}

// pixelQueries returns the queries' pixels.
func (l *lookup) pixelQueries() ([]float32, error) {
	width := l.pixelWidth()
	test, err := l.set.Images("test")
	if err != nil {
		return nil, err
	}
	queries := make([]float32, 0, len(l.numbers)*width)
	bytes := make([]byte, width)
	for _, n := range l.numbers {
		if _, err := test.Read(n, bytes); err != nil {
			return nil, err
		}
		for _, v := range bytes {
			queries = append(queries, float32(v))
		}
	}
	return queries, nil
}

// outcome returns what was found, with names.
func (l *lookup) outcome(list [][]neighbors.Neighbor) []nearest {
	var all []nearest
	for q, neighbors := range list {
		n := nearest{Query: l.numbers[q], Class: l.className(l.labels[q])}
		for _, f := range neighbors {
			n.Neighbors = append(n.Neighbors, found{f.Row, l.className(l.rows.Labels[f.Row]), f.Distance})
		}
		all = append(all, n)
	}
	return all
}

func drawNeighbors(c *cli.Context, l *lookup, list [][]neighbors.Neighbor) error {
	test, err := l.set.Images("test")
	if err != nil {
		return err
	}
	training, err := l.set.Images("train")
	if err != nil {
		return err
	}
	rows := min(c.Int("rows"), len(list))
	queries, drawn := make([]report.Labelled, rows), make([][]report.Labelled, rows)
	for q := range rows {
		if queries[q].Image, queries[q].Class, err = l.image(test, l.numbers[q]); err != nil {
			return err
		}
		drawn[q] = make([]report.Labelled, len(list[q]))
		for i, n := range list[q] {
			if drawn[q][i].Image, drawn[q][i].Class, err = l.image(training, int64(n.Row)); err != nil {
				return err
			}
		}
	}
	img, err := report.Neighbors(queries, drawn)
	if err != nil {
		return err
	}
	return report.WritePNG(c.String("out"), img)
}
