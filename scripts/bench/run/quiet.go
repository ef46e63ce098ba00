package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"alexnet/internal/measure"

	"github.com/urfave/cli/v2"
)

// Load is how busy other programs, and other machines on the same hardware, kept the
// cores while something was measured.
type Load struct {
	Limit    float64   `json:"limit_cores"` // above which a measurement is repeated
	Rounds   []float64 `json:"cores"`       // the most in a measurement of each round
	Repeated int       `json:"repeated"`    // measurements
}

// quiet takes measurements again that other programs may have slowed down.
type quiet struct {
	limit float64 // cores
	log   io.Writer
	load  *Load // of the result; nil where the system does not tell

	clock func() (usage, error)           // clockNow but in tests
	pause func(ctx context.Context) error // before a repetition
}

// tries is how often a case is measured in a round before the program gives up.
const tries = 6

// othersFlag sets the limit.
func othersFlag() cli.Flag {
	return &cli.Float64Flag{Name: "others", Value: 0.05 * float64(runtime.NumCPU()),
		Usage: "repeat what was measured while other programs kept more than so many `CORES` busy; the table names the most"}
}

func newQuiet(c *cli.Context) (*quiet, error) {
	q := &quiet{limit: c.Float64("others"), log: c.App.ErrWriter, clock: clockNow, pause: pause}
	if !(q.limit >= 0 && q.limit <= float64(runtime.NumCPU())) {
		return nil, usagef("-others %g: want from 0 to the %d cores of this machine", q.limit, runtime.NumCPU())
	}
	if _, err := q.clock(); err == nil {
		q.load = &Load{Limit: q.limit}
	}
	return q, nil
}

// measure runs m until other programs kept at most limit cores busy meanwhile, and
// says how many they did. NaN: the system does not tell.
func (q *quiet) measure(ctx context.Context, m measurement) (figure, others float64, err error) {
	if q.load == nil {
		figure, err = m.run(ctx)
		return figure, math.NaN(), err
	}
	least := math.Inf(1)
	for try := range tries {
		before, err := q.clock()
		if err != nil {
			return 0, 0, err
		}
		if figure, err = m.run(ctx); err != nil {
			return 0, 0, err
		}
		after, err := q.clock()
		if err != nil {
			return 0, 0, err
		}
		if others = after.others(before); others <= q.limit {
			return figure, others, nil
		}
		least = min(least, others)
		fmt.Fprintf(q.log, "%s: other programs kept %.2f cores busy, more than %.2f: try %d of %d does not count\n", m.name, others, q.limit, try+1, tries)
		if try+1 < tries {
			q.load.Repeated++
			if err := q.pause(ctx); err != nil {
				return 0, 0, err
			}
		}
	}
	return 0, 0, fmt.Errorf("other programs kept at least %.2f cores busy in each of %d tries, more than the %.2f allowed; run it when the machine is idle, or allow more with -others", least, tries, q.limit)
}

// round adds what other programs did in a round.
func (q *quiet) round(most float64) {
	if q.load != nil {
		q.load.Rounds = append(q.load.Rounds, most)
	}
}

// pause lets what disturbs come to its end.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(5 * time.Second):
		return nil
	}
}

// usage is the time that processors were busy, in seconds since some moment.
type usage struct {
	at   time.Time
	all  float64 // all cores, with whatever
	ours float64 // this program and those that it waited for
}

// others returns how many cores were busy with other work since before.
func (u usage) others(before usage) float64 {
	cores := (u.all - before.all - (u.ours - before.ours)) / u.at.Sub(before.at).Seconds()
	return min(max(0, cores), float64(runtime.NumCPU())) // the clocks tick apart
}

// clockNow is known on Linux alone.
func clockNow() (u usage, err error) {
	if u.all, err = busy(measure.FromFile("/proc/stat", "cpu ")); err != nil {
		return u, err
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			return u, err
		}
		u.ours += time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	u.at = time.Now()
	return u, nil
}

// busy returns the seconds in which cores were not idle, from the first line of
// /proc/stat.
func busy(line string) (seconds float64, err error) {
	// user, nice, system, idle, waiting for input or output, two of interrupts, and
	// stolen by other machines; what follows is in user and nice already.
	const idle, waiting, fields, perSecond = 3, 4, 8, 100
	all := strings.Fields(line)
	if len(all) < fields {
		return 0, fmt.Errorf("the system does not say how busy it is: %q", line)
	}
	for i, field := range all[:fields] {
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != idle && i != waiting {
			seconds += float64(ticks) / perSecond
		}
	}
	return seconds, nil
}

// line says it in a table.
func (l *Load) line() string {
	if l == nil {
		return "- how busy other programs were is not known on this system\n"
	}
	var rounds []string
	for _, cores := range l.Rounds {
		rounds = append(rounds, fmt.Sprintf("%.2f", cores))
	}
	s := fmt.Sprintf("- cores that other programs kept busy, the most in a measurement of each round: %s", strings.Join(rounds, ", "))
	if l.Repeated > 0 {
		s += fmt.Sprintf("; %d measurements were repeated, as it was more than %.2f", l.Repeated, l.Limit)
	}
	return s + "\n"
}
