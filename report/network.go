package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"path/filepath"
	"text/template"
	"unicode/utf8"

	"github.com/google/renameio/v2"

	"alexnet/model"
	"alexnet/plan"
)

// Network draws a network as an SVG picture and writes it to path: a box for each
// layer, the columns side by side, and lines from each to those that read it. Where
// a layer looks across the columns, lines cross (figure 2 of the paper).
//
// Boxes are as wide as the logarithm of a column's maps says, and those of layers
// with weights as high as that of the maps' side, but not too small for their text.
func Network(path string, net *model.Net) error {
	var b bytes.Buffer
	if err := networkTemplate.Execute(&b, drawNetwork(net)); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return renameio.WriteFile(path, b.Bytes(), 0o666, renameio.WithTempDir(filepath.Dir(path)))
}

//go:embed network.svg.tmpl
var networkText string

var networkTemplate = template.Must(template.New("network").Parse(networkText))

// drawing is what the template draws. Lengths are in pixels.
type drawing struct {
	Width, Height, Middle int
	Title, Totals, Legend string
	Boxes                 []box
	Lines                 []line
	passing               int // of them, that pass layers by
}

type box struct {
	X, Y, W, H int
	Color      string
	Text       []boxText
}

type boxText struct {
	X, Y int
	Text string
	Bold bool
}

type line struct {
	Path   string
	Across bool // from one column to another
}

const (
	svgEdge    = 24
	svgTop     = 92 // below the title
	svgLine    = 16 // height of a line of text
	svgLetter  = 7.2
	svgPadding = 14
	svgColumns = 70 // between columns
	svgLayers  = 24 // between layers
	svgAside   = 60 // how far lines that pass layers by go out
)

// drawNetwork finds a place for everything. places has the boxes of each layer, one
// for each column, or one where it is not divided; the last is the input's.
func drawNetwork(net *model.Net) drawing {
	parameters, neurons, _ := net.Totals()
	d := drawing{
		Title:  net.Name,
		Totals: fmt.Sprintf("%s parameters, %s neurons", plan.Grouped(parameters), plan.Grouped(neurons)),
		Legend: "width: maps of a column; height, where there are weights: their side; both by logarithm",
	}
	if net.Columns > 1 {
		d.Totals += fmt.Sprintf(", %d columns", net.Columns)
	}
	widest, aside := textWidth(d.Legend), 0
	for i := -1; i < len(net.Layers); i++ {
		b := newBox(net, i)
		n := len(columnsOf(net, i))
		widest = max(widest, n*b.W+(n-1)*svgColumns)
		if i >= 0 && passesBy(net, i) {
			aside = svgAside
		}
	}
	d.Width = widest + 2*(svgEdge+aside)
	d.Middle = d.Width / 2
	column := (widest + svgColumns) / net.Columns
	y := svgTop
	places := map[int][]box{}
	for i := -1; i < len(net.Layers); i++ {
		b := newBox(net, i)
		columns := columnsOf(net, i)
		for _, c := range columns {
			middle := d.Middle
			if len(columns) > 1 {
				middle += int((float64(c) - float64(net.Columns-1)/2) * float64(column))
			}
			places[i] = append(places[i], b.at(middle, y))
		}
		d.Boxes = append(d.Boxes, places[i]...)
		y += b.H + svgLayers
	}
	d.Height = y - svgLayers + svgEdge
	for i, l := range net.Layers {
		for _, f := range l.From {
			d.connect(net, i, f, places)
		}
	}
	return d
}

// columnsOf returns the columns that have a box of layer i, or of the input.
func columnsOf(net *model.Net, i int) []int {
	if i == model.InputIndex || !net.Layers[i].Divided {
		return []int{0}
	}
	columns := make([]int, net.Columns)
	for c := range columns {
		columns[c] = c
	}
	return columns
}

// passesBy reports whether layer i reads one that is not right above it.
func passesBy(net *model.Net, i int) bool {
	for _, f := range net.Layers[i].From {
		if f != i-1 {
			return true
		}
	}
	return false
}

// connect draws the lines from the boxes of layer f to those of layer i.
func (d *drawing) connect(net *model.Net, i, f int, places map[int][]box) {
	to, from := places[i], places[f]
	for c, b := range to {
		for k, a := range from {
			across := len(to) > 1 && len(from) > 1 && c != k
			if across && !net.Layers[i].Across {
				continue
			}
			path := fmt.Sprintf("M%d %d L%d %d", a.X+a.W/2, a.Y+a.H, b.X+b.W/2, b.Y)
			if f != i-1 { // past what lies between
				const lanes, apart, round = 5, svgAside / 6, 8 // so that they can be told from each other
				x := rightEdge(places, f, i, k) + (2+d.passing%lanes)*apart
				d.passing++
				from, to := a.Y+a.H/2, b.Y+b.H/2
				turn, end := x-round, b.X+b.W
				if x < b.X {
					turn, end = x+round, b.X
				}
				path = fmt.Sprintf("M%d %d H%d Q%d %d %d %d V%d Q%d %d %d %d H%d", a.X+a.W, from, x-round, x, from, x, from+round,
					to-round, x, to, turn, to, end)
			}
			d.Lines = append(d.Lines, line{path, across})
		}
	}
}

// rightEdge returns how far right the boxes of a column reach in layers from f to i.
func rightEdge(places map[int][]box, f, i, column int) (edge int) {
	for l := f; l <= i; l++ {
		b := places[l][min(column, len(places[l])-1)]
		edge = max(edge, b.X+b.W)
	}
	return edge
}

// newBox returns the box of one column of layer i, or of the input, at no place yet.
func newBox(net *model.Net, i int) box {
	name, kind, shape, parameters := "input", "", net.Input, int64(0)
	columns := len(columnsOf(net, i))
	if i != model.InputIndex {
		l := net.Layers[i]
		name, kind, shape, parameters = l.Name, describeLayer(l), l.Out, net.Parameters(i)/int64(columns)
	}
	shape.C /= columns
	size := shape.String()
	if shape.H == 1 && shape.W == 1 {
		size = fmt.Sprint(shape.C)
	}
	var text []string
	switch {
	case kind == "":
		text = []string{name, size}
	case parameters > 0:
		text = []string{name, kind, size, plan.Grouped(parameters) + " parameters"}
	default:
		text = []string{name, kind + " → " + size}
		if _, ok := net.Layers[i].Spec.(model.Activation); ok { // there are many
			text = text[1:]
		}
	}
	b := box{Color: boxColor(net, i)}
	b.W = 60 + int(30*math.Log2(float64(shape.C)))
	b.H = len(text)*svgLine + svgPadding
	if parameters > 0 || kind == "" {
		b.H += int(6 * math.Log2(float64(max(shape.H, shape.W))))
	}
	for n, t := range text {
		b.W = max(b.W, textWidth(t))
		b.Text = append(b.Text, boxText{Text: t, Bold: n == 0 && len(text) > 1})
	}
	return b
}

func textWidth(text string) int {
	return int(svgLetter*float64(utf8.RuneCountInString(text))) + 2*svgPadding
}

// at returns b with its upper edge's middle at x, y.
func (b box) at(x, y int) box {
	b.X, b.Y = x-b.W/2, y
	b.Text = append([]boxText(nil), b.Text...)
	first := y + (b.H-len(b.Text)*svgLine)/2 + 12
	for i := range b.Text {
		b.Text[i].X, b.Text[i].Y = x, first+i*svgLine
	}
	return b
}

// describeLayer returns the kind of a layer and its window.
func describeLayer(l *model.Layer) string {
	var w model.Window
	switch s := l.Spec.(type) {
	case model.Conv:
		w = s.Window
	case model.Local:
		w = s.Window
	case model.Pool:
		w = s.Window
	case model.Dropout:
		return fmt.Sprintf("dropout %g", s.Rate)
	default:
		return s.Kind()
	}
	text := fmt.Sprintf("%s %dx%d", l.Spec.Kind(), w.H, w.W)
	if w.Stride > 1 {
		text += fmt.Sprintf(" stride %d", w.Stride)
	}
	return text
}

func boxColor(net *model.Net, i int) string {
	if i == model.InputIndex {
		return "#ffffff"
	}
	switch net.Layers[i].Spec.(type) {
	case model.Conv, model.Local:
		return "#cfe2f3"
	case model.Full:
		return "#d9ead3"
	case model.Pool:
		return "#fce5cd"
	case model.LRN:
		return "#ead1dc"
	}
	return "#f4f4f5"
}
