package train

import (
	"encoding/json"
	"fmt"
	"math"

	"alexnet/model"
)

// schedule is how the learning rate has come down so far (section 5). It is
// kept in checkpoints.
type schedule struct {
	Tested  int     `json:"tested"`  // passes after which the network was tested
	Divided int     `json:"divided"` // times that the rate was divided on a plateau
	Best    float64 `json:"best"`    // lowest test error, top-1
	Since   int     `json:"since"`   // passes since then, or since the rate was divided
}

func newSchedule() schedule { return schedule{Best: math.MaxFloat64} }

func (s *schedule) marshal() string {
	b, _ := json.Marshal(s) // of numbers that are finite: cannot fail
	return string(b)
}

func parseSchedule(text string) (schedule, error) {
	s := newSchedule()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("the state of the schedule, %q: %w", text, err)
	}
	return s, nil
}

// rate returns ε after so many whole passes.
func (s *schedule) rate(t model.Train, passes int64) float64 {
	times := s.Divided
	for _, at := range t.Divide.At {
		if passes >= int64(at) {
			times++
		}
	}
	if times == 0 {
		return t.Rate
	}
	return t.Rate / math.Pow(t.Divide.By, float64(times))
}

// tested takes the test error of a pass and reports whether it is the lowest.
func (s *schedule) tested(t model.Train, top1 float64) (best bool) {
	if top1 < s.Best {
		s.Best, s.Since = top1, 0
		return true
	}
	s.Since++
	d := t.Divide
	if d.By != 0 && len(d.At) == 0 && s.Since >= d.Plateau && s.Divided < d.Times {
		s.Divided++
		s.Since = 0
	}
	return false
}
