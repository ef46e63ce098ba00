package train

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"testing"

	"alexnet/checkpoint"
	"alexnet/dsl"
	"alexnet/internal/raw"
	"alexnet/model"
)

// FuzzSchedule wants a schedule that a run goes on with to have finite rates. A rate
// is 0 only if the network says so. Written again, the schedule reads the same.
func FuzzSchedule(f *testing.F) {
	f.Add(`{"tested":3,"divided":1,"best":0.25,"since":2,"by_hand":{"":10,"fc2":0.5},"changes":[{"step":7,"layer":"fc2","rate":0.01,"why":"by hand"}]}`, uint32(40), uint16(3))
	f.Add(`{"tested":0,"divided":0,"best":1.7976931348623157e308,"since":0}`, uint32(0), uint16(0))
	f.Add(`{"divided":400}`, uint32(0), uint16(0))            // in float32 the rate is 0
	f.Add(`{"by_hand":{"":1e300}}`, uint32(0), uint16(0))     // likewise
	f.Add(`{"by_hand":{"fc1":1e-300}}`, uint32(0), uint16(0)) // infinite
	var nets []*model.Net
	for _, rates := range []string{"rate 0.001\ndivide 10 plateau 1 times 2", "rate 0.01\nat 1 rate 0.001\nat 2 rate 0 layer fc2\ndivide 10 at 3 4"} {
		net, err := dsl.Parse("tiny.net", []byte("net tiny\ninput 3x8x8\nfc1 full 4\nrelu\nfc2 full 3\nsoftmax\ntrain {\npasses 9\n"+rates+"\n}\n"))
		if err != nil {
			f.Fatal(err)
		}
		nets = append(nets, net)
	}
	f.Fuzz(func(t *testing.T, text string, step uint32, passes uint16) {
		for _, net := range nets {
			s, err := parseSchedule(text)
			if err != nil || s.check(net, int64(step), int64(passes)) != nil {
				continue
			}
			file := newSchedule()
			file.Divided = min(s.Divided, net.Train.Divide.Times)
			own := file.rates(net, int64(s.Tested)).all()
			for i, rate := range s.rates(net, int64(s.Tested)).all() {
				if r := float32(rate); !(r > 0 || r == 0 && float32(own[i]) == 0) || math.IsInf(float64(r), 0) {
					t.Fatalf("rate %g, and %g by the network's file", rate, own[i])
				}
			}
			written, err := s.marshal()
			if err != nil {
				t.Fatal(err)
			}
			back, err := parseSchedule(written)
			if err != nil {
				t.Fatal(err)
			}
			if err := back.check(net, int64(step), int64(passes)); err != nil {
				t.Fatal(err)
			}
			if again, err := back.marshal(); err != nil || again != written {
				t.Fatalf("%s reads back as %s, error %v", written, again, err)
			}
		}
	})
}

// FuzzPredictions wants predictions that are accepted to fit their own counts, to
// have a result that can be, and to read the same when they are written again. notes
// is the metadata of the file; numbers has its tensors, one after the other.
func FuzzPredictions(f *testing.F) {
	notes := func(version string, change map[string]string) []byte {
		m := map[string]string{predictionsKey: version, "dataset": "00ff", "name": "n", "classes": `["cat","dog"]`, "networks": "2", "views": "10"}
		maps.Copy(m, change)
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	numbers := func(list ...float32) []byte { return bytes.Clone(raw.Bytes(list)) }
	f.Add(notes("2", nil), uint16(2), uint16(3), numbers(-1, 7.5, 3e38, 0, 0, -3e38, 1, -1))
	f.Add(notes("1", nil), uint16(2), uint16(2), numbers(0.25, 0.75, 0, 1, 1, 0))
	f.Add(notes("1", nil), uint16(1), uint16(2), numbers(-0.25, 1.25, 1)) // no probabilities
	f.Add(notes("2", map[string]string{"networks": "1", "views": "1", "classes": "null"}), uint16(1), uint16(1), numbers(1, 0))
	f.Add(notes("2", map[string]string{"classes": "null"}), uint16(1), uint16(0), numbers(-1))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, notes []byte, images, outputs uint16, numbers []byte) {
		values := make([]float32, len(numbers)/4)
		copy(raw.Bytes(values), numbers)
		split := int(images) * int(outputs)
		var c checkpoint.Checkpoint
		if split > len(values) || json.Unmarshal(notes, &c.Notes) != nil {
			return
		}
		name := "logits"
		if c.Notes[predictionsKey] == "1" {
			name = "probabilities"
		}
		c.Tensors = []checkpoint.Tensor{
			{Name: name, Shape: []int{int(images), int(outputs)}, Data: values[:split]},
			{Name: "labels", Shape: []int{len(values) - split}, Data: values[split:]}}
		path := filepath.Join(dir, "a")
		if checkpoint.Write(path, &c) != nil { // numbers that are not finite, or notes of a run
			return
		}
		p, err := ReadPredictions(path)
		if err != nil {
			return
		}
		if p.Images != int64(images) || len(p.Labels) != int(images) || p.Outputs != int(outputs) || p.Outputs < 1 ||
			len(p.Logits) != split || len(p.Classes) > p.Outputs || p.Networks < 1 || p.Views != 1 && p.Views != 10 {
			t.Fatalf("%+v", p)
		}
		known := int64(0)
		for _, l := range p.Labels {
			if l < -1 || int(l) >= p.Outputs {
				t.Fatalf("label %d of %d outputs", l, p.Outputs)
			}
			if l >= 0 {
				known++
			}
		}
		for _, models := range [][]string{{path}, {path, path}} {
			r, _, err := Test(t.Context(), Testing{Models: models, Progress: func(int64, int64) {}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Images != known || known > 0 && !(r.Top5Error >= 0 && r.Top5Error <= r.Top1Error && r.Top1Error <= 1 && r.Loss >= 0 && r.Loss <= math.MaxFloat64) {
				t.Fatalf("%d files, of %d images with a label: %+v", len(models), known, r)
			}
		}
		again := filepath.Join(dir, "b")
		if err := p.Write(again, p.Source); err != nil {
			t.Fatal(err)
		}
		q, err := ReadPredictions(again)
		if err != nil {
			t.Fatal(err)
		}
		p.Path, q.Path = "", ""
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v reads back as %+v", p, q)
		}
	})
}
