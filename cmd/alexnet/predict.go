package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"alexnet/internal/philox"
	"alexnet/loader"
	"alexnet/loader/picture"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var predictCommand = &cli.Command{
	Name:      "predict",
	Usage:     "say what is in images: the five likeliest classes",
	ArgsUsage: "[IMAGE...]",
	Description: "Image files are scaled and cut as alexnet pack -size does. With -data some images of a data set\n" +
		"are drawn by lot instead, whose true classes are known. -picture draws all of them (figure 4, left).",
	Flags: append(runFlags(),
		modelFlag(),
		&cli.IntFlag{Name: "views", Usage: "`PATCHES` of each image: 1 (centre) or 10 (default: what the network's file says)"},
		&cli.StringFlag{Name: "data", Usage: "take images of the data set in `FOLDER`, instead of files"},
		&cli.StringFlag{Name: "split", Value: "test", Usage: "of the data set: train or test (`NAME`)"},
		&cli.IntFlag{Name: "count", Value: 8, Usage: "`N` images of the data set"},
		seedFlag(),
		&cli.StringFlag{Name: "picture", Usage: "draw the images and the guesses, as PNG: `FILE`"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON, an object a line"}),
	Action: predictAction,
}

func seedFlag() cli.Flag {
	return &cli.Uint64Flag{Name: "seed", Value: 1, Usage: "other seeds take other images (`N`)"}
}

// mostGuesses are shown of an image (section 6).
const mostGuesses = 5

// predicted is what a network says of an image.
type predicted struct {
	Image   string         `json:"image"`                // a file, or "test image 7"
	Class   string         `json:"true_class,omitempty"` // where it is known
	Guesses []report.Guess `json:"guesses"`
}

func predictAction(c *cli.Context) (err error) {
	if err := checkModel(c); err != nil {
		return err
	}
	switch views := c.Int("views"); {
	case c.IsSet("views") && views != 1 && views != 10:
		return usagef("-views %d: want 1 or 10", views)
	case c.Args().Present() == c.IsSet("data"):
		return usagef("what is in which images? Give image files, or a data set with -data, not both")
	case c.Int("count") < 1:
		return usagef("-count %d: want at least 1", c.Int("count"))
	}
	for _, name := range []string{"split", "count", "seed"} {
		if c.IsSet(name) && !c.IsSet("data") {
			return usagef("-%s is of a data set: give one with -data", name)
		}
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	m, err := train.OpenModel(c.Context, c.String("model"), on.Placement, 10)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if !c.IsSet("data") {
		stills, err := openFiles(m, c.Args().Slice())
		if err != nil {
			return err
		}
		return predictStills(c, m, stills, c.Args().Slice())
	}
	set, err := loader.Open(c.String("data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if err := m.Suits(set); err != nil {
		return err
	}
	images, err := set.Images(c.String("split"))
	if err != nil {
		return err
	}
	numbers := drawLots(images.Len(), c.Int("count"), c.Uint64("seed"))
	var names []string
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("%s image %d", c.String("split"), n))
	}
	return predictStills(c, m, images.Choose(numbers), names)
}

// drawLots returns count different numbers below n, or all if there are fewer, in a
// random order.
func drawLots(n int64, count int, seed uint64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(i)
	}
	s := philox.NewStream(seed, philox.Choose, 0, 0)
	philox.Shuffle(&s, all)
	return all[:min(n, int64(count))]
}

// predictStills prints, and draws, what the network says of images.
func predictStills(c *cli.Context, m *train.Model, stills *loader.Stills, names []string) error {
	views := cmp.Or(c.Int("views"), m.Net.Data.Views)
	var drawn []report.Prediction
	var failed error
	err := m.PredictStills(c.Context, stills, views, func(image int64, label int32, logits []float64) {
		result := predicted{Image: names[image], Guesses: guesses(logits, m.Checkpoint.Classes)}
		if label >= 0 {
			result.Class = m.Checkpoint.Classes[label]
		}
		drawn = append(drawn, report.Prediction{True: result.Class, Caption: filepath.Base(result.Image), Guesses: result.Guesses})
		failed = cmp.Or(failed, result.write(c))
	})
	if err = cmp.Or(err, failed); err != nil || !c.IsSet("picture") {
		return err
	}
	for i := range drawn {
		drawn[i].Image = picture.Image{Pixels: make([]byte, stills.Height*stills.Width*3), Height: stills.Height, Width: stills.Width}
		if _, err := stills.Read(c.Context, i, drawn[i].Image.Pixels); err != nil {
			return err
		}
	}
	img, err := report.Predictions(drawn)
	if err != nil {
		return err
	}
	return report.WritePNG(c.String("picture"), img)
}

// guesses returns the likeliest classes.
func guesses(logits []float64, classes []string) []report.Guess {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	var likeliest []report.Guess
	for _, i := range order[:min(len(order), mostGuesses)] {
		name := fmt.Sprintf("output %d", i) // a network may have more of them than its data has classes
		if i < len(classes) {
			name = classes[i]
		}
		likeliest = append(likeliest, report.Guess{Class: name, Probability: train.Probability(logits, i)})
	}
	return likeliest
}

// write prints an image's guesses as text with bars, or as JSON.
func (p predicted) write(c *cli.Context) error {
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(p)
	}
	return p.print(c.App.Writer)
}

func (p predicted) print(w io.Writer) error {
	const bar, longest = 30, 32
	title := p.Image
	if p.Class != "" {
		title += ": " + p.Class
	}
	fmt.Fprintln(w, title)
	for _, g := range p.Guesses {
		name := g.Class
		if utf8.RuneCountInString(name) > longest {
			name = string([]rune(name)[:longest-1]) + "…"
		}
		mark := " "
		if g.Class == p.Class {
			mark = "*"
		}
		fmt.Fprintf(w, "  %s %-*s %5.1f%% %s\n", mark, longest, name, 100*g.Probability, strings.Repeat("█", int(bar*g.Probability+0.5)))
	}
	_, err := fmt.Fprintln(w)
	return err
}
