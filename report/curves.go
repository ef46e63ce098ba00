package report

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"alexnet/internal/metrics"
)

// Run is the record of one run and the name that the legend gives it; without a
// name it is numbered.
type Run struct {
	Name    string
	Metrics []metrics.Metric
}

// maxPoints of a curve are drawn. A longer one is cut into as many bins of equal
// count, and each drawn at the means of its epochs and of its finite values.
const maxPoints = 500

// maxMarkers stand on a piece of a curve. More would hide whether it is dashed.
const maxMarkers = 24

// farthest is where a number stops being a measurement. A loss beyond it has
// diverged and is left out, as is what is not finite: the curve has a gap there.
const farthest = 1e9

// Curves draws the loss and the error of runs, up to 12, against epochs (figure
// 1 of the paper), and writes the picture to path as PNG. Thin pale lines are
// training, thick ones with markers testing; dashed ones are top-5 errors. Each
// run has a colour.
func Curves(path string, runs []Run) error { return CurvesUntil(path, runs, 0) }

// CurvesUntil is Curves with a dashed line at an error, 0 to 1; 0 is none.
func CurvesUntil(path string, runs []Run, until float64) error {
	img, err := curves(runs, until)
	if err != nil {
		return fmt.Errorf("curves: %w", err)
	}
	return WritePNG(path, img)
}

func curves(runs []Run, until float64) (image.Image, error) {
	if len(runs) == 0 {
		return nil, fmt.Errorf("there is no run to draw: name the metrics.jsonl of one or more")
	}
	if len(runs) > len(runColors) {
		return nil, fmt.Errorf("%d runs, and only %d have colours that the eye tells apart: draw them in several pictures", len(runs), len(runColors))
	}
	loss := newPanel("Loss", 1)
	errs := newPanel("Error (%)", 100)
	for i, r := range runs {
		for _, kind := range []string{metrics.Train, metrics.Test} {
			loss.add(r.Metrics, stroke{i, kind, false}, func(m metrics.Metric) float64 { return m.Loss })
			errs.add(r.Metrics, stroke{i, kind, true}, func(m metrics.Metric) float64 { return m.Top5Error })
			errs.add(r.Metrics, stroke{i, kind, false}, func(m metrics.Metric) float64 { return m.Top1Error })
		}
	}
	if len(loss.curves) == 0 && len(errs.curves) == 0 {
		return nil, fmt.Errorf("no run has a finite loss or error yet: train until its metrics.jsonl has a line with one")
	}

	if until > 0 {
		errs.level(until)
	}

	names, looks := nameLegend(runs), lookLegend(append(loss.curves, errs.curves...))
	below := legendTop + names.height() + looks.height()
	height := panelHeight + below + 2*outer
	c := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pictureDPI), vgimg.UseBackgroundColor(color.White))
	all := draw.Crop(draw.New(c), outer, -outer, outer, -outer)
	names.draw(draw.Crop(all, 0, 0, 0, -panelHeight-legendTop))
	looks.draw(draw.Crop(all, 0, 0, 0, -panelHeight-legendTop-names.height()))
	panels := draw.Crop(all, 0, 0, below, 0)
	middle := (panels.Max.X - panels.Min.X) / 2
	loss.draw(draw.Crop(panels, 0, -middle-outer/2, 0, 0))
	errs.draw(draw.Crop(panels, middle+outer/2, 0, 0, 0))
	return c.Image(), nil
}

// Lengths are in points: two pixels each.
const (
	pictureDPI   = 144
	pictureWidth = vg.Length(800)
	panelHeight  = vg.Length(330)
	outer        = vg.Length(18) // margin of the picture
)

var (
	axisColor  = color.RGBA{0x55, 0x58, 0x5e, 0xff}
	levelColor = color.RGBA{0x22, 0x24, 0x28, 0xff}
	gridColor  = color.RGBA{0xe6, 0xe7, 0xea, 0xff}
	textFont   = font.Font{Typeface: "Liberation", Variant: "Sans"}

	runColors = []color.RGBA{
		{0x1f, 0x77, 0xb4, 0xff}, // blue
		{0xd6, 0x27, 0x28, 0xff}, // red
		{0x2c, 0xa0, 0x2c, 0xff}, // green
		{0xff, 0x7f, 0x0e, 0xff}, // orange
		{0x94, 0x67, 0xbd, 0xff}, // purple
		{0x17, 0xbe, 0xcf, 0xff}, // cyan
		{0x8c, 0x56, 0x4b, 0xff}, // brown
		{0xe3, 0x77, 0xc2, 0xff}, // pink
		{0x30, 0x33, 0x38, 0xff}, // nearly black
		{0xbc, 0xbd, 0x22, 0xff}, // olive
		{0x0b, 0x2e, 0x83, 0xff}, // navy
		{0x9a, 0xa1, 0xa6, 0xff}, // grey
	}
)

// stroke says whose curve it is and what of; its look follows.
type stroke struct {
	run  int
	kind string // metrics.Train or metrics.Test
	top5 bool
}

func (s stroke) line(c color.RGBA) draw.LineStyle {
	l := draw.LineStyle{Color: c, Width: 1.8}
	if s.kind == metrics.Train {
		l = draw.LineStyle{Color: pale(c), Width: 0.8}
	}
	if s.top5 {
		l.Dashes = []vg.Length{4, 2.5}
	}
	return l
}

func (s stroke) marker(c color.RGBA) draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.line(c).Color, Radius: 2.2, Shape: draw.CircleGlyph{}}
}

// pale mixes c with as much white, so that thick lines stand before thin ones.
func pale(c color.RGBA) color.RGBA {
	mix := func(v uint8) uint8 { return uint8((int(v) + 255) / 2) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// curve is a stroke with its points: pieces, where values are missing between.
type curve struct {
	stroke
	pieces []plotter.XYs
}

func (c *curve) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	ink := runColors[c.run]
	for _, piece := range c.pieces {
		pts := make([]vg.Point, len(piece))
		for i, p := range piece {
			pts[i] = vg.Point{X: x(p.X), Y: y(p.Y)}
		}
		canvas.StrokeLines(c.line(ink), pts)
		if c.kind == metrics.Train && len(pts) > 1 { // one point makes no line
			continue
		}
		every := (len(pts) + maxMarkers - 1) / maxMarkers
		for i := len(pts) - 1; i >= 0; i -= every {
			canvas.DrawGlyphNoClip(c.marker(ink), pts[i])
		}
	}
}

// panel is one of the two plots.
type panel struct {
	plot   *plot.Plot
	scale  float64 // of a value to its axis
	curves []*curve
}

func newPanel(label string, scale float64) *panel {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "Epochs", label
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 0, 0, 0 // both start at 0, or below
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Padding = 0
		a.LineStyle = draw.LineStyle{Color: axisColor, Width: 0.8}
		a.Label.Padding = 6
		a.Label.TextStyle.Font = font.From(textFont, 11)
		a.Label.TextStyle.Color = axisColor
		a.Tick.Label.Font = font.From(textFont, 9.5)
		a.Tick.Label.Color = axisColor
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 4
	}
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: gridColor, Width: 0.8}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	return &panel{plot: p, scale: scale}
}

// add adds the curve of one kind of ms, if it has a point.
func (p *panel) add(ms []metrics.Metric, s stroke, value func(metrics.Metric) float64) {
	pieces := pieces(ms, s.kind, value)
	if len(pieces) == 0 {
		return
	}
	for _, piece := range pieces {
		for i := range piece {
			piece[i].Y *= p.scale
			p.plot.X.Min, p.plot.X.Max = min(p.plot.X.Min, piece[i].X), max(p.plot.X.Max, piece[i].X)
			p.plot.Y.Min, p.plot.Y.Max = min(p.plot.Y.Min, piece[i].Y), max(p.plot.Y.Max, piece[i].Y)
		}
	}
	p.curves = append(p.curves, &curve{s, pieces})
}

// level draws a dashed line across at a value.
func (p *panel) level(v float64) {
	v *= p.scale
	p.plot.Y.Max = max(p.plot.Y.Max, v)
	line := plotter.NewFunction(func(float64) float64 { return v })
	line.LineStyle = draw.LineStyle{Color: levelColor, Width: 1, Dashes: []vg.Length{6, 4}}
	p.plot.Add(line)
}

// pieces returns the points of one kind, thinned to maxPoints and parted where
// there is no value to draw.
func pieces(ms []metrics.Metric, kind string, value func(metrics.Metric) float64) []plotter.XYs {
	var of []metrics.Metric
	for _, m := range ms {
		if m.Kind == kind && drawable(m.Epoch) {
			of = append(of, m)
		}
	}
	var all []plotter.XYs
	var piece plotter.XYs
	bin := max(1, (len(of)+maxPoints-1)/maxPoints)
	for ms := range slices.Chunk(of, bin) {
		var p plotter.XY
		n := 0
		for _, m := range ms {
			p.X += m.Epoch / float64(len(ms))
			if v := value(m); drawable(v) {
				p.Y += v
				n++
			}
		}
		if n > 0 {
			p.Y /= float64(n)
			piece = append(piece, p)
		} else if piece != nil {
			all, piece = append(all, piece), nil
		}
	}
	if piece != nil {
		all = append(all, piece)
	}
	return all
}

func drawable(v float64) bool { return math.Abs(v) <= farthest } // false for NaN

func (p *panel) draw(c draw.Canvas) {
	// Testing lies over training, of all runs.
	slices.SortStableFunc(p.curves, func(a, b *curve) int { return strings.Compare(b.kind, a.kind) })
	for _, c := range p.curves {
		p.plot.Add(c)
	}
	for _, a := range []*plot.Axis{&p.plot.X, &p.plot.Y} {
		if a.Max-a.Min < 1/farthest {
			a.Max = a.Min + 1
		}
		step := tickStep(a.Max - a.Min)
		if a == &p.plot.Y {
			a.Min, a.Max = step*math.Floor(a.Min/step), step*math.Ceil(a.Max/step)
		}
		a.Tick.Marker = ticks(step)
	}
	p.plot.Draw(c)
}

// tickStep returns the step of 1, 2 or 5 times a power of ten that parts span
// into 4 to 10.
func tickStep(span float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(span/4)))
	switch n := span / 4 / step; {
	case n >= 5:
		return 5 * step
	case n >= 2:
		return 2 * step
	}
	return step
}

// ticks marks the multiples of itself.
type ticks float64

func (s ticks) Ticks(low, high float64) []plot.Tick {
	var ts []plot.Tick
	const slack = 1e-9 // of a step, for rounding
	for i := int(math.Ceil(low/float64(s) - slack)); float64(i) <= high/float64(s)+slack; i++ {
		v := float64(i) * float64(s)
		ts = append(ts, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
	}
	return ts
}

// legend is a grid of entries. There are two below the panels: the names of the
// runs, and what the looks of lines mean.
type legend struct {
	style   draw.TextStyle
	entries []legendEntry
	cell    vg.Length // width of an entry and the space behind it
	columns int
}

type legendEntry struct {
	text   string
	color  color.RGBA
	stroke stroke
}

const (
	legendTop    = vg.Length(12) // above the first legend
	legendLine   = vg.Length(24)
	legendGap    = vg.Length(6)  // from a line to its text
	legendSpace  = vg.Length(24) // between entries
	legendHeight = vg.Length(18) // of a row
)

func newLegend(entries []legendEntry) *legend {
	l := &legend{style: plot.New().X.Tick.Label, entries: entries}
	l.style.Font = font.From(textFont, 10.5)
	l.style.Color = color.RGBA{0x22, 0x24, 0x28, 0xff}
	l.style.XAlign, l.style.YAlign = draw.XLeft, draw.YCenter
	for _, e := range entries {
		l.cell = max(l.cell, legendLine+legendGap+l.style.Width(e.text)+legendSpace)
	}
	l.columns = max(1, min(len(entries), int((pictureWidth-2*outer+legendSpace)/l.cell)))
	return l
}

func nameLegend(runs []Run) *legend {
	var entries []legendEntry
	for i, r := range runs {
		entries = append(entries, legendEntry{runName(r.Name, i), runColors[i], stroke{kind: metrics.Test}})
	}
	return newLegend(entries)
}

// lookLegend has the looks that curves use.
func lookLegend(curves []*curve) *legend {
	var entries []legendEntry
	for _, look := range []struct {
		text   string
		stroke stroke
		has    func(stroke) bool
	}{
		{"training", stroke{kind: metrics.Train}, func(s stroke) bool { return s.kind == metrics.Train }},
		{"test", stroke{kind: metrics.Test}, func(s stroke) bool { return s.kind == metrics.Test }},
		{"top-5 error", stroke{kind: metrics.Train, top5: true}, func(s stroke) bool { return s.top5 }},
	} {
		if slices.ContainsFunc(curves, func(c *curve) bool { return look.has(c.stroke) }) {
			entries = append(entries, legendEntry{look.text, axisColor, look.stroke})
		}
	}
	return newLegend(entries)
}

// runName makes a name one short line.
func runName(name string, i int) string {
	const longest = 40
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, name))
	if name == "" {
		return fmt.Sprintf("run %d", i+1)
	}
	if r := []rune(name); len(r) > longest {
		return "…" + string(r[len(r)-longest+1:]) // of paths, the end tells more
	}
	return name
}

func (l *legend) height() vg.Length {
	return vg.Length((len(l.entries)+l.columns-1)/l.columns) * legendHeight
}

func (l *legend) draw(c draw.Canvas) {
	left := c.Center().X - (vg.Length(l.columns)*l.cell-legendSpace)/2
	for i, e := range l.entries {
		x := left + vg.Length(i%l.columns)*l.cell
		y := c.Max.Y - (vg.Length(i/l.columns)+0.5)*legendHeight
		c.StrokeLine2(e.stroke.line(e.color), x, y, x+legendLine, y)
		if e.stroke.kind == metrics.Test {
			c.DrawGlyphNoClip(e.stroke.marker(e.color), vg.Point{X: x + legendLine/2, Y: y})
		}
		c.FillText(l.style, vg.Point{X: x + legendLine + legendGap, Y: y}, e.text)
	}
}
