package report

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"alexnet/dsl"
	"alexnet/internal/metrics"
)

func TestHTML(t *testing.T) {
	const text = "# <b>1 & 2</b>\nnet tiny\ninput 3x8x8\nconv1 conv 4 3x3\nrelu\nfc2 full 10\nsoftmax\n"
	net, err := dsl.Parse("tiny.net", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	kernels := image.NewRGBA(image.Rect(0, 0, 7, 9))
	var other bytes.Buffer
	if err := png.Encode(&other, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	d := Document{
		Name: `a<script>"run"`, Net: net, Text: text, Facts: []Fact{{"data set", "cats & dogs"}}, Kernels: kernels,
		Pictures: []Picture{{"neighbours", other.Bytes()}},
		Metrics: []metrics.Metric{
			{Kind: metrics.Train, Step: 10, Epoch: 0.5, Loss: 2, Top1Error: 0.9},
			{Kind: metrics.Test, Step: 20, Epoch: 1, Loss: nan, Top1Error: nan, Top5Error: nan},
			{Kind: metrics.Test, Step: 4000, Epoch: 2, Loss: 1.5, Top1Error: 0.25, Top5Error: 0.125, Rate: 0.01, ImagesPerSecond: 1234.4},
			{Kind: metrics.Test, Step: 5000, Epoch: 3, Loss: 1.6, Top1Error: 0.26, Top5Error: 0.125, Rate: 0.01},
			{Kind: metrics.Change, Step: 5000, Epoch: 3, Layer: "conv1", Rate: 0.001, Why: "by hand, from <i>me</i>"},
		},
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := WriteHTML(path, d); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	html := string(b)
	for _, part := range []string{
		"<title>a&lt;script&gt;", "# &lt;b&gt;1 &amp; 2&lt;/b&gt;", "cats &amp; dogs", "from &lt;i&gt;me&lt;/i&gt;",
		`<tr class="best"><td class="number">2</td><td class="number">4,000</td><td class="number">1.5</td><td class="number">25.00%</td><td class="number">12.50%</td><td class="number">0.01</td><td class="number">1234</td></tr>`,
		`<tr><td class="number">1</td><td class="number">20</td><td class="number">–</td>`,
		"<td>conv1</td><td>conv</td><td>4x6x6</td><td>[4 3 3 3]</td><td class=\"number\">112</td><td class=\"number\">144</td>",
		"<h2>neighbours</h2>",
	} {
		if !strings.Contains(html, part) {
			t.Errorf("there is no %q in\n%s", part, regexp.MustCompile(`base64,[^"]*`).ReplaceAllString(html, "…"))
		}
	}
	if n := strings.Count(html, `class="best"`); n != 2 { // and the sum of the layers
		t.Errorf("%d rows are set off, want 2", n)
	}
	var sizes []image.Point
	figures := 0
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		address := strings.ReplaceAll(m[1], "&#43;", "+")
		kind, data, _ := strings.Cut(address, ";base64,")
		b, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "data:image/svg+xml" {
			figures++
			if !bytes.HasPrefix(b, []byte("<svg ")) || !bytes.Contains(b, []byte(">conv1</text>")) {
				t.Errorf("the network's picture is %s", b)
			}
			continue
		}
		if kind != "data:image/png" {
			t.Fatalf("the page asks for %s", m[1])
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, img.Bounds().Size())
	}
	if figures != 1 || len(sizes) != 3 || sizes[1] != image.Pt(7, 9) || sizes[2] != image.Pt(3, 2) {
		t.Errorf("%d drawings of the network and pictures of %v, want one, and the curves, 7x9 and 3x2", figures, sizes)
	}

	d.Metrics = nil
	if err := WriteHTML(path, d); err == nil || !strings.Contains(err.Error(), path+": curves: no run has a finite loss") {
		t.Errorf("without a line: %v", err)
	}
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b) {
		t.Errorf("the older page is not there any more: %v", err)
	}
}
