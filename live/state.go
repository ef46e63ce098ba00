package live

import (
	"math"
	"time"
)

// state is what a browser asks for again and again.
type state struct {
	Started     bool     `json:"started"`
	Step        int64    `json:"step"`
	Steps       int64    `json:"steps"`
	Pass        number   `json:"pass"`         // with a fraction
	SecondsLeft number   `json:"seconds_left"` // null where it is not known yet
	Testing     *count   `json:"testing"`      // images, null where no test goes on
	Rate        number   `json:"rate"`
	Speed       number   `json:"images_per_second"`
	Train       points   `json:"train"`
	Test        points   `json:"test"`
	Changes     []change `json:"changes"`
	Memory      []memory `json:"memory"`
	Kernels     shown    `json:"kernels"`
	Mistakes    wrong    `json:"mistakes"`
}

// points are those of a curve from number From on; those before stay.
type points struct {
	Version int     `json:"version"`
	From    int     `json:"from"`
	Points  []point `json:"points"`
}

// shown says which kernels there are.
type shown struct {
	Step  int64  `json:"step"`
	Layer string `json:"layer"` // "" where there are none
}

// wrong is the mistakes of the test after a step.
type wrong struct {
	Step int64     `json:"step"` // 0 before the first test
	List []mistake `json:"list"`
}

// look returns the state, with the points that come after those that the browser
// has, and notes that somebody looks on.
func (p *Page) look(train, test have) state {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.asked = now
	s := state{
		Started: !p.started.IsZero(), Step: p.step, Steps: p.steps, Pass: number(float64(p.step) * p.passes), SecondsLeft: number(math.NaN()), Testing: p.testing,
		Rate: number(p.rate), Speed: number(p.speed),
		Train: p.train.after(train), Test: p.test.after(test),
		Changes: append([]change{}, p.changes...), Memory: append([]memory{}, p.memory...),
		Kernels:  shown{p.kernels.step, p.kernels.layer},
		Mistakes: wrong{p.mistakes.step, append([]mistake{}, p.mistakes.list...)},
	}
	if done := p.step - p.first; done > 0 {
		s.SecondsLeft = number(now.Sub(p.started).Seconds() / float64(done) * float64(p.steps-p.step))
	}
	return s
}
