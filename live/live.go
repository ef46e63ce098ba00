// Package live shows a training on a web page while it goes on, and takes orders
// from it: divide the rate, save a checkpoint, stop.
//
// Two sides meet in a [Page]. The training tells it what happens; that is a copy
// under a lock, which nobody holds for longer than another copy takes. The
// server reads it for browsers, which ask about once a second, and draws, decodes
// and encodes what they ask for in its own goroutines. So no browser, however
// slow, holds up a step.
//
// # Who may do what
//
// A [Server] listens on this machine alone unless its address says otherwise.
// There everybody may look on; elsewhere that takes the token of the address that
// the terminal prints, and orders take it everywhere. Requests must name this
// machine by a name of its own or by a number, so that no web site can have a
// browser call here under the site's name (DNS rebinding).
package live

import (
	"slices"
	"sync"
	"time"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/plan"
	"alexnet/train"
)

// Run is what a page says of a run that stays as it is.
type Run struct {
	Name    string   `json:"name"`   // of the network
	Text    string   `json:"text"`   // the network's
	Facts   []Fact   `json:"facts"`  // what else the run is made of
	Layers  []string `json:"layers"` // that learn
	Passes  int      `json:"passes"` // over the training set, 0 if counted in steps
	Classes []string `json:"-"`      // names, by label
	Columns int      `json:"-"`      // of the network
}

// Fact is a line of a table.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Page is what there is to see. It is a [train.Watch]; its other methods are what
// a [train.Config] calls. All may be called by several goroutines.
type Page struct {
	run Run

	mu          sync.Mutex // of what follows
	started     time.Time  // zero before
	first       int64      // steps done then
	step, steps int64
	testing     *count // nil where no test goes on
	train, test curve
	rate        float64
	speed       float64 // images per second
	passes      float64 // a step
	changes     []change
	memory      []memory
	kernels     kernels
	mistakes    mistakes // of the last whole test
	going       mistakes // of the test that goes on
	asked       time.Time
}

// count is how far something has come.
type count struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// change is one of a rate.
type change struct {
	Step  int64  `json:"step"`
	Pass  number `json:"pass"`  // over the training set, with a fraction
	Layer string `json:"layer"` // "" where it is that of all layers
	Rate  number `json:"rate"`
	Why   string `json:"why"`
}

// memory is what a run takes on one device, in bytes.
type memory struct {
	Device string `json:"device"`
	State  int64  `json:"state"` // weights and their momentum
	Work   int64  `json:"work"`  // activations and gradients
}

// kernels are the first layer's weights as they were after step; 0 and nothing
// before they were handed over.
type kernels struct {
	step    int64
	layer   string
	shape   [4]int
	weights []float32 // not changed any more
	taken   time.Time
}

// The bounds of what a page keeps.
const (
	maxChanges = 100
	maxKernels = 1 << 22 // weights, 16 MiB

	kernelsEvery = 2 * time.Second
	lookingOn    = 10 * time.Second // after a browser's last request it counts as gone
)

// NewPage returns a page of a run, and of what its record holds already if it goes
// on from a checkpoint.
func NewPage(r Run, record []metrics.Metric) *Page {
	p := &Page{run: r}
	for _, m := range record {
		p.Log(m)
	}
	return p
}

// Started implements [train.Watch]. What the record says of later steps will be
// done again.
func (p *Page) Started(step, steps int64, programs ...*plan.Program) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started, p.first, p.step, p.steps = time.Now(), step, step, steps
	p.train.cut(step)
	p.test.cut(step)
	p.changes = slices.DeleteFunc(p.changes, func(c change) bool { return c.Step > step })
	for i, d := range programs[0].Devices {
		m := memory{Device: d.Name}
		for _, program := range programs { // they share the memory
			m.State, m.Work = max(m.State, program.Devices[i].State), max(m.Work, program.Devices[i].Work)
		}
		p.memory = append(p.memory, m)
	}
}

// Log takes a line of the record.
func (p *Page) Log(m metrics.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := point{m.Step, m.Epoch, m.Loss, m.Top1Error, m.Top5Error}
	switch m.Kind {
	case metrics.Train:
		p.train.add(at)
		p.rate, p.speed, p.passes = m.Rate, m.ImagesPerSecond, m.Epoch/float64(m.Step)
	case metrics.Test:
		p.test.add(at)
		p.testing = nil
		if p.going.images > 0 { // else the test was before this page
			p.mistakes, p.going = p.going, mistakes{}
			p.mistakes.step = m.Step
		}
	case metrics.Change:
		c := change{m.Step, number(m.Epoch), m.Layer, number(m.Rate), m.Why}
		if slices.Contains(p.changes, c) { // one at a checkpoint's step is told again when the run goes on
			return
		}
		p.changes = append(p.changes, c)
		p.changes = p.changes[max(0, len(p.changes)-maxChanges):]
		if m.Layer == "" {
			p.rate = m.Rate
		}
	}
}

// Progress takes how many steps are done, of how many.
func (p *Page) Progress(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.steps, p.testing = done, total, nil
}

// Testing takes how many images of a test are done, of how many.
func (p *Page) Testing(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.testing = &count{done, total}
}

// Tested implements [train.Watch].
func (p *Page) Tested(image int64, label int32, logits []float64) {
	given := int32(0)
	for c, v := range logits {
		if v > logits[given] {
			given = int32(c)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.going.images++
	if given != label {
		p.going.add(mistake{Image: image, Label: p.class(label), Given: p.class(given), Probability: number(train.Probability(logits, int(given)))})
	}
}

// WantsKernels implements [train.Watch]: every two seconds, and only while
// somebody looks on.
func (p *Page) WantsKernels() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	return now.Sub(p.asked) < lookingOn && now.Sub(p.kernels.taken) >= kernelsEvery
}

// Kernels implements [train.Watch].
func (p *Page) Kernels(step int64, layer string, t *checkpoint.Tensor) {
	k := kernels{step: step, taken: time.Now()}
	if len(t.Shape) == 4 && len(t.Data) <= maxKernels {
		k.layer, k.shape, k.weights = layer, [4]int(t.Shape), slices.Clone(t.Data)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kernels = k
}
