package plan_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dsl"
	"alexnet/internal/bfloat16"
	"alexnet/internal/raw"
	"alexnet/internal/testenv"
	"alexnet/model"
	"alexnet/plan"
)

// TestBFloat16: a step in bfloat16 makes the loss and the gradients of one in float32,
// to rounding: on one device and on two, with a network of all kinds of layers and with
// AlexNet, of an eighth its width. The gradients are in the momentum, which begins as 0.
//
// Numbers are off by 2^-9, and each layer of forward and backward adds its own. Where
// what is nearly 0 goes to the other side of a ReLU, or another pixel becomes the largest
// of its window, a whole gradient comes or goes: of 0.4% of the numbers, whose share of
// the norm is the root of that, 6%, in each such layer. With tanh and means in their
// place nothing jumps.
func TestBFloat16(t *testing.T) {
	if testenv.Race {
		t.Skip("it takes half a minute with the race detector")
	}
	for name, c := range map[string]struct {
		net         *model.Net
		ofGradients float64
	}{"small": {plan.SmallNet(t, 2), 0.15}, "alexnet": {tame(eighth(t)), 0.3}, "smooth": {smooth(tame(eighth(t))), 0.05}} {
		t.Run(name, func(t *testing.T) {
			const ofLoss = 0.005
			net := c.net
			nothing := func(*plan.Runner, *plan.Program) {}
			o := plan.Options{Batch: smallBatch}
			plain := runWith(t, net, 1, eachStep, 1, o, nothing)
			o.BFloat16 = true
			for _, on := range []struct{ devices, replicas int }{{1, 1}, {2, 1}, {2, 2}} {
				o.Replicas = on.replicas
				half := runWith(t, net, on.devices, eachStep, 1, o, nothing)
				if d := math.Abs(half.losses[0]-plain.losses[0]) / plain.losses[0]; d > ofLoss || d == 0 {
					t.Errorf("on %+v the loss is %g, in float32 %g", on, half.losses[0], plain.losses[0])
				}
				for name, want := range plain.params {
					if d := distance(half.params[name], want); d > c.ofGradients {
						t.Errorf("on %+v %s is %.3g of its norm from what it is in float32, want up to %g", on, name, d, c.ofGradients)
					}
				}
			}
		})
	}
}

// tame lets the weights of net begin so that numbers stay as large from layer to layer,
// and biases as 0: else what rounding does to large ones drowns the rest.
func tame(net *model.Net) *model.Net {
	for i, l := range net.Layers {
		weight, _ := net.ParamShapes(i)
		fan := 1
		for _, n := range weight[min(1, len(weight)):] {
			fan *= n
		}
		deviation := math.Sqrt(2 / float64(fan))
		if l.From[0] == model.InputIndex {
			deviation /= 74 // of the pixels
		}
		switch s := l.Spec.(type) {
		case model.Conv:
			s.Params.Deviation, s.Params.Bias = deviation, 0
			l.Spec = s
		case model.Full:
			s.Params.Deviation, s.Params.Bias = deviation, 0
			l.Spec = s
		}
	}
	return net
}

// smooth puts tanh and means in the place of ReLU and largest pixels.
func smooth(net *model.Net) *model.Net {
	for _, l := range net.Layers {
		switch s := l.Spec.(type) {
		case model.Activation:
			l.Spec = model.Activation{Func: model.Tanh}
		case model.Pool:
			s.Mode = model.Avg
			l.Spec = s
		}
	}
	return net
}

// distance returns how far x is from y, relative to y's norm.
func distance(x, y []float64) float64 {
	var diff, norm float64
	for i, v := range y {
		diff += (x[i] - v) * (x[i] - v)
		norm += v * v
	}
	return math.Sqrt(diff / norm)
}

// TestCopiesFollow: what the products read are the weights, rounded, from the first
// step on and after each update.
func TestCopiesFollow(t *testing.T) {
	if testenv.Race {
		t.Skip("it takes long with the race detector")
	}
	net := eighth(t)
	for steps := range 3 {
		runWith(t, net, 2, eachStep, steps, plan.Options{Batch: smallBatch, BFloat16: true}, func(r *plan.Runner, p *plan.Program) {
			if steps == 0 { // no update has written them
				return
			}
			for device, d := range p.Devices {
				if len(d.Copies) != 14 { // fc8 has none
					t.Errorf("%d copies, want 14", len(d.Copies))
				}
				for _, op := range d.Copies {
					o := op.(dnn.Narrow)
					size, copied := o.Kernels.Size(), o.Kernels.Copied().Size()
					weights, copies := make([]float32, o.Count*size), make([]uint16, o.Count*copied)
					check(t, r.Read(t.Context(), p, device, o.X, raw.Bytes(weights)))
					check(t, r.Read(t.Context(), p, device, o.Y, raw.Bytes(copies)))
					for i, got := range copies {
						want := float32(0)
						if at := o.Kernels.Place(i % copied); at >= 0 {
							want = weights[i/copied*size+at]
						}
						if got != bfloat16.From(want) {
							t.Fatalf("after %d steps number %d of %s is %g, want %g", steps, i, d.Tensors[o.Y].Name, bfloat16.Float32(got), want)
						}
					}
				}
			}
		})
	}
}

// TestAlexNetInBFloat16: what the plan makes of the paper's network.
func TestAlexNetInBFloat16(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	check(t, err)
	net, err := dsl.Parse("alexnet.net", src)
	check(t, err)
	p, err := plan.Compile(net, []string{"gpu"}, plan.Options{Batch: 4, BFloat16: true})
	check(t, err)
	counts := map[string]int{}
	for i := range p.Steps {
		launch, ok := p.Steps[i].Action.(plan.Launch)
		if !ok {
			continue
		}
		counts[dnn.NameOf(launch.Op)]++
		switch op := launch.Op.(type) {
		case dnn.ConvForward:
			first := dnn.Conv{Batch: 4, Groups: 1, Format: dnn.BFloat16Last, In: dnn.Shape{C: 48, H: 57, W: 57}, Out: dnn.Shape{C: 96, H: 55, W: 55},
				Window: dnn.Window{H: 3, W: 3, Stride: 1}}
			if !op.Relu || op.Format != dnn.BFloat16Last || counts["ConvForward"] == 1 && op.Conv != first {
				t.Errorf("%s: %+v", p.StepName(i), op)
			}
		case dnn.FullForward:
			last := op.Out == 1000
			if (op.Format == dnn.Float32) != last || op.Relu == last {
				t.Errorf("%s: %+v", p.StepName(i), op)
			}
		}
	}
	// Converted are pool5 to the order of full layers, what fc8 reads to float32, and the
	// gradients of both back. conv3 to conv5, fc6 and fc7 have a ReLU's gradient of
	// their own.
	for op, want := range map[string]int{"ConvForward": 5, "FullForward": 3, "NormPoolForward": 2, "NormPoolBackward": 2, "LRNForward": 0, "MaxPoolForward": 1,
		"ActivationForward": 0, "ActivationBackward": 5, "Convert": 4, "Update": 1} {
		if counts[op] != want {
			t.Errorf("%d times %s, want %d", counts[op], op, want)
		}
	}
	if n := len(p.Devices[0].Copies); n != 14 {
		t.Errorf("copies of %d parameters, want 14", n)
	}
	plain, err := plan.Compile(net, []string{"gpu"}, plan.Options{Batch: 4})
	check(t, err)
	if float64(p.Devices[0].Work) > 0.7*float64(plain.Devices[0].Work) {
		t.Errorf("activations and gradients take %d bytes, in float32 %d", p.Devices[0].Work, plain.Devices[0].Work)
	}

	// The test's program has weights and copies at the same places.
	test, err := plan.Compile(net, []string{"gpu"}, plan.Options{Batch: 4, Mode: plan.Test, BFloat16: true})
	check(t, err)
	for i, op := range test.Devices[0].Copies {
		a, b := op.(dnn.Narrow), p.Devices[0].Copies[i].(dnn.Narrow)
		at := func(p *plan.Program, t dnn.Tensor) int64 { return p.Devices[0].Tensors[t].Offset }
		if at(test, a.X) != at(p, b.X) || at(test, a.Y) != at(p, b.Y) {
			t.Errorf("copy %d is elsewhere to test than to train", i)
		}
	}
}

// TestPeerCopiesInBFloat16: between columns half as much is copied as in float32, by
// as many copies, but for what fc8 and the softmax read and their gradients. Copies of
// maps with channels last are of one piece.
func TestPeerCopiesInBFloat16(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	check(t, err)
	net, err := dsl.Parse("alexnet.net", src)
	check(t, err)
	var bytes [2][]int64
	for i, half := range []bool{false, true} {
		p, err := plan.Compile(net, []string{"a", "b"}, plan.Options{Batch: 4, BFloat16: half})
		check(t, err)
		for s := range p.Steps {
			if peer, ok := p.Steps[s].Action.(plan.Peer); ok {
				if r := peer.Rows; r.Format == dnn.BFloat16Last && (r.SrcStride != r.Width || r.DstStride != r.Width) {
					t.Errorf("%s: rows of %d, %d and %d apart", p.StepName(s), r.Width, r.SrcStride, r.DstStride)
				}
				n := peer.Bytes()
				if half && peer.Rows.Format != dnn.Float32 {
					n *= 2
				}
				if to := p.Devices[peer.To].Tensors[peer.Dst].Name; (peer.Rows.Format == dnn.Float32) != (!half || strings.Contains(to, "fc8")) {
					t.Errorf("in bfloat16 %v: %s is copied in %v", half, to, peer.Rows.Format)
				}
				bytes[i] = append(bytes[i], n)
			}
		}
	}
	if !slices.Equal(bytes[0], bytes[1]) {
		t.Errorf("copies of %d bytes in float32, twice or as much %d in bfloat16", bytes[0], bytes[1])
	}
}

// TestImagesInBFloat16: whatever reads the images, on one device and on two, can be
// planned and run.
func TestImagesInBFloat16(t *testing.T) {
	for name, first := range map[string]string{
		"activation":    "relu\nconv 4 3x3 init 0.002",
		"pool":          "maxpool 2x2 stride 2\nconv 4 3x3 init 0.002",
		"local":         "local 4 3x3 init 0.002",
		"norm and pool": "lrn size 3 alpha 0.1 beta 0.75 k 2\nmaxpool 2x2 stride 2\nconv 4 3x3 init 0.002",
		"full":          "full 8 init 0.002",
		"two":           "a conv 4 3x3 pad 1 init 0.002\nb conv 4 3x3 pad 1 from input init 0.002\nc conv 4 3x3 from a, b init 0.002",
		"hanging over":  "conv 4 4x4 stride 3 ceil init 0.002",
		"wide stride":   "conv 4 2x2 stride 3 init 0.002",
	} {
		net, err := dsl.Parse(name, []byte("net first\ninput 3x9x9\n"+first+"\nfull 4 init 0.1\nsoftmax\n"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		nothing := func(*plan.Runner, *plan.Program) {}
		plain := runWith(t, net, 1, eachStep, 1, plan.Options{Batch: smallBatch}, nothing)
		half := runWith(t, net, 1, eachStep, 1, plan.Options{Batch: smallBatch, BFloat16: true}, nothing)
		if d := math.Abs(half.losses[0]-plain.losses[0]) / plain.losses[0]; !(d <= 0.02) {
			t.Errorf("%s: the loss is %g, in float32 %g", name, half.losses[0], plain.losses[0])
		}
	}
}

// TestKeepInBFloat16: a layer that is to be looked at can be, in float32 and with
// channels first, even one that a pool would have done.
func TestKeepInBFloat16(t *testing.T) {
	net := plan.SmallNet(t, 2)
	for i, l := range net.Layers {
		if _, ok := l.Spec.(model.Softmax); ok {
			continue
		}
		p, err := plan.Compile(net, []string{"gpu"}, plan.Options{Batch: 4, Mode: plan.Test, BFloat16: true, Keep: l.Name})
		check(t, err)
		out := p.Devices[0].Tensors[p.Devices[0].Outputs[i]]
		if want := int64(4 * 4 * l.Out.Size()); out.Bytes != want {
			t.Errorf("%s: %s has %d bytes, want %d", l.Name, out.Name, out.Bytes, want)
		}
	}
	if _, err := plan.Compile(net, []string{"gpu"}, plan.Options{Batch: 4, BFloat16: true, KeepAll: true}); err == nil {
		t.Error("all outputs are kept in bfloat16")
	}
}

// heads are ways to end a network: all layers from the first on make logits.
var heads = map[string]string{
	"full":          "head full 6 across init 0.1",
	"conv":          "head conv 2 3x3 across init 0.1",
	"local":         "head local 2 3x3 init 0.1",
	"relu":          "head full 6 across init 0.1\nrelu",
	"tanh":          "head full 6 across init 0.1\ntanh",
	"pool":          "head conv 4 1x1 across init 0.1\nrelu\navgpool 2x2 stride 2",
	"dropout":       "head full 6 across init 0.1\ndropout 0.5",
	"norm and pool": "head conv 4 1x1 across init 0.1\nrelu\nlrn size 3 alpha 0.1 beta 0.75 k 2\nmaxpool 2x2 stride 2",
	"two":           "head full 4 across init 0.1\nb full 2 across from body init 0.1\nsoftmax from head, b",
	"two readers":   "head full 4 across init 0.1\nb full 2 across init 0.1\nsoftmax from head, b",
	"long way":      "head conv 4 3x3 pad 1 init 0.1\nb conv 4 3x3 pad 1 init 0.1\nsoftmax from head, b",
}

func withHead(t *testing.T, name, body string) *model.Net {
	t.Helper()
	head := heads[name]
	if body == "" {
		head = strings.ReplaceAll(head, "init 0.1", "init 0.002") // of pixels
	}
	text := "net head\ninput 3x11x11\ncolumns 2\n" + body + "\n" + head + "\n"
	if !strings.Contains(text, "softmax") {
		text += "softmax\n"
	}
	net, err := dsl.Parse(name, []byte(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return net
}

// TestLogitsAreFloat32: whatever ends a network in bfloat16, no number between the last
// weights and the softmax is rounded to bfloat16. Loss and gradients equal the ones in
// float32, to rounding, on one device, two and replicas. Simulated GPUs run it.
func TestLogitsAreFloat32(t *testing.T) {
	nothing := func(*plan.Runner, *plan.Program) {}
	for name := range heads {
		for _, body := range []string{"body conv 4 3x3 stride 2 init 0.002\ntanh", ""} {
			if body == "" && name == "two" {
				continue
			}
			net := withHead(t, name, body)
			first, err := net.Index("head")
			check(t, err)
			plain := runWith(t, net, 1, eachStep, 1, plan.Options{Batch: smallBatch}, nothing)
			for _, on := range []struct{ devices, replicas int }{{1, 1}, {2, 1}, {2, 2}} {
				o := plan.Options{Batch: smallBatch, Replicas: on.replicas, BFloat16: true}
				p := compileFor(t, net, on.devices, o)
				for i := range p.Steps {
					s := &p.Steps[i]
					launch, ok := s.Action.(plan.Launch)
					if !ok || s.Layer < first || s.Pass != plan.Forward && s.Pass != plan.Backward {
						continue
					}
					needs, err := dnn.Needs(launch.Op)
					check(t, err)
					for _, n := range needs {
						if n.Numbers && n.Format != dnn.Float32 {
							t.Errorf("%s after %q on %+v: %s has %s in %v", name, body, on, p.StepName(i), n.Name, n.Format)
						}
					}
				}
				half := runWith(t, net, on.devices, eachStep, 1, o, nothing)
				if d := math.Abs(half.losses[0]-plain.losses[0]) / plain.losses[0]; !(d <= 0.005) {
					t.Errorf("%s after %q on %+v: the loss is %g, in float32 %g", name, body, on, half.losses[0], plain.losses[0])
				}
				for param, want := range plain.params {
					if d := distance(half.params[param], want); !(d <= 0.05) {
						t.Errorf("%s after %q on %+v: %s is %.3g of its norm from what it is in float32", name, body, on, param, d)
					}
				}
			}
			p := compileFor(t, net, 2, plan.Options{Batch: simBatch, BFloat16: true})
			_, races, _ := simulateLaunching(t, allAtOnce, cuda.Options{Precision: cuda.BF16}, net, p, 1, 0, 1)
			if len(races) > 0 {
				t.Errorf("%s after %q: races %v", name, body, races)
			}
		}
	}
}
