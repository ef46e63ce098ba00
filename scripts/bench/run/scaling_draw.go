package main

import (
	"image/color"

	"alexnet/report"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// draw draws a column of two panels for each sweep: time above, memory below.
func (r *ScalingResult) draw(path string) error {
	const width, height = vg.Length(230), vg.Length(190)
	panels := make([][]*plot.Plot, 2)
	for _, s := range r.Sweeps {
		time, memory := plotter.XYs{}, plotter.XYs{}
		for _, p := range s.Points {
			time = append(time, plotter.XY{X: p.X, Y: p.MS.Median})
			memory = append(memory, plotter.XY{X: p.X, Y: float64(p.Memory) / (1 << 20)})
		}
		for row, of := range []struct {
			label string
			xys   plotter.XYs
			color color.Color
		}{{"ms an image", time, color.RGBA{0x1f, 0x77, 0xb4, 0xff}}, {"memory of the plan, MiB", memory, color.RGBA{0xd6, 0x27, 0x28, 0xff}}} {
			p, err := panel(s, of.label, of.xys, of.color)
			if err != nil {
				return err
			}
			if row == 0 {
				p.Title.Text = s.Name
			}
			panels[row] = append(panels[row], p)
		}
	}
	img := vgimg.NewWith(vgimg.UseWH(width*vg.Length(len(r.Sweeps)), 2*height), vgimg.UseDPI(110), vgimg.UseBackgroundColor(color.White))
	tiles := draw.Tiles{Rows: 2, Cols: len(r.Sweeps), PadX: vg.Points(14), PadY: vg.Points(14), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(14)}
	for row, canvases := range plot.Align(panels, tiles, draw.New(img)) {
		for col, c := range canvases {
			panels[row][col].Draw(c)
		}
	}
	return report.WritePNG(path, img.Image())
}

func panel(s Sweep, label string, xys plotter.XYs, c color.Color) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = s.Axis, label
	p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = vg.Points(8), vg.Points(8)
	p.Y.Min = 0
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return nil, err
	}
	line.Color, points.Color, points.Shape = c, c, draw.CircleGlyph{}
	var ticks plot.ConstantTicks
	apart := (s.Points[len(s.Points)-1].X - s.Points[0].X) / 20 // or two labels would run into each other
	for i, pt := range s.Points {
		if i+1 < len(s.Points) && s.Points[i+1].X-pt.X < apart {
			pt.Label = ""
		}
		ticks = append(ticks, plot.Tick{Value: pt.X, Label: pt.Label})
	}
	p.X.Tick.Marker = ticks
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Transparent, color.Gray{0xe6}
	p.Add(grid, line, points)
	p.Y.Max *= 1.1
	return p, nil
}
