package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"alexnet/dsl"
	"alexnet/model"
)

// drawn is what an SVG has.
type drawn struct {
	boxes, lines int
	text         string
}

// parseSVG reads a drawing and checks that it is XML and that its boxes lie in it.
func parseSVG(t *testing.T, net *model.Net) (d drawn) {
	t.Helper()
	var b bytes.Buffer
	if err := Network(&b, net); err != nil {
		t.Fatal(err)
	}
	width, height := 0, 0
	for decoder := xml.NewDecoder(&b); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.CharData:
			d.text += string(x) + "\n"
		case xml.StartElement:
			number := func(name string) (n int) {
				for _, a := range x.Attr {
					if a.Name.Local == name {
						n, _ = strconv.Atoi(a.Value)
					}
				}
				return n
			}
			switch {
			case x.Name.Local == "svg":
				width, height = number("width"), number("height")
			case x.Name.Local == "path":
				d.lines++
			case x.Name.Local == "rect" && number("x") > 0:
				d.boxes++
				if number("x")+number("width") > width || number("y")+number("height") > height {
					t.Errorf("a box of %v lies outside of %d x %d", x.Attr, width, height)
				}
			}
		}
	}
	return d
}

// TestNetworks draws every network of the repository.
func TestNetworks(t *testing.T) {
	paths, err := filepath.Glob("../nets/*.net")
	if err != nil || len(paths) < 5 {
		t.Fatal(paths, err)
	}
	for _, path := range append(paths, "../alexnet.net") {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		net, err := dsl.Parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		d := parseSVG(t, net)
		boxes := 1
		for _, l := range net.Layers {
			n := 1
			if l.Divided {
				n = net.Columns
			}
			boxes += n
			if p := "\n" + l.Name; !strings.Contains(d.text, p) {
				t.Errorf("%s: there is no layer %s", path, l.Name)
			}
		}
		if d.boxes != boxes {
			t.Errorf("%s: %d boxes, want %d", path, d.boxes, boxes)
		}
	}
}

// TestFigure2: in the paper's network lines cross before conv3, fc6, fc7 and fc8, and
// only there.
func TestFigure2(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	net, err := dsl.Parse("alexnet.net", src)
	if err != nil {
		t.Fatal(err)
	}
	d := parseSVG(t, net)
	if want := 2*(len(net.Layers)-1) + 2 + 4*2; d.lines != want { // one to each box, two from the last, and four times two that cross
		t.Errorf("%d lines, want %d", d.lines, want)
	}
	for _, part := range []string{"60,965,224 parameters, 659,272 neurons", "conv1 conv 11x11 stride 4", "48x55x55, 17,472 parameters", "2048 outputs, 18,876,416 parameters", "fc6.dropout 0.5, 2048 outputs", "column 2"} {
		if !strings.Contains(d.text, part) {
			t.Errorf("there is no %q", part)
		}
	}
}

// TestBranches: lines go past layers, and long names are cut.
func TestBranches(t *testing.T) {
	long := strings.Repeat("n", 60)
	net, err := dsl.Parse("x.net", []byte("net "+long+"\ninput 3x8x8\na conv 4 3x3 pad 1\nb conv 4 3x3 pad 1\nc conv 4 3x3 pad 1 from a, b\n"+long+" full 2\nsoftmax\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := parseSVG(t, net)
	if d.lines != 6 || !strings.Contains(d.text, "nnn…") || !strings.Contains(d.text, long+": ") {
		t.Errorf("%d lines, text %s", d.lines, d.text)
	}
	net.Columns = maxColumns + 1
	if err := Network(io.Discard, net); err == nil {
		t.Error("too many columns are drawn")
	}
}
