package plan

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"alexnet/dnn"
	"alexnet/dsl"
)

// Segments are those of p, for tests of other packages.
func (p *Program) Segments() [][]int { return p.segments() }

// TestSegments: in alexnet.net on one device, all operations but one are in one of
// four segments: up to dropout, which needs what is uploaded last, up to the loss,
// backward, and the updates. On two devices the times that they meet cut them short.
func TestSegments(t *testing.T) {
	src, err := os.ReadFile("../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	net, err := dsl.Parse("alexnet.net", src)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names       []string
		mode        Mode
		most, alone int // segments, and operations that are in none
	}{
		{[]string{"a"}, Train, 3, 2}, {[]string{"a"}, Test, 1, 1},
		{[]string{"a", "b"}, Train, 20, 40}, {[]string{"a", "b"}, Test, 6, 24},
	} {
		p, err := Compile(net, c.names, Options{Batch: 2, Mode: c.mode})
		if err != nil {
			t.Fatal(err)
		}
		in := map[int]bool{}
		segments := p.segments()
		for _, s := range segments {
			checkSegment(t, p, s)
			for _, i := range s {
				if in[i] {
					t.Errorf("%s is in two segments", p.StepName(i))
				}
				in[i] = true
			}
		}
		alone := 0
		for i := range p.Steps {
			if _, launch := p.Steps[i].Action.(Launch); launch && !in[i] {
				alone++
			}
		}
		if len(segments) > c.most || alone > c.alone {
			t.Errorf("%v, mode %v: %d segments and %d operations alone, want at most %d and %d", c.names, c.mode, len(segments), alone, c.most, c.alone)
		}
	}
}

// checkSegment checks all that segments promises but that there is none longer.
func checkSegment(t *testing.T, p *Program, segment []int) {
	t.Helper()
	first, last := segment[0], segment[len(segment)-1]
	name := fmt.Sprintf("%s to %s", p.StepName(first), p.StepName(last))
	if len(segment) < 2 {
		t.Errorf("%s: one step", name)
	}
	for _, border := range []int{p.Forward, p.Update} {
		if first < border && last >= border {
			t.Errorf("%s crosses from one part to the next", name)
		}
	}
	var stream []int // all of the stream's steps from the first to the last
	for i := first; i <= last; i++ {
		if s := p.Steps[i]; s.Device == p.Steps[first].Device && s.Stream == p.Steps[first].Stream {
			stream = append(stream, i)
		}
	}
	if !slices.Equal(stream, segment) {
		t.Errorf("%s: steps %v, but on the stream are %v", name, segment, stream)
	}
	for _, i := range segment {
		s := p.Steps[i]
		if _, launch := s.Action.(Launch); !launch || i > first && len(s.Waits) > 0 || i < last && s.Signal {
			t.Errorf("%s: %s cannot be inside", name, p.StepName(i))
		}
	}
}

// TestSegmentEnds: each thing that ends a segment does, and nothing else.
func TestSegmentEnds(t *testing.T) {
	op := Step{Action: Launch{dnn.Scale{}}, Stream: Compute}
	upload := Step{Action: Upload{}, Stream: Compute}
	with := func(s Step, change func(*Step)) Step { change(&s); return s }
	signal := with(op, func(s *Step) { s.Signal = true })
	waits := func(on int) Step { return with(op, func(s *Step) { s.Waits = []int{on} }) }
	other := with(op, func(s *Step) { s.Device = 1 })
	copied := with(signal, func(s *Step) { s.Stream, s.Action = Copy, Peer{} })
	for name, c := range map[string]struct {
		steps []Step
		want  [][]int
	}{
		"nothing":                   {nil, nil},
		"one":                       {[]Step{op}, nil},
		"all":                       {[]Step{op, op, op, op}, [][]int{{0, 1, 2, 3}}},
		"a signal at the end":       {[]Step{op, signal, op, op}, [][]int{{0, 1}, {2, 3}}},
		"a signal at once":          {[]Step{signal, op, op}, [][]int{{1, 2}}},
		"a wait":                    {[]Step{op, copied, op, waits(1), op}, [][]int{{0, 2}, {3, 4}}},
		"an upload":                 {[]Step{op, op, upload, op, op}, [][]int{{0, 1}, {3, 4}}},
		"two devices":               {[]Step{op, other, op, other, copied}, [][]int{{0, 2}, {1, 3}}},
		"a wait for the run before": {[]Step{waits(4), op, op, op, copied}, [][]int{{0, 1, 2, 3}}},
		"what would be of this run": {[]Step{waits(2), op, copied, op, op}, [][]int{{0, 1}, {3, 4}}},
	} {
		p := &Program{Devices: make([]*Device, 2), Steps: c.steps, Forward: len(c.steps), Update: len(c.steps)}
		if got := p.segments(); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	p := &Program{Devices: make([]*Device, 1), Steps: []Step{op, op, op, op, op, op}, Forward: 2, Update: 4}
	if got, want := p.segments(), [][]int{{0, 1}, {2, 3}, {4, 5}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("parts: %v, want %v", got, want)
	}
}
