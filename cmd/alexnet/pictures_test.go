package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/checkpoint"
)

// trained trains the tiny network and returns its best checkpoint, and the data.
func trained(t *testing.T) (dir, model, data, run string) {
	t.Helper()
	dir, config, data := files(t)
	run = filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", run)
	return dir, filepath.Join(run, "checkpoints/best.safetensors"), data, run
}

func TestFeatures(t *testing.T) {
	dir, model, data, _ := trained(t)
	out := filepath.Join(dir, "f.safetensors")
	read := func(args ...string) *checkpoint.Checkpoint {
		t.Helper()
		alexnet(t, 0, append([]string{"features", "-model", model, "-out", out}, args...)...)
		c, err := checkpoint.Read(out)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := read("-data", data, "-split", "train", "-layer", "pool1", "-batch", "9")
	if shape := c.Tensors[0].Shape; !slices.Equal(shape, []int{200, 4, 2, 2}) || c.Tensors[1].Data[0] < 0 || c.Notes["layer"] != "pool1" || c.Notes["split"] != "train" {
		t.Errorf("shape %v, labels %v, %v", shape, c.Tensors[1].Data[:3], c.Notes)
	}
	hidden := read("-data", data)
	if shape := hidden.Tensors[0].Shape; !slices.Equal(shape, []int{50, 16}) || hidden.Notes["layer"] != "fc2.dropout" {
		t.Errorf("of the last hidden layer: shape %v, %v", shape, hidden.Notes)
	}
	picture := filepath.Join(dir, "run/curves.png") // any picture will do
	if c := read(picture, picture); c.Tensors[0].Shape[0] != 2 || c.Tensors[1].Data[0] != -1 || !reflect.DeepEqual(c.Tensors[0].Data[:16], c.Tensors[0].Data[16:]) {
		t.Errorf("of a file twice: %v, %v", c.Tensors[0], c.Tensors[1])
	}
	for want, args := range map[string][]string{
		"-model CHECKPOINT":   {"-data", data, "-out", out},
		"-out FILE":           {"-model", model, "-data", data},
		"Give image files":    {"-model", model, "-out", out},
		"not both":            {"-model", model, "-out", out, "-data", data, picture},
		"image files are giv": {"-model", model, "-out", out, "-split", "train", picture},
		"-batch 0":            {"-model", model, "-out", out, "-data", data, "-batch", "0"},
	} {
		_, errs := alexnet(t, 2, append([]string{"features"}, args...)...)
		contains(t, errs, want)
	}
	_, errs := alexnet(t, 1, "features", "-model", model, "-out", out, "-data", data, "-layer", "fc9")
	contains(t, errs, `no layer "fc9"; it has conv1`)
	_, errs = alexnet(t, 1, "features", "-model", model, "-out", out, model)
	contains(t, errs, "best.safetensors: ", "image")
}

func TestPredict(t *testing.T) {
	dir, model, data, _ := trained(t)
	png := filepath.Join(dir, "p.png")
	out, _ := alexnet(t, 0, "predict", "-model", model, "-data", data, "-count", "5", "-seed", "3", "-json", "-picture", png)
	dec := json.NewDecoder(strings.NewReader(out))
	seen := map[string]bool{}
	for dec.More() {
		var p predicted
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		seen[p.Image] = true
		last := 1.0
		for _, g := range p.Guesses {
			if g.Probability > last || g.Probability < 0 {
				t.Errorf("%+v", p)
			}
			last = g.Probability
		}
		if len(p.Guesses) != 5 || p.Class == "" {
			t.Errorf("%+v", p)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d different images", len(seen))
	}
	if b := readPNG(t, png).Bounds(); b.Dx() < 4*160 || b.Dy() < 2*160 { // two rows
		t.Errorf("the picture has %v", b)
	}
	picture := filepath.Join(dir, "run/filters.png")
	for _, views := range []string{"1", "10"} {
		out, _ = alexnet(t, 0, "predict", "-model", model, "-views", views, "-picture", png, picture)
		contains(t, out, picture+"\n", "%")
	}
	same, _ := alexnet(t, 0, "predict", "-model", model, "-views", "10", "-devices", "cpu,cpu", picture)
	if strings.Count(same, "\n") != 7 { // its name, five classes, nothing
		t.Errorf("%q", same)
	}
	short := filepath.Join(dir, "short.bmp") // a header without pixels
	header := make([]byte, 54)
	copy(header, "BM")
	header[2], header[10], header[14], header[18], header[22], header[26], header[28] = 54, 54, 40, 8, 8, 1, 24
	if err := os.WriteFile(short, header, 0o666); err != nil {
		t.Fatal(err)
	}
	_, errs := alexnet(t, 1, "predict", "-model", model, picture, short, picture)
	contains(t, errs, "short.bmp", "cut short")
	// Every scan costs a look at all pixels.
	slow := filepath.Join(dir, "slow.jpg")
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(slow, bytes.Replace(jpg.Bytes(), []byte{0xff, 0xda}, bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0x7f}, 5000), 1), 0o666); err != nil {
		t.Fatal(err)
	}
	_, errs = alexnet(t, 1, "predict", "-model", model, slow)
	contains(t, errs, "slow.jpg", "scans; at most")
	for want, args := range map[string][]string{
		"Give image files": {}, "not both": {"-data", data, picture}, "-views 5": {"-views", "5", picture},
		"-count is of a data set": {"-count", "5", picture}, "-count 0": {"-data", data, "-count", "0"},
	} {
		_, errs := alexnet(t, 2, append([]string{"predict", "-model", model}, args...)...)
		contains(t, errs, want)
	}
}

func TestNeighbors(t *testing.T) {
	dir, model, data, _ := trained(t)
	cache, png := filepath.Join(dir, "cache"), filepath.Join(dir, "n.png")
	args := []string{"neighbors", "-model", model, "-data", data, "-cache", cache, "-out", png, "-queries", "9", "-k", "4", "-json"}
	out, errs := alexnet(t, 0, args...)
	contains(t, errs, "once")
	var got struct {
		Layer            string
		Images, K        int
		Features, Pixels float64
		Queries          []nearest
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Layer != "fc2.dropout" || got.Images != 200 || got.K != 4 || len(got.Queries) != 9 {
		t.Errorf("%+v", got)
	}
	right := 0
	for _, q := range got.Queries {
		if len(q.Neighbors) != 4 || !slices.IsSortedFunc(q.Neighbors, func(a, b found) int { return int(math.Copysign(1, a.Distance-b.Distance)) }) {
			t.Errorf("%+v", q)
		}
		for _, n := range q.Neighbors {
			if n.Class == q.Class {
				right++
			}
		}
	}
	contains(t, out, `"right_by_features":`+jsonNumber(t, float64(right)/36))
	if b := readPNG(t, png).Bounds(); b.Dx() < 5*160 || b.Dy() < 8*160 {
		t.Errorf("the picture has %v", b)
	}
	again, errs := alexnet(t, 0, args...)
	if again != out || strings.Contains(errs, "once") {
		t.Errorf("from the cache other neighbours are found, or it was not used: %s", errs)
	}
	text, _ := alexnet(t, 0, append(args[:len(args)-1:len(args)-1], "-layer", "conv1", "-rows", "2")...)
	contains(t, text, "of the right class by conv1 (100 numbers)", "by pixels (3072 numbers)")
	if kept, _ := filepath.Glob(filepath.Join(cache, "*.safetensors")); len(kept) != 2 {
		t.Errorf("the cache has %v, want features of two layers", kept)
	}
	for want, args := range map[string][]string{"-k 0": {"-k", "0"}, "-queries 0": {"-queries", "0"}, "-rows 0": {"-rows", "0"}} {
		_, errs := alexnet(t, 2, append([]string{"neighbors", "-model", model, "-data", data}, args...)...)
		contains(t, errs, want)
	}
}

func jsonNumber(t *testing.T, v float64) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCodes(t *testing.T) {
	dir, model, data, _ := trained(t)
	args := []string{"codes", "-model", model, "-data", data, "-cache", filepath.Join(dir, "cache"), "-queries", "20", "-bits", "32",
		"-shortlist", "20", "-shortlist", "200", "-passes", "3"}
	out, _ := alexnet(t, 0, append(args, "-json")...)
	var got codesResult
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Encoders) != 2 || got.Images != 200 || got.Bits != 32 || got.Queries != 20 {
		t.Fatalf("%+v", got)
	}
	for _, e := range got.Encoders {
		// Chance finds 3% and 10%; with all 200 on the shortlist nothing is missed.
		if e.Recall < 0.1 || e.Reranked[0].Recall < max(0.2, e.Recall) || e.Reranked[1].Recall != 1 || !(e.Speedup > 0) {
			t.Errorf("%+v", e)
		}
	}
	text, _ := alexnet(t, 0, args...)
	contains(t, text, "auto-encoder", "random planes", "100.0%")
	for want, more := range map[string][]string{"-bits 0": {"-bits", "0"}, "-shortlist 3": {"-shortlist", "3"}, "-sample 0": {"-sample", "0"}} {
		_, errs := alexnet(t, 2, append([]string{"codes", "-model", model, "-data", data}, more...)...)
		contains(t, errs, want)
	}
}

func TestPlanSVG(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.svg")
	out, _ := alexnet(t, 0, "plan", "-config", "../../alexnet.net", "-svg", path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, new(struct{})); err != nil || out != path+"\n" {
		t.Error(err, out)
	}
	contains(t, string(b), "60,965,224 parameters", "conv 11x11 stride 4", "18,876,416 parameters")
}
