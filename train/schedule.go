package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"alexnet/model"
)

// schedule is how the learning rates have come down so far (section 5). It is
// kept in checkpoints.
type schedule struct {
	Tested  int                `json:"tested"`            // passes after which the network was tested
	Divided int                `json:"divided"`           // times that the rate was divided on a plateau
	Best    float64            `json:"best"`              // lowest test error, top-1
	Since   int                `json:"since"`             // passes since then, or since the rate was divided
	ByHand  map[string]float64 `json:"by_hand,omitempty"` // by what people divided a layer's rate, or "": all rates
	Changes []change           `json:"changes,omitempty"` // of the rates so far
}

// change is a rate that became another after a step.
type change struct {
	Step  int64   `json:"step"`
	Layer string  `json:"layer,omitempty"` // whose it is, or "": of all that have none of their own
	Rate  float64 `json:"rate"`
	Why   string  `json:"why"`
}

func newSchedule() schedule { return schedule{Best: math.MaxFloat64} }

// marshal returns s as JSON. It fails if a number is not finite, which JSON does not
// have.
func (s *schedule) marshal() (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("the state of the schedule: %w", err)
	}
	return string(b), nil
}

func parseSchedule(text string) (schedule, error) {
	s := newSchedule()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("the state of the schedule, %.200q: %w", text, err)
	}
	return s, nil
}

// check finds what no training of net leaves after so many steps and passes.
func (s *schedule) check(net *model.Net, step, passes int64) error {
	switch {
	case s.Tested < 0 || int64(s.Tested) > passes:
		return fmt.Errorf("it was tested after %d passes, and %d are done", s.Tested, passes)
	case s.Divided < 0 || s.Since < 0:
		return fmt.Errorf("the rate was divided %d times, and %d passes went by since", s.Divided, s.Since)
	case !(s.Best >= 0) || s.Best > 1 && s.Best != math.MaxFloat64:
		return fmt.Errorf("the lowest test error is %g", s.Best)
	}
	for layer, by := range s.ByHand {
		if layer != "" && net.Named(layer) == nil {
			return fmt.Errorf("the rate of %s was divided by hand, and there is no such layer", layer)
		}
		if !positive(by) {
			return fmt.Errorf("the rate was divided by hand by %g", by)
		}
	}
	last := int64(0)
	for _, c := range s.Changes {
		if c.Step < last || c.Step > step || !(c.Rate >= 0 && c.Rate <= math.MaxFloat64) {
			return fmt.Errorf("the rate became %g after step %d, and %d steps are done", c.Rate, c.Step, step)
		}
		last = c.Step
	}
	file := newSchedule() // without what people did, the network's file may still divide a rate down to 0
	file.Divided = min(s.Divided, net.Train.Divide.Times)
	own := file.rates(net, int64(s.Tested)).all()
	for i, rate := range s.rates(net, int64(s.Tested)).all() {
		if stands := float32(rate) == 0 && float32(own[i]) == 0; !stands && !(rate >= math.SmallestNonzeroFloat32 && rate <= math.MaxFloat32) {
			return fmt.Errorf("the rate is %g", rate)
		}
	}
	return nil
}

// positive reports whether v is finite and more than 0.
func positive(v float64) bool { return v > 0 && v <= math.MaxFloat64 }

func (s *schedule) clone() schedule {
	c := *s
	c.ByHand, c.Changes = maps.Clone(s.ByHand), slices.Clone(s.Changes)
	return c
}

// rates are what layers learn at, ε of section 5.
type rates struct {
	base  float64   // of those that have none of their own
	layer []float64 // of each layer of the network
}

func (r rates) all() []float64 { return append(slices.Clone(r.layer), r.base) }

// rates returns the rates after so many whole passes.
func (s *schedule) rates(net *model.Net, passes int64) rates {
	t, own := net.Train, map[string]float64{}
	base, times, divide := t.Rate, s.Divided, t.Divide.At // s.Divided is 0 where rates are set
	divideUntil := func(pass int64) {
		for ; len(divide) > 0 && int64(divide[0]) <= pass; divide = divide[1:] {
			times++
			for layer := range own {
				own[layer] /= t.Divide.By
			}
		}
	}
	for _, a := range t.At {
		if int64(a.Passes) > passes {
			break
		}
		divideUntil(int64(a.Passes))
		if a.Layer != "" {
			own[a.Layer] = a.Rate
			continue
		}
		base, times = a.Rate, 0
	}
	divideUntil(passes)
	if times > 0 {
		base /= math.Pow(t.Divide.By, float64(times))
	}
	if all, ok := s.ByHand[""]; ok {
		base /= all
	}
	r := rates{base: base, layer: make([]float64, len(net.Layers))}
	for i, l := range net.Layers {
		r.layer[i] = base
		if rate, ok := own[l.Name]; ok {
			r.layer[i] = rate
			if all, ok := s.ByHand[""]; ok {
				r.layer[i] /= all
			}
		}
		if by, ok := s.ByHand[l.Name]; ok {
			r.layer[i] /= by
		}
	}
	return r
}

// divideByHand divides a layer's rate, or with layer "" all rates.
func (s *schedule) divideByHand(layer string, by float64) {
	if s.ByHand == nil {
		s.ByHand = map[string]float64{}
	}
	if before, ok := s.ByHand[layer]; ok {
		by *= before
	}
	s.ByHand[layer] = by
}

// changed records which rates of net are others than they were, and returns
// those changes.
func (s *schedule) changed(net *model.Net, from, to rates, step int64, why string) []change {
	first := len(s.Changes)
	if from.base != to.base {
		s.Changes = append(s.Changes, change{Step: step, Rate: to.base, Why: why})
	}
	for i, l := range net.Layers {
		own := from.layer[i] != from.base || to.layer[i] != to.base
		if l.Learns() && own && from.layer[i] != to.layer[i] {
			s.Changes = append(s.Changes, change{Step: step, Layer: l.Name, Rate: to.layer[i], Why: why})
		}
	}
	return s.Changes[first:]
}

// tested takes the test error after so many passes and reports whether it is the
// lowest. A step may have ended several passes since the last test: all count.
func (s *schedule) tested(t model.Train, top1 float64, passes int) (best bool) {
	if top1 < s.Best {
		s.Best, s.Since = top1, 0
		return true
	}
	s.Since += passes - s.Tested
	d := t.Divide
	if d.By != 0 && len(d.At) == 0 && s.Since >= d.Plateau && s.Divided < d.Times {
		s.Divided++
		s.Since = 0
	}
	return false
}
