package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"alexnet/internal/measure"
)

// otherWork returns how many cores are busy while this program waits: with other
// programs or, on a virtual machine, with other machines. It is known on Linux alone.
func otherWork(ctx context.Context) (float64, error) {
	const file, wait = "/proc/stat", time.Second
	before := measure.FromFile(file, "cpu ")
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(wait):
	}
	share, err := busy(before, measure.FromFile(file, "cpu "))
	return share * float64(runtime.NumCPU()), err
}

// busy returns the share of the time between two states of /proc/stat's first
// line in which the cores were not idle.
func busy(before, after string) (float64, error) {
	// user, nice, system, idle, waiting for input or output, two of interrupts, and
	// stolen by other machines; what follows is in user and nice already.
	const idle, waiting, fields = 3, 4, 8
	b, a := strings.Fields(before), strings.Fields(after)
	if len(b) < fields || len(a) < fields {
		return 0, fmt.Errorf("the system does not say how busy it is: %q", after)
	}
	var unused, total float64
	for i := range fields {
		from, err := strconv.ParseUint(b[i], 10, 64)
		if err != nil {
			return 0, err
		}
		to, err := strconv.ParseUint(a[i], 10, 64)
		if err != nil {
			return 0, err
		}
		d := float64(to) - float64(from)
		total += d
		if i == idle || i == waiting {
			unused += d
		}
	}
	if total <= 0 {
		return 0, fmt.Errorf("the system's clocks stand still: %q", after)
	}
	return 1 - unused/total, nil
}
