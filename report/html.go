package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/png"
	"math"
	"strconv"

	"github.com/google/renameio/v2"

	"alexnet/internal/metrics"
	"alexnet/model"
	"alexnet/plan"
)

// Document is what [WriteHTML] tells of a run.
type Document struct {
	Name     string // of the run
	Net      *model.Net
	Text     string // the network's
	Facts    []Fact // what else there is to say, in the order of a table
	Metrics  []metrics.Metric
	Kernels  image.Image // of the first layer, or nil
	Pictures []Picture   // others
}

// Fact is a line of a table.
type Fact struct{ Name, Value string }

// Picture is a PNG file and what it is called.
type Picture struct {
	Name string
	PNG  []byte
}

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"grouped": plan.Grouped,
	"percent": func(x float64) string { return finiteText(100*x, 'f', 2, "%") },
	"number":  func(x float64) string { return finiteText(x, 'g', 4, "") },
	"whole":   func(x float64) string { return finiteText(x, 'f', 0, "") },
	"data": func(kind string, b []byte) template.URL {
		return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b))
	},
}).Parse(page))

// finiteText returns a number for people, or a dash in the place of one that is
// none.
func finiteText(x float64, format byte, digits int, unit string) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "–"
	}
	return strconv.FormatFloat(x, format, digits, 64) + unit
}

// layerRow is a layer in the document's table.
type layerRow struct {
	Name, Kind          string
	Shape               model.Shape
	Weight              []int // shape, or none
	Parameters, Neurons int64
}

// WriteHTML writes a page that needs no other file to path, whole or not at all:
// the run's configuration, its curves, tests and changes of rates, and pictures.
func WriteHTML(path string, d Document) error {
	b, err := d.render()
	if err == nil {
		err = renameio.WriteFile(path, b, 0o666)
	}
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	return nil
}

func (d *Document) render() ([]byte, error) {
	v := struct { // what the template sees
		*Document
		Curves, First, Plan []byte
		Tests, Changes      []metrics.Metric
		Best                int // index of the test with the lowest error
		Layers              []layerRow
		Parameters, Neurons int64
	}{Document: d}
	img, err := curves([]Run{{Name: d.Name, Metrics: d.Metrics}})
	if err != nil {
		return nil, fmt.Errorf("curves: %w", err)
	}
	if v.Curves, err = encoded(img); err != nil {
		return nil, err
	}
	if d.Kernels != nil {
		if v.First, err = encoded(d.Kernels); err != nil {
			return nil, err
		}
	}
	var plan bytes.Buffer
	if err := networkTemplate.Execute(&plan, drawNetwork(d.Net)); err != nil {
		return nil, err
	}
	v.Plan = plan.Bytes()
	for _, m := range d.Metrics {
		switch m.Kind {
		case metrics.Test:
			v.Tests = append(v.Tests, m)
			if last := len(v.Tests) - 1; !(v.Tests[v.Best].Top1Error <= m.Top1Error) { // or no number
				v.Best = last
			}
		case metrics.Change:
			v.Changes = append(v.Changes, m)
		}
	}
	for i, l := range d.Net.Layers {
		kind := l.Spec.Kind()
		if l.Across {
			kind += " across"
		}
		weight, _ := d.Net.ParamShapes(i)
		v.Layers = append(v.Layers, layerRow{l.Name, kind, l.Out, weight, d.Net.Parameters(i), d.Net.Neurons(i)})
	}
	v.Parameters, v.Neurons, _ = d.Net.Totals()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func encoded(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, img)
	return b.Bytes(), err
}
