package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far long work has come: a bar with rate and time left on a
// terminal, a plain line now and then elsewhere. Several goroutines may use it.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	what     string // "training"
	unit     string // "steps"
	state    string // ", loss 2.3", or nothing
	terminal bool
	bar      *progressbar.ProgressBar
	started  time.Time
	first    int64 // done when it started: a resumed run does not start at 0
	told     time.Time
}

// every is how often a plain line is printed.
const every = 10 * time.Second

func newProgress(w io.Writer, what, unit string) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, what: what, unit: unit, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// update takes the count of what is done and of all there is.
func (p *progress) update(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.started.IsZero() {
		p.started, p.told, p.first = now, now, done
	}
	if p.terminal {
		if p.bar == nil || p.bar.GetMax64() != total {
			p.bar = progressbar.NewOptions64(total,
				progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(p.what),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(p.unit),
				progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(30),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		p.bar.Set64(done) // fails only if it cannot draw, which is no reason to stop
		return
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	rate := float64(done-p.first) / now.Sub(p.started).Seconds()
	left := "?"
	if rate > 0 {
		left = time.Duration(float64(total-done) / rate * float64(time.Second)).Round(time.Second).String()
	}
	fmt.Fprintf(p.w, "%s: %d of %d %s, %.4g %s/s, %s left%s\n", p.what, done, total, p.unit, rate, p.unit, left, p.state)
}

// updateInt is update for those who count in ints.
func (p *progress) updateInt(done, total int) { p.update(int64(done), int64(total)) }

// describe says how the work goes, beside how far it is.
func (p *progress) describe(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = ", " + fmt.Sprintf(format, args...)
	if p.bar != nil {
		p.bar.Describe(p.what + p.state)
	}
}

// printf prints a line above the bar.
func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear() // as above
	}
	fmt.Fprintf(p.w, format+"\n", args...)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear() // as above
		p.bar = nil
	}
	p.started = time.Time{}
}
