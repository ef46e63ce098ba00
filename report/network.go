package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"alexnet/model"
	"alexnet/plan"

	"github.com/google/renameio/v2"
	"golang.org/x/image/font"
)

// Lengths of a drawn network, in pixels.
const (
	boxNarrow  = 196 // a box of one number
	boxGrowth  = 8   // wider for each doubling of the numbers
	boxHigh    = 42  // a layer with weights, and the input
	boxLow     = 24  // any other
	boxGap     = 30  // from a box to the next, for lines that cross
	columnGap  = 40
	netEdge    = 28
	netHead    = 64 // title, and names of columns
	textSize   = 12
	titleSize  = 17
	maxColumns = 64
)

// WriteNetwork draws a network as SVG to path, whole or not at all.
func WriteNetwork(path string, net *model.Net) error {
	var b bytes.Buffer
	if err := Network(&b, net); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	if err := renameio.WriteFile(path, b.Bytes(), 0o666, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return nil
}

// Network draws a network, whose shapes have been inferred, as figure 2 of the paper
// does: its columns side by side, a box for each layer of each, from the input down.
// A box is the wider the more numbers the layer makes, by their logarithm. A line
// goes from what is read to who reads it: where a layer sees all columns, lines
// cross.
func Network(w io.Writer, net *model.Net) error {
	if net.Columns > maxColumns {
		return fmt.Errorf("the network %s has %d columns, and at most %d are drawn", net.Name, net.Columns, maxColumns)
	}
	d := newDrawing(net)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="Helvetica, Arial, sans-serif" font-size="%d" text-anchor="middle">`+"\n", d.width, d.height, textSize)
	d.printf(`<rect width="100%%" height="100%%" fill="#ffffff"/>` + "\n")
	d.text(d.width/2, netEdge+titleSize/2, titleSize, "#1c1d20", d.title)
	if net.Columns > 1 {
		for c := range net.Columns {
			d.text(d.centre(c), netHead-4, textSize, "#55585e", fmt.Sprintf("column %d", c+1))
		}
	}
	for i := range net.Layers {
		d.lines(i)
	}
	for i := model.InputIndex; i < len(net.Layers); i++ {
		d.boxes(i)
	}
	d.printf("</svg>\n")
	_, err := w.Write(d.b.Bytes())
	return err
}

// drawing is a network and where its layers lie.
type drawing struct {
	net           *model.Net
	b             bytes.Buffer
	letters       font.Face // the viewer chooses those that are seen; these are no narrower
	title         string
	column        int   // width of a column
	top           []int // of the input, then of each layer
	width, height int
}

func newDrawing(net *model.Net) *drawing {
	parameters, neurons, _ := net.Totals()
	d := &drawing{net: net, letters: newFace(textSize + 2),
		title: fmt.Sprintf("%s: %s parameters, %s neurons", net.Name, plan.Grouped(parameters), plan.Grouped(neurons))}
	y := netHead + boxLow/2
	for i := model.InputIndex; i < len(net.Layers); i++ {
		d.top = append(d.top, y)
		y += d.boxHeight(i) + boxGap
		d.column = max(d.column, d.boxWidth(i))
	}
	d.column += d.bypass()
	d.width = 2*netEdge + net.Columns*(d.column+columnGap) - columnGap
	d.width = max(d.width, 2*netEdge+measure(newFace(titleSize), d.title))
	d.height = y - boxGap + netEdge
	return d
}

// bypass returns the room beside boxes for lines that go past some.
func (d *drawing) bypass() int {
	for i, l := range d.net.Layers {
		for _, f := range l.From {
			if f != i-1 {
				return 48
			}
		}
	}
	return 0
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.b, format, args...) }

func (d *drawing) text(x, y, size int, color, text string) {
	d.printf(`<text x="%d" y="%d" font-size="%d" fill="%s">`, x, y, size, color)
	xml.EscapeText(&d.b, []byte(text)) // a Buffer does not fail
	d.printf("</text>\n")
}

// centre returns the middle of a column.
func (d *drawing) centre(column int) int {
	all := d.net.Columns*(d.column+columnGap) - columnGap
	return (d.width-all)/2 + column*(d.column+columnGap) + d.column/2
}

// parts returns the middles of a layer's boxes: one for each column, or one.
func (d *drawing) parts(i int) []int {
	if i == model.InputIndex || !d.net.Layers[i].Divided || d.net.Columns == 1 {
		return []int{d.width / 2}
	}
	var all []int
	for c := range d.net.Columns {
		all = append(all, d.centre(c))
	}
	return all
}

// shape returns that of one box.
func (d *drawing) shape(i int) model.Shape {
	if i == model.InputIndex {
		return d.net.Input
	}
	s := d.net.Layers[i].Out
	s.C /= len(d.parts(i))
	return s
}

func (d *drawing) boxWidth(i int) int {
	return boxNarrow + int(boxGrowth*math.Log2(float64(d.shape(i).Size())))
}

func (d *drawing) boxHeight(i int) int {
	if i == model.InputIndex || d.net.Parameters(i) > 0 {
		return boxHigh
	}
	return boxLow
}

func (d *drawing) at(i int) (top, bottom int) {
	top = d.top[i+1] // the input is the first
	return top, top + d.boxHeight(i)
}

// fills are the colours of boxes by kind; those without weights are pale.
var fills = map[string]string{
	"input": "#e9edf2", "conv": "#cfe0f5", "local": "#cfe0f5", "full": "#f6dcc4",
	"maxpool": "#e4f0e0", "avgpool": "#e4f0e0", "lrn": "#efe6f6", "softmax": "#fbe3e3",
}

// boxes draws layer i, or the input.
func (d *drawing) boxes(i int) {
	kind, what := "input", "input"
	if i != model.InputIndex {
		l := d.net.Layers[i]
		kind, what = l.Spec.Kind(), strings.TrimSpace(l.Name+" "+describe(l))
	}
	fill := fills[kind]
	if fill == "" {
		fill = "#f6f7f8"
	}
	top, bottom := d.at(i)
	parts := d.parts(i)
	numbers := d.shape(i).String()
	if s := d.shape(i); s.H == 1 && s.W == 1 {
		numbers = fmt.Sprint(s.C, " outputs")
	}
	width := d.boxWidth(i)
	room := func(text string) string { return fit(d.letters, text, width-8) }
	for _, x := range parts {
		d.printf(`<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="%s" stroke="#8a9098"/>`+"\n", x-width/2, top, width, bottom-top, fill)
		if bottom-top == boxLow {
			d.text(x, top+16, textSize, "#1c1d20", room(what+", "+numbers))
			continue
		}
		below := numbers
		if i != model.InputIndex {
			below += ", " + plan.Grouped(d.net.Parameters(i)/int64(len(parts))) + " parameters"
		}
		d.text(x, top+17, textSize, "#1c1d20", room(what))
		d.text(x, top+34, textSize, "#3c4046", room(below))
	}
}

// describe says what a layer is, in the words of its line, but for a kind that is
// in its name already.
func describe(l *model.Layer) string {
	var words []string
	if !strings.HasSuffix(l.Name, "."+l.Spec.Kind()) {
		words = append(words, l.Spec.Kind())
	}
	switch s := l.Spec.(type) {
	case model.Conv:
		words = append(words, windowWords(s.Window))
	case model.Local:
		words = append(words, windowWords(s.Window))
	case model.Pool:
		words = append(words, windowWords(s.Window))
	case model.LRN:
		words = append(words, fmt.Sprintf("size %d", s.Size))
		if s.Within {
			words = append(words, "within")
		}
	case model.Dropout:
		words = append(words, fmt.Sprint(s.Rate))
	}
	return strings.Join(words, " ")
}

func windowWords(w model.Window) string {
	s := fmt.Sprintf("%dx%d", w.H, w.W)
	if w.Stride > 1 {
		s += fmt.Sprintf(" stride %d", w.Stride)
	}
	return s
}

// lines draws what layer i reads.
func (d *drawing) lines(i int) {
	l := d.net.Layers[i]
	to := d.parts(i)
	top, _ := d.at(i)
	for _, f := range l.From {
		_, bottom := d.at(f)
		from := d.parts(f)
		for a, x := range from {
			for b, y := range to {
				own := len(from) == 1 || len(to) == 1 || a == b
				if !own && !d.net.Gathers(l) {
					continue
				}
				d.line(f, i, x, bottom, y, top)
			}
		}
	}
}

// line draws a line from the foot of one box to the head of another, past the boxes
// between them, if there are any.
func (d *drawing) line(from, to, x1, y1, x2, y2 int) {
	const stroke = `fill="none" stroke="#4a5058" stroke-width="1.3"`
	if to == from+1 {
		d.printf(`<path d="M%d %d L%d %d" %s/>`+"\n", x1, y1, x2, y2, stroke)
		return
	}
	side := max(x1, x2) + d.column/2 - 10
	d.printf(`<path d="M%d %d C%d %d %d %d %d %d L%d %d C%d %d %d %d %d %d" %s/>`+"\n",
		x1, y1, x1, y1+boxGap, side, y1, side, y1+boxGap+10, side, y2-boxGap-10, side, y2, x2, y2-boxGap, x2, y2, stroke)
}
