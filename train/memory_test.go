package train

import (
	"runtime/debug"
	"testing"

	"alexnet/internal/measure"
	"alexnet/internal/metrics"
	"alexnet/internal/testenv"
)

// TestMemoryStays: the memory of the process after 3,000 steps, tests and checkpoints
// among them, is what it was after 100, but for what a heap that is collected now and
// then may differ by.
func TestMemoryStays(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector keeps memory of its own")
	}
	const most = 3 << 20 // a KiB a step
	net, set, devices := open(t, "cpu")
	net.Train.Passes = 10_000
	c := config(t, net, set, devices, func(metrics.Metric) {})
	c.Steps = 3000
	resident := map[int64]int64{}
	c.Progress = func(done, _ int64) {
		if done != 100 && done != 3000 {
			return
		}
		debug.FreeOSMemory() // collects first
		bytes, known := measure.Memory("VmRSS")
		if !known {
			t.Skip("this system does not tell how much memory a process has")
		}
		resident[done] = bytes
	}
	check(t, Run(t.Context(), c))
	if grown := resident[3000] - resident[100]; len(resident) != 2 || grown > most {
		t.Errorf("after 100 steps %d bytes are in use, after 3,000 %d more", resident[100], grown)
	}
	t.Logf("%d KiB after 100 steps, %+d KiB after 3,000", resident[100]>>10, (resident[3000]-resident[100])>>10)
}
