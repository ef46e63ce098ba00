package plan_test

import (
	"cmp"
	"fmt"
	"os"
	"testing"
	"time"

	"alexnet/bench"
	"alexnet/dnn/cuda"
	"alexnet/dsl"
	"alexnet/internal/devices"
	"alexnet/plan"
)

// The benchmarks run on the CPU unless the environment names other devices, as
// -devices, -precision and -autotune of alexnet train do:
//
//	ALEXNET_BENCH_DEVICES=cuda:0 ALEXNET_BENCH_PRECISION=bf16 ALEXNET_BENCH_AUTOTUNE=1 \
//		go test ./plan -run '^$' -bench AlexNet/batch1024
const (
	benchDevices   = "ALEXNET_BENCH_DEVICES"
	benchPrecision = "ALEXNET_BENCH_PRECISION"
	benchAutotune  = "ALEXNET_BENCH_AUTOTUNE"
)

// BenchmarkAlexNet times a training step of alexnet.net, without loading images:
// at a batch that a CPU gets done, and on other devices at those of the paper and
// of large GPUs as well.
func BenchmarkAlexNet(b *testing.B) {
	batches := []int{32}
	if os.Getenv(benchDevices) != "" {
		batches = append(batches, 128, 1024)
	}
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) { benchmarkStep(b, "../alexnet.net", batch) })
	}
}

// BenchmarkCIFAR10Quick is the same for the small network for CIFAR-10.
func BenchmarkCIFAR10Quick(b *testing.B) {
	benchmarkStep(b, "../nets/cifar10-quick.net", 128)
}

func benchmarkStep(b *testing.B, path string, batch int) {
	src, err := os.ReadFile(path)
	check(b, err)
	net, err := dsl.Parse(path, src)
	check(b, err)
	on, ctx := openBench(b), b.Context()
	step, err := bench.NewStep(ctx, net, on.Placement, plan.Options{Batch: batch})
	check(b, err)
	b.Cleanup(func() { check(b, step.Close()) })
	p := step.Program

	// The host does not wait for a step before it issues the next few, as in a
	// training, where it waits only for the loss.
	together := 1
	if on.GPUs != nil {
		together = 10
	}
	steps := func() {
		for range together {
			check(b, step.Launch(ctx, 0, len(p.Steps)))
		}
		check(b, step.Wait(ctx))
	}
	steps() // workers take their scratch memory, GPUs load kernels
	b.ReportAllocs()
	for b.Loop() {
		steps()
	}
	perStep := b.Elapsed().Seconds() / float64(b.N*together)
	b.ReportMetric(perStep*1e9, "ns/op")
	b.ReportMetric(float64(batch)/perStep, "images/s")

	var passes [3]time.Duration
	runs := min(b.N*together, 20)
	for range runs {
		first := 0
		for i, end := range []int{p.Forward, p.Update, len(p.Steps)} {
			started := time.Now()
			check(b, step.Launch(ctx, first, end))
			check(b, step.Wait(ctx))
			passes[i] += time.Since(started)
			first = end
		}
	}
	for i, name := range []string{"forward-ms", "backward-ms", "update-ms"} {
		b.ReportMetric(passes[i].Seconds()*1e3/float64(runs), name)
	}
	if on.GPUs != nil { // in use, by whomever
		free, total, err := on.GPUs[0].Memory()
		check(b, err)
		b.ReportMetric(float64(total-free)/(1<<20), "MiB")
	}
}

// openBench opens the devices that the environment names, the CPU if it names
// none.
func openBench(b *testing.B) *devices.Set {
	o := cuda.Options{Autotune: os.Getenv(benchAutotune) != ""}
	if s := os.Getenv(benchPrecision); s != "" {
		var err error
		o.Precision, err = cuda.ParsePrecision(s)
		check(b, err)
	}
	on, err := devices.Open(cmp.Or(os.Getenv(benchDevices), "cpu"), o)
	check(b, err)
	b.Cleanup(func() { check(b, on.Close()) })
	return on
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
