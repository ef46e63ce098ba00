package plan_test

import (
	"math"
	"os"
	"testing"

	"alexnet/dnn"
	"alexnet/dnn/cpu"
	"alexnet/dsl"
	"alexnet/internal/philox"
	"alexnet/internal/raw"
	"alexnet/plan"
)

// BenchmarkAlexNet times a training step of alexnet.net on the CPU, without
// loading images.
func BenchmarkAlexNet(b *testing.B) {
	benchmarkStep(b, "../alexnet.net", 32)
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
	device, err := cpu.New("cpu")
	check(b, err)
	p, err := plan.Compile(net, []string{"cpu"}, plan.Options{Batch: batch})
	check(b, err)
	r, err := plan.NewRunner([]dnn.Device{device}, p)
	check(b, err)
	defer func() { check(b, r.Close()); check(b, device.Close()) }()

	ctx := b.Context()
	for i, param := range p.Params(0) {
		data := make([]float32, p.Devices[0].Tensors[param.Tensor].Bytes/4)
		philox.Normals(data, 0.01, 1, philox.Init.Layer(i), 0)
		check(b, r.Write(ctx, p, 0, param.Tensor, raw.Bytes(data)))
	}
	mean := make([]float32, p.Devices[0].Tensors[p.Devices[0].Mean].Bytes/4)
	check(b, r.Write(ctx, p, 0, p.Devices[0].Mean, raw.Bytes(mean)))

	var host plan.Host
	pixels := make([]byte, batch*net.Input.Size())
	s := philox.NewStream(1, philox.Draw, 0, 0)
	for i := range pixels {
		pixels[i] = byte(s.Uint32())
	}
	labels := make([]int32, batch)
	for i := range labels {
		labels[i] = int32(i % net.Classes())
	}
	host[plan.Pixels] = pixels
	host[plan.Views] = raw.Bytes(make([]float32, batch*dnn.ViewFloats))
	host[plan.Labels] = raw.Bytes(labels)
	host[plan.Control] = raw.Bytes([]uint32{0, math.Float32bits(1e-6)})
	host[plan.Stats] = raw.Bytes(make([]float32, dnn.StatFloats))
	step := func() {
		check(b, r.Launch(ctx, p, 0, len(p.Steps), &host))
		check(b, r.Synchronize(ctx))
	}
	step() // workers take their scratch memory
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
