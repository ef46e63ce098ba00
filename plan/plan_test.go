package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn"
	"alexnet/model"
)

// testNet is a network of the paper's structure, small, with everything that a
// plan has to deal with: columns, layers across, a join, two readers of one
// layer.
func testNet(t testing.TB, columns int) *model.Net {
	t.Helper()
	p := model.DefaultParams()
	p.Deviation = 0.3 // what one layer does is seen in the next
	p.Rate, p.BiasRate, p.Decay, p.BiasDecay = 0.5, 2, 3, 0.25
	conv := func(kernels, size, pad int) model.Conv {
		return model.Conv{Kernels: kernels, Groups: 1, Params: p, Window: model.Window{H: size, W: size, Stride: 1, Pad: pad}}
	}
	relu := model.Activation{Func: model.Relu}
	pool := model.Pool{Mode: model.Max, Window: model.Window{H: 3, W: 3, Stride: 2}}
	net := &model.Net{Name: "small", Input: model.Shape{C: 3, H: 15, W: 15}, Columns: columns,
		Data: model.DefaultData(), Train: model.DefaultTrain()}
	add := func(name string, spec model.Spec, across bool, from ...int) int {
		if from == nil {
			from = []int{len(net.Layers) - 1}
		}
		net.Layers = append(net.Layers, &model.Layer{Name: name, Spec: spec, Across: across, From: from})
		return len(net.Layers) - 1
	}
	add("conv1", conv(8, 3, 1), false)
	add("relu1", relu, false)
	add("norm1", model.LRN{Size: 3, Alpha: 0.1, Beta: 0.75, K: 1}, false)
	pool1 := add("pool1", pool, false)
	add("conv2", conv(8, 3, 1), false)
	relu2 := add("relu2", relu, false)
	add("conv3", conv(8, 3, 1), true, relu2, pool1) // a join, and pool1 is read twice
	add("relu3", relu, false)
	add("conv4", model.Local{Kernels: 4, Groups: 1, Params: p, Window: model.Window{H: 3, W: 3, Stride: 2}}, false)
	add("tanh4", model.Activation{Func: model.Tanh}, false)
	add("fc5", model.Full{Outputs: 16, Params: p}, true)
	add("relu5", relu, false)
	add("drop5", model.Dropout{Rate: 0.5}, false)
	add("fc6", model.Full{Outputs: 6, Params: p}, true)
	add("softmax", model.Softmax{}, false)
	for _, problem := range net.Infer() {
		t.Fatalf("test network: %+v", problem)
	}
	return net
}

// SmallNet is testNet for the tests outside the package.
var SmallNet = testNet

func compile(t testing.TB, net *model.Net, devices int, o Options) *Program {
	t.Helper()
	names := make([]string, devices)
	for i := range names {
		names[i] = fmt.Sprintf("cpu:%d", i)
	}
	if o.Batch == 0 {
		o.Batch = 4
	}
	p, err := Compile(net, names, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestColumnsTalkOnlyAcross is section 3.2: the columns exchange activations, and
// gradients back, at layers that look across and at the softmax, nowhere else.
func TestColumnsTalkOnlyAcross(t *testing.T) {
	p := compile(t, testNet(t, 2), 2, Options{})
	got := map[string][]int64{}
	for i := range p.Steps {
		if peer, ok := p.Steps[i].Action.(Peer); ok {
			key := p.LayerName(p.Steps[i].Layer) + " " + p.Steps[i].Pass.String()
			got[key] = append(got[key], peer.Bytes())
		}
	}
	const batch = 4
	half := func(floats int64) []int64 { return []int64{batch * floats * 4 / 2, batch * floats * 4 / 2} }
	want := map[string][]int64{
		"conv3 forward":   slices.Concat(half(8*7*7), half(8*7*7)), // relu2 and pool1, each way
		"relu2 backward":  half(8 * 7 * 7),
		"pool1 backward":  half(8 * 7 * 7),
		"fc5 forward":     half(4 * 3 * 3),
		"tanh4 backward":  half(4 * 3 * 3),
		"fc6 forward":     half(16),
		"drop5 backward":  half(16),
		"softmax forward": half(6)[:1],
		"fc6 backward":    half(6)[:1],
	}
	for key, bytes := range want {
		if !slices.Equal(got[key], bytes) {
			t.Errorf("%s copies %v, want %v", key, got[key], bytes)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("copies that should not be: %v", got)
	}
	for i, s := range compile(t, testNet(t, 2), 1, Options{}).Steps {
		if _, ok := s.Action.(Peer); ok {
			t.Errorf("step %d of a plan for one device copies between devices", i)
		}
	}
}

// befores returns the order of two runs of p, by reachability over the edges of
// streams and waits: befores[b][a] says that step a is done when b starts.
func befores(p *Program) [][]bool {
	n := len(p.Steps)
	before := make([][]bool, 2*n)
	lastOn := map[[2]int]int{}
	for at := range 2 * n {
		s := &p.Steps[at%n]
		before[at] = make([]bool, 2*n)
		after := func(prior int) {
			before[at][prior] = true
			for a := range prior {
				before[at][a] = before[at][a] || before[prior][a]
			}
		}
		stream := [2]int{s.Device, int(s.Stream)}
		if prior, ok := lastOn[stream]; ok {
			after(prior)
		}
		for _, w := range s.Waits { // the most recent record when the wait is issued
			if w < at%n {
				after(at - at%n + w)
			} else if at >= n {
				after(w)
			}
		}
		lastOn[stream] = at
	}
	return before
}

// unordered returns the pairs of steps of two runs of p which use the same bytes,
// at least one of them writing, and which nothing orders. It is independent of
// the search that found the waits: every pair of uses is compared by address.
func unordered(p *Program) []string {
	n, before := len(p.Steps), befores(p)
	type place struct {
		device    int
		segment   Segment
		low, high int64 // bytes
		a         access
	}
	places := make([][]place, n)
	for i := range p.Steps {
		for _, a := range p.Steps[i].accesses() {
			t := &p.Devices[a.device].Tensors[a.tensor]
			places[i] = append(places[i], place{a.device, t.Segment, t.Offset, t.Offset + t.Bytes, a})
		}
	}
	var bad []string
	for y := range 2 * n {
		for x := range y {
			if before[y][x] {
				continue
			}
			for _, a := range places[x%n] {
				for _, b := range places[y%n] {
					if a.device != b.device || a.segment != b.segment || !a.a.write && !b.a.write || a.low >= b.high || b.low >= a.high {
						continue
					}
					if a.a.tensor == b.a.tensor && (a.a.low >= b.a.high || b.a.low >= a.a.high) {
						continue // different slabs of one tensor
					}
					bad = append(bad, fmt.Sprintf("%d %s / %d %s", x, p.StepName(x%n), y, p.StepName(y%n)))
				}
			}
		}
	}
	return bad
}

func TestEveryConflictIsOrdered(t *testing.T) {
	for _, c := range []struct{ columns, devices int }{{1, 1}, {2, 1}, {2, 2}} {
		for _, mode := range []Mode{Train, Test} {
			p := compile(t, testNet(t, c.columns), c.devices, Options{Mode: mode})
			if bad := unordered(p); len(bad) > 0 {
				t.Errorf("%d columns on %d devices, mode %v: not ordered: %q", c.columns, c.devices, mode, bad)
			}
		}
	}
}

// TestForwardBackwardUpdate: the weights stay as they are until the last step of
// backward, and a device is fed in the order in which the next batch may come.
func TestForwardBackwardUpdate(t *testing.T) {
	for _, c := range []struct{ columns, devices int }{{1, 1}, {2, 1}, {2, 2}} {
		p := compile(t, testNet(t, c.columns), c.devices, Options{})
		uploads := make([][]Slot, c.devices)
		for i := range p.Steps {
			s := &p.Steps[i]
			part := []bool{i < p.Forward, i >= p.Forward && i < p.Update, i >= p.Update}
			if want := map[Pass]int{Feed: 0, Forward: 0, Result: 0, Backward: 1, Update: 2}[s.Pass]; !part[want] {
				t.Errorf("%d columns on %d devices: forward ends at %d and backward at %d, but %d is %s", c.columns, c.devices, p.Forward, p.Update, i, p.StepName(i))
			}
			for _, a := range s.accesses() {
				if tensor := p.Devices[a.device].Tensors[a.tensor]; a.write && tensor.Segment == State && i < p.Update {
					t.Errorf("%s writes %s", p.StepName(i), tensor.Name)
				}
			}
			if up, ok := s.Action.(Upload); ok {
				uploads[s.Device] = append(uploads[s.Device], up.Slot)
			}
		}
		for device, got := range uploads {
			want := []Slot{Pixels, Views, Labels, Control}
			if device > 0 {
				want = []Slot{Pixels, Views, Control} // labels are for the softmax
			}
			if !slices.Equal(got, want) {
				t.Errorf("device %d is sent %v, want %v", device, got, want)
			}
		}
		if test := compile(t, p.Net, c.devices, Options{Mode: Test}); test.Forward != len(test.Steps) || test.Update != len(test.Steps) {
			t.Errorf("a program that tests has %d steps, forward %d, up to updates %d", len(test.Steps), test.Forward, test.Update)
		}
	}
}

// TestNothingWaitsForTheHost: the next batch comes before the updates, all uploads
// are over when the host has waited for forward, and the loss on its way to the
// host holds nothing up.
func TestNothingWaitsForTheHost(t *testing.T) {
	bare := &model.Net{Name: "bare", Input: model.Shape{C: 3, H: 1, W: 1}, Columns: 2, Data: model.DefaultData(), Train: model.DefaultTrain(),
		Layers: []*model.Layer{{Name: "softmax", Spec: model.Softmax{}, From: []int{model.InputIndex}}}} // what the second device is sent, nobody reads
	for _, problem := range bare.Infer() {
		t.Fatalf("%+v", problem)
	}
	for _, c := range []struct {
		net     *model.Net
		devices int
	}{{testNet(t, 1), 1}, {testNet(t, 2), 1}, {testNet(t, 2), 2}, {bare, 2}} {
		for _, mode := range []Mode{Train, Test} {
			p := compile(t, c.net, c.devices, Options{Mode: mode})
			n, before := len(p.Steps), befores(p)
			heard := func(i int) bool { // by the host, when it waits
				for w := range p.Forward {
					if p.Steps[w].Signal && (w == i || before[w][i]) {
						return true
					}
				}
				return false
			}
			for i := range p.Steps {
				s := &p.Steps[i]
				switch a := s.Action.(type) {
				case Upload:
					for u := p.Update; u < n; u++ {
						if before[n+i][u] && a.Slot != Control {
							t.Errorf("%s of the next batch waits for %s", p.StepName(i), p.StepName(u))
						}
					}
					if !heard(i) {
						t.Errorf("%s may be under way when forward is over", p.StepName(i))
					}
				case Download:
					for w := range p.Steps {
						if slices.Contains(p.Steps[w].Waits, i) && w > i {
							t.Errorf("%s waits for %s", p.StepName(w), p.StepName(i))
						}
					}
					if !s.Signal {
						t.Errorf("the host cannot wait for %s", p.StepName(i))
					}
				}
			}
		}
	}
}

// TestEveryWaitIsNeeded takes away every wait in turn: then something
// must be out of order.
func TestEveryWaitIsNeeded(t *testing.T) {
	p := compile(t, testNet(t, 2), 2, Options{})
	waits := 0
	for i := range p.Steps {
		s := &p.Steps[i]
		all := s.Waits
		for j := range all {
			s.Waits = slices.Delete(slices.Clone(all), j, j+1)
			if len(unordered(p)) == 0 {
				t.Errorf("%d %s need not wait for %d %s", i, p.StepName(i), all[j], p.StepName(all[j]))
			}
			waits++
		}
		s.Waits = all
	}
	if waits == 0 {
		t.Error("the plan has no waits")
	}
}

func TestLayoutSharesOnlyWhatDoesNotMeet(t *testing.T) {
	for _, devices := range []int{1, 2} {
		p := compile(t, testNet(t, 2), devices, Options{})
		for _, d := range p.Devices {
			shared := false
			for i, a := range d.Tensors {
				for _, b := range d.Tensors[:i] {
					if a.Segment != b.Segment || a.Offset >= b.Offset+b.Bytes || b.Offset >= a.Offset+a.Bytes {
						continue
					}
					if shared = true; a.First <= b.Last && b.First <= a.Last {
						t.Errorf("%s: %s and %s share memory while both are in use", d.Name, a.Name, b.Name)
					}
				}
				size := map[Segment]int64{State: d.State, Work: d.Work}[a.Segment]
				if a.Offset%align != 0 || a.Offset+a.Bytes > size {
					t.Errorf("%s: %s lies at %d to %d of %d", d.Name, a.Name, a.Offset, a.Offset+a.Bytes, size)
				}
			}
			if !shared || d.Work >= d.Unshared {
				t.Errorf("%s: nothing is shared: %d of %d bytes", d.Name, d.Work, d.Unshared)
			}
		}
	}
}

// TestWeightsLieAtTheSamePlace lets programs that train and programs that test
// use the same weights.
func TestWeightsLieAtTheSamePlace(t *testing.T) {
	net := testNet(t, 2)
	train, test := compile(t, net, 2, Options{}), compile(t, net, 2, Options{Mode: Test})
	for d := range test.Devices {
		a, b := train.Params(d), test.Params(d)
		for i, param := range b {
			x, y := train.Devices[d].Tensors[a[i].Tensor], test.Devices[d].Tensors[param.Tensor]
			if a[i].Name != param.Name || x.Offset != y.Offset || x.Bytes != y.Bytes {
				t.Errorf("device %d: %s at %d, %s at %d", d, a[i].Name, x.Offset, param.Name, y.Offset)
			}
		}
		if x, y := train.Devices[d].Tensors[train.Devices[d].Mean].Offset, test.Devices[d].Tensors[test.Devices[d].Mean].Offset; x != y {
			t.Errorf("device %d: the mean lies at %d and %d", d, x, y)
		}
	}
}

// TestReluIsFused: a ReLU after a convolution or a full layer, which alone reads
// it, is part of that, unless somebody wants to look at what it is made of.
func TestReluIsFused(t *testing.T) {
	net := testNet(t, 2)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "fused 8, apart 2"},
		{Options{Mode: Test}, "fused 8, apart 2"},
		{Options{KeepAll: true}, "fused 0, apart 10"},
	} {
		fused, apart := 0, 0
		for i, s := range compile(t, net, 2, c.o).Steps {
			if s.Layer < 0 || s.Pass != Forward {
				continue
			}
			name := net.Layers[s.Layer].Name
			launch, _ := s.Action.(Launch)
			relu := false
			switch op := launch.Op.(type) {
			case dnn.ActivationForward:
				apart++
			case dnn.ConvForward:
				relu = op.Relu
			case dnn.FullForward:
				relu = op.Relu
			}
			if !relu {
				continue
			}
			if fused++; net.Layers[s.Layer+1].Spec != (model.Activation{Func: model.Relu}) {
				t.Errorf("step %d: %s has a ReLU", i, name)
			}
		}
		if got := fmt.Sprintf("fused %d, apart %d", fused, apart); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
	}
}

// What is kept is written over by no later layer, shares memory with nothing, and costs
// no more than itself.
func TestKeep(t *testing.T) {
	net := testNet(t, 2)
	for _, devices := range [][]string{{"a"}, {"a", "b"}} {
		plain, err := Compile(net, devices, Options{Batch: 4, Mode: Test})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"conv2", "relu2", "pool1", "fc5", "softmax"} {
			i, err := net.Index(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Compile(net, devices, Options{Batch: 4, Mode: Test, Keep: name})
			if err != nil {
				t.Fatal(err)
			}
			for d, device := range p.Devices {
				kept := device.Outputs[i]
				if kept == 0 {
					continue // the softmax runs on one device
				}
				for s := range p.Steps {
					for _, a := range p.Steps[s].accesses() {
						if a.device == d && a.tensor == kept && a.write && p.Steps[s].Layer > i {
							t.Errorf("%s on %s is written by %s", name, device.Name, p.StepName(s))
						}
					}
				}
				tensor := device.Tensors[kept]
				if tensor.First != 0 || tensor.Last != len(p.Steps)-1 {
					t.Errorf("%s on %s lives from step %d to %d of %d", name, device.Name, tensor.First, tensor.Last, len(p.Steps))
				}
				if more := device.Work - plain.Devices[d].Work; more > padded(tensor.Bytes) {
					t.Errorf("%s on %s has %d bytes, and keeping it takes %d", name, device.Name, tensor.Bytes, more)
				}
			}
		}
	}
	if _, err := Compile(net, []string{"a"}, Options{Batch: 4, Mode: Test, Keep: "fc9"}); err == nil || !strings.Contains(err.Error(), `no layer "fc9"`) {
		t.Error(err)
	}
}

// TestFrozenLayersCostNothing: below the lowest layer that learns there is no
// backward work.
func TestFrozenLayersCostNothing(t *testing.T) {
	net := testNet(t, 1)
	for _, l := range net.Layers[:7] {
		if conv, ok := l.Spec.(model.Conv); ok {
			conv.Params.Rate, conv.Params.BiasRate = 0, 0
			l.Spec = conv
		}
	}
	p := compile(t, net, 1, Options{})
	for i := range p.Steps {
		if s := &p.Steps[i]; s.Pass > Forward && s.Pass != Result && s.Layer != WholeNet && s.Layer < 7 {
			t.Errorf("work for frozen layers: %s", p.StepName(i))
		}
		if launch, ok := p.Steps[i].Action.(Launch); ok {
			if update, ok := launch.Op.(dnn.Update); ok {
				for _, param := range update.Params {
					if param.Index < 7 {
						t.Errorf("an update for frozen layers: %s", p.Devices[0].Tensors[param.W].Name)
					}
				}
			}
			if _, ok := launch.Op.(dnn.LocalBackwardData); ok {
				t.Errorf("a gradient nobody needs: %s", p.StepName(i))
			}
		}
	}
}

// TestUpdates: every parameter learns with the factors that its layer has, over
// the numbers of the train block.
func TestUpdates(t *testing.T) {
	net := testNet(t, 2)
	net.Train.Momentum, net.Train.Decay = 0.75, 0.5
	p := compile(t, net, 1, Options{})
	updates := 0
	for i := range p.Steps {
		launch, _ := p.Steps[i].Action.(Launch)
		u, ok := launch.Op.(dnn.Update)
		if !ok {
			continue
		}
		if u.Momentum != 0.75 {
			t.Errorf("momentum %g", u.Momentum)
		}
		for _, param := range u.Params {
			updates++
			rate, decay := float32(0.5), float32(0.5*3)
			if strings.HasSuffix(p.Devices[0].Tensors[param.W].Name, ".bias") {
				rate, decay = 2, 0.5*0.25
			}
			if param.Rate != rate || param.Decay != decay {
				t.Errorf("%s: %+v", p.Devices[0].Tensors[param.W].Name, param)
			}
		}
	}
	if updates != 12 {
		t.Errorf("%d updates, want 12", updates)
	}
}

func TestCompileErrors(t *testing.T) {
	net := testNet(t, 2)
	grey := *net
	grey.Input.C = 1
	for _, c := range []struct {
		want    string
		net     *model.Net
		devices []string
		o       Options
	}{
		{"cannot place small on 3 devices", net, []string{"a", "b", "c"}, Options{Batch: 1}},
		{"cannot place small on 0 devices", net, nil, Options{Batch: 1}},
		{"batch 0", net, []string{"a"}, Options{}},
		{"3 channels", &grey, []string{"a"}, Options{Batch: 1}},
		{"images of 14x20 are smaller", net, []string{"a"}, Options{Batch: 1, MeanH: 14, MeanW: 20}},
	} {
		if _, err := Compile(c.net, c.devices, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want %q", err, c.want)
		}
	}
}

func TestPrinting(t *testing.T) {
	p := compile(t, testNet(t, 2), 2, Options{})
	var text, js, dot bytes.Buffer
	for _, err := range []error{p.WriteText(&text), p.WriteJSON(&js), p.WriteDOT(&dot)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"conv3", "PeerCopy to cpu:1", "without sharing", "ConvBackwardWeights"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text has no %q", want)
		}
	}
	var out struct {
		Parameters int64
		Layers     []struct{ Shape [3]int }
		Steps      []struct{ Waits []int }
	}
	if err := json.Unmarshal(js.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	parameters, _, _ := p.Net.Totals()
	if out.Parameters != parameters || len(out.Steps) != len(p.Steps) || out.Layers[0].Shape != [3]int{8, 15, 15} {
		t.Errorf("JSON has %d parameters, %d steps, first shape %v", out.Parameters, len(out.Steps), out.Layers[0].Shape)
	}
	if got := strings.Count(dot.String(), "label="); got != len(p.Steps)+2*len(p.Devices) {
		t.Errorf("the graph has %d labels", got)
	}

	p = compile(t, testNet(t, 1), 2, Options{Replicas: 2})
	text.Reset()
	js.Reset()
	dot.Reset()
	if err := errors.Join(p.WriteText(&text), p.WriteJSON(&js), p.WriteDOT(&dot)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		{text.String(), "batch 4, shared by 2 replicas"}, {text.String(), "reduce"}, {js.String(), `"replicas": 2`}, {dot.String(), `label="cpu:1 reduce"`},
	} {
		if !strings.Contains(c.in, c.want) {
			t.Errorf("of replicas there is no %q", c.want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 60965224: "60,965,224", -1234: "-1,234", math.MaxInt64: "9,223,372,036,854,775,807"} {
		if got := Grouped(n); got != want {
			t.Errorf("Grouped(%d) = %s, want %s", n, got, want)
		}
	}
}
