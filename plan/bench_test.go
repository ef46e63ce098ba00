package plan_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"alexnet/dnn"
	"alexnet/dnn/cuda"
	"alexnet/dsl"
	"alexnet/internal/devices"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
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
	on := openBench(b)
	var names []string
	for _, d := range on.Devices {
		names = append(names, d.Name())
	}
	p, err := plan.Compile(net, names, plan.Options{Batch: batch})
	check(b, err)
	host := benchHost(b, on.Devices[0], p)
	r, err := plan.NewRunner(on.Devices, p)
	check(b, err)
	b.Cleanup(func() { check(b, r.Close()) })

	ctx := b.Context()
	normals := make([]float32, 1<<20) // again and again: to draw all would take longer than the benchmark
	philox.Normals(normals, 0.01, 1, philox.Init, 0)
	for d := range on.Devices {
		for _, param := range p.Params(d) {
			data := make([]float32, p.Devices[d].Tensors[param.Tensor].Bytes/4)
			for n := 0; n < len(data); n += len(normals) {
				copy(data[n:], normals)
			}
			check(b, r.Write(ctx, p, d, param.Tensor, raw.Bytes(data)))
		}
		mean := p.Devices[d].Mean
		check(b, r.Write(ctx, p, d, mean, make([]byte, p.Devices[d].Tensors[mean].Bytes)))
	}

	// The host does not wait for a step before it issues the next few, as in a
	// training, where it waits only for the loss.
	together := 1
	if on.GPUs != nil {
		together = 10
	}
	steps := func() {
		for range together {
			check(b, r.Launch(ctx, p, 0, len(p.Steps), host))
		}
		check(b, r.Synchronize(ctx))
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
			check(b, r.Launch(ctx, p, first, end, host))
			check(b, r.Synchronize(ctx))
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

// benchHost returns the host's side of a program, in memory that the device
// copies from fastest: pixels of noise, labels, and so low a rate that the weights
// stay small.
func benchHost(b *testing.B, device dnn.Device, p *plan.Program) *plan.Host {
	var host plan.Host
	for slot, bytes := range map[plan.Slot]int{
		plan.Pixels:  p.Batch * p.Net.Input.Size(),
		plan.Views:   p.Batch * dnn.ViewFloats * 4,
		plan.Labels:  p.Batch * 4,
		plan.Control: int(p.ControlBytes()),
		plan.Stats:   dnn.StatFloats * 4,
	} {
		h, err := device.NewHost(int64(bytes))
		check(b, err)
		b.Cleanup(func() { check(b, h.Close()) })
		host[slot] = h.Bytes()
		clear(host[slot])
	}
	s := philox.NewStream(1, philox.Draw, 0, 0)
	for i := range host[plan.Pixels] {
		host[plan.Pixels][i] = byte(s.Uint32())
	}
	for i := range p.Batch {
		binary.LittleEndian.PutUint32(host[plan.Labels][4*i:], uint32(i%p.Net.Classes()))
	}
	copy(host[plan.Control], controlOf(p.Net, 0, 1e-6))
	return &host
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
