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

	"alexnet/loader"
	"alexnet/report"
	"alexnet/train"

	"github.com/urfave/cli/v2"
)

var predictCommand = &cli.Command{
	Name:      "predict",
	Usage:     "show the likeliest classes of images (figure 4, left)",
	ArgsUsage: "[IMAGE...]",
	Description: "Puts image files through the network, scaled and cropped as alexnet pack does, or with\n" +
		"-data random images of a data set, whose classes are known.",
	Flags: append(runFlags(), modelFlag(),
		&cli.StringFlag{Name: "data", Usage: "random images of the data set in `FOLDER`, instead of files"},
		splitFlag("test"),
		&cli.IntFlag{Name: "count", Value: 8, Usage: "`N` images of the data set"},
		&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the choice of images: `N`"},
		&cli.IntFlag{Name: "views", Usage: "`PATCHES` of each image: 1 (centre) or 10 (default: what the network's file says)"},
		&cli.StringFlag{Name: "picture", Usage: "draw the images with their likeliest classes into `FILE`"},
		&cli.BoolFlag{Name: "json", Usage: "as JSON"}),
	Action: predictAction,
}

const (
	likeliest    = 5   // classes that are shown
	maxPictured  = 400 // images of a picture
	predictBatch = 64  // patches worked on at once, at most
)

// predicted is what is said of an image; alexnet predict -json prints a list of
// them.
type predicted struct {
	Image       string           `json:"image"` // file, or number in the split
	Class       string           `json:"class,omitempty"`
	Predictions []predictedClass `json:"predictions"` // the likeliest first
}

type predictedClass struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
	right       bool
}

func predictAction(c *cli.Context) (err error) {
	if err := checkPredict(c); err != nil {
		return err
	}
	net, err := openNet(c)
	if err != nil {
		return err
	}
	p := prediction{views: c.Int("views")}
	if p.views == 0 {
		p.views = net.Data.Views
	}
	var names []string
	if c.IsSet("data") {
		if p.set, err = loader.Open(c.String("data")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.set.Close()) }()
		split, ok := p.set.Info().Splits[c.String("split")]
		if !ok {
			return fmt.Errorf("the data set %s has no %s images", p.set.Info().Name, c.String("split"))
		}
		p.split, p.images = c.String("split"), pick(c.Int("count"), split.Images, c.Uint64("seed"))
		for _, image := range p.images {
			names = append(names, fmt.Sprintf("%s image %d", p.split, image))
		}
	} else {
		names = c.Args().Slice()
	}
	on, err := openDevices(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.Close()) }()
	p.model, err = train.OpenModel(c.Context, c.String("model"), on.Devices, min(predictBatch, len(names)*p.views))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.model.Close()) }()
	return p.run(c, names)
}

func checkPredict(c *cli.Context) error {
	files := c.Args().Len()
	switch views := c.Int("views"); {
	case c.IsSet("views") && views != 1 && views != 10:
		return usagef("-views %d: want 1 or 10", views)
	case c.IsSet("data") == (files > 0):
		return usagef("which images? Name files, or give a data set with -data")
	case c.Int("count") < 1:
		return usagef("-count %d: want at least 1", c.Int("count"))
	case c.IsSet("picture") && max(files, c.Int("count")) > maxPictured:
		return usagef("-picture: at most %d images are drawn", maxPictured)
	}
	for _, name := range []string{"split", "count", "seed"} {
		if files > 0 && c.IsSet(name) {
			return usagef("-%s is for -data", name)
		}
	}
	return checkSplit(c)
}

// prediction is what images are put through, and where they come from.
type prediction struct {
	model  *train.Model
	views  int
	set    *loader.Set // nil: files
	split  string
	images []int64 // of the split
}

func (p *prediction) run(c *cli.Context, names []string) error {
	load := imageFiles(names, p.model)
	if p.set != nil {
		if err := p.model.Tests(p.set); err != nil {
			return err
		}
		load = func(image int64) ([]byte, int32, error) { return p.set.Image(p.split, p.images[image]) }
	}
	all := []predicted{}
	err := p.model.PredictSome(c.Context, int64(len(names)), load, p.views, func(image int64, label int32, probabilities []float64) {
		one := predicted{Image: names[image]}
		if p.set != nil {
			one.Class = p.class(int(label))
		}
		for _, class := range top(probabilities, likeliest) {
			one.Predictions = append(one.Predictions, predictedClass{p.class(class), probabilities[class], p.set != nil && class == int(label)})
		}
		if !c.Bool("json") {
			one.write(c.App.Writer)
		}
		all = append(all, one)
	})
	if err != nil {
		return err
	}
	if c.IsSet("picture") {
		if err := p.draw(c.String("picture"), all, load); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	if c.IsSet("picture") {
		fmt.Fprintln(c.App.Writer, c.String("picture"))
	}
	return nil
}

// class returns the name of an output.
func (p *prediction) class(i int) string {
	if i < len(p.model.Checkpoint.Classes) {
		return p.model.Checkpoint.Classes[i]
	}
	return fmt.Sprint("output ", i) // the network has more of them than there were classes
}

// top returns the n likeliest classes, of equal ones the lower first.
func top(probabilities []float64, n int) []int {
	classes := make([]int, len(probabilities))
	for i := range classes {
		classes[i] = i
	}
	slices.SortStableFunc(classes, func(a, b int) int { return cmp.Compare(probabilities[b], probabilities[a]) })
	return classes[:min(n, len(classes))]
}

// write prints the classes with bars.
func (p *predicted) write(w io.Writer) {
	if p.Class == "" {
		fmt.Fprintln(w, p.Image)
	} else {
		fmt.Fprintf(w, "%s: %s\n", p.Image, p.Class)
	}
	for _, l := range p.Predictions {
		mark := " "
		if l.right {
			mark = "*"
		}
		fmt.Fprintf(w, "%s %5.1f%%  %-*s  %s\n", mark, 100*l.Probability, barCells, textBar(l.Probability), l.Class)
	}
	fmt.Fprintln(w)
}

// barCells is the width of a bar for probability 1, in letters.
const barCells = 24

// textBar returns a bar, to an eighth of a letter.
func textBar(probability float64) string {
	if !(probability > 0) { // or no number
		return ""
	}
	eighths := int(8*barCells*min(probability, 1) + 0.5)
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return bar
}

// draw draws all images.
func (p *prediction) draw(path string, all []predicted, load train.Load) error {
	height, width := p.model.Stored()
	var list []report.Prediction
	for i, one := range all {
		pixels, _, err := load(int64(i))
		if err != nil {
			return err
		}
		img, err := report.RGB(pixels, height, width)
		if err != nil {
			return err
		}
		r := report.Prediction{Image: img, Caption: cmp.Or(one.Class, filepath.Base(one.Image))}
		for _, l := range one.Predictions {
			r.Likeliest = append(r.Likeliest, report.Likely{Class: l.Class, Probability: l.Probability, Right: l.right})
		}
		list = append(list, r)
	}
	img, err := report.Predictions(list)
	if err != nil {
		return err
	}
	return report.WritePNG(path, img)
}
