package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/dsl"
	"alexnet/model"
)

func parseNet(t *testing.T, text string) *model.Net {
	t.Helper()
	net, err := dsl.Parse("test.net", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// Every network of the repository is drawn as sound XML, nothing over another thing
// or over the edge, all its text inside of its box.
func TestNetworksAreDrawn(t *testing.T) {
	files, err := filepath.Glob("../nets/*.net")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../alexnet.net") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		net := parseNet(t, string(src))
		d := drawNetwork(net)
		for i, b := range d.Boxes {
			if b.X < 0 || b.X+b.W > d.Width || b.Y < svgTop || b.Y+b.H > d.Height {
				t.Errorf("%s: box %v is outside of %dx%d", file, b, d.Width, d.Height)
			}
			for _, other := range d.Boxes[:i] {
				if b.X < other.X+other.W && other.X < b.X+b.W && b.Y < other.Y+other.H && other.Y < b.Y+b.H {
					t.Errorf("%s: %v and %v overlap", file, b.Text, other.Text)
				}
			}
			for _, text := range b.Text {
				if text.Y < b.Y+10 || text.Y > b.Y+b.H-3 {
					t.Errorf("%s: %q at %d is outside of its box, %d to %d", file, text.Text, text.Y, b.Y, b.Y+b.H)
				}
			}
		}
		path := filepath.Join(t.TempDir(), "a.svg")
		if err := Network(path, net); err != nil {
			t.Fatal(err)
		}
		checkXML(t, path, len(d.Boxes)+1)
	}
}

// checkXML reads a file as XML and counts its rectangles.
func checkXML(t *testing.T, path string, want int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rects := 0
	for dec := xml.NewDecoder(f); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			rects++
		}
	}
	if rects != want {
		t.Errorf("%s: %d rectangles, want %d", path, rects, want)
	}
}

const crossing = `
net crossing
input 3x16x16
columns 2
conv1 conv 4 3x3 pad 1
conv2 conv 8 3x3 pad 1
conv3 conv 8 3x3 pad 1 across
conv4 conv 8 3x3 pad 1 from conv1
fc5 full 10 across from conv3, conv4
softmax
`

// Lines cross where a layer looks across, and there alone. The input is one, and so
// is the softmax.
func TestLinesCrossWhereLayersLookAcross(t *testing.T) {
	d := drawNetwork(parseNet(t, crossing))
	across, passing := 0, 0
	for _, l := range d.Lines {
		if l.Across {
			across++
		}
		if strings.Contains(l.Path, "Q") {
			passing++
		}
	}
	// conv3 from conv2; fc5 from conv3 and conv4: two each. conv4 from conv1 and fc5
	// from conv3, four lines, pass by what is between: six.
	if across != 6 || passing != 6 {
		t.Errorf("%d lines cross, want 6, and %d pass layers by, want 6", across, passing)
	}
	if len(d.Lines) != 2+2+4+2+8+2 || len(d.Boxes) != 2+5*2 {
		t.Errorf("%d lines and %d boxes", len(d.Lines), len(d.Boxes))
	}
	conv1 := d.Boxes[1]
	if got := fmt.Sprint(conv1.Text[0].Text, conv1.Text[1].Text, conv1.Text[2].Text, conv1.Text[3].Text); got != "conv1conv 3x32x16x1656 parameters" {
		t.Errorf("conv1 is %q", got) // half of 4 kernels, half of 3*3*3*4 + 4
	}
}

// Lines pass by the layers between, however wide those are.
func TestLinesPassBy(t *testing.T) {
	d := drawNetwork(parseNet(t, `net wide
input 3x8x8
conv1 conv 2 3x3 pad 1
conv2 conv 512 3x3 pad 1
conv3 conv 2 3x3 pad 1
conv4 conv 2 3x3 pad 1 from conv3, conv1
fc5 full 2
softmax
`))
	passing := 0
	for _, l := range d.Lines {
		var ax, ay, x, by, bx, skip int
		n, _ := fmt.Sscanf(l.Path, "M%d %d H%d Q%d %d %d %d V%d Q%d %d %d %d H%d", &ax, &ay, &skip, &x, &skip, &skip, &skip, &skip, &skip, &by, &skip, &skip, &bx)
		if n < 13 {
			continue
		}
		passing++
		for _, b := range d.Boxes {
			between := b.Y < by && b.Y+b.H > ay
			if between && b.X+b.W >= x || x >= d.Width {
				t.Errorf("%s is behind the box of %s, or outside of the picture", l.Path, b.Text[0].Text)
			}
		}
		if bx >= x || ax >= x {
			t.Errorf("%s does not go out", l.Path)
		}
	}
	if passing != 1 {
		t.Errorf("%d lines pass layers by", passing)
	}
}
