package train

import (
	"errors"
	"math"

	"alexnet/dnn"
	"alexnet/internal/raw"
	"alexnet/loader"
	"alexnet/plan"
)

// memory is all that was taken of the host's memory to exchange with devices.
type memory struct {
	device dnn.Device
	taken  []dnn.Host
}

func (m *memory) take(bytes int64) ([]byte, error) {
	h, err := m.device.NewHost(bytes)
	if err != nil {
		return nil, err
	}
	m.taken = append(m.taken, h)
	return h.Bytes(), nil
}

// Close gives everything back. No copy may be under way.
func (m *memory) Close() error {
	var errs []error
	for _, h := range m.taken {
		errs = append(errs, h.Close())
	}
	m.taken = nil
	return errors.Join(errs...)
}

// host is the memory behind the slots of a program.
type host struct {
	slots   plan.Host
	control []uint32
	stats   []float32 // [replicas, dnn.StatFloats]
	logits  []float32 // [batch, classes]
}

func newHost(m *memory, p *plan.Program) (*host, error) {
	control := p.ControlBytes() // ends
	stats := control + 4*dnn.StatFloats*int64(p.Replicas)
	b, err := m.take(stats + 4*int64(p.Batch)*int64(p.Net.Classes()))
	if err != nil {
		return nil, err
	}
	return &host{
		slots:   plan.Host{plan.Control: b[:control], plan.Stats: b[control:stats], plan.Logits: b[stats:]},
		control: raw.Numbers[uint32](b[:control]), stats: raw.Numbers[float32](b[control:stats]), logits: raw.Numbers[float32](b[stats:]),
	}, nil
}

// total returns one of the statistics over all replicas.
func (h *host) total(stat int) (sum float64) {
	for i := stat; i < len(h.stats); i += dnn.StatFloats {
		sum += float64(h.stats[i])
	}
	return sum
}

// set makes the host ready for a step. rates are those of the layers; a program
// that tests takes none.
func (h *host) set(b *loader.Batch, step int64, rates []float64) {
	h.slots[plan.Pixels] = b.Pixels
	h.slots[plan.Views] = raw.Bytes(b.Views)
	h.slots[plan.Labels] = raw.Bytes(b.Labels)
	h.control[0] = uint32(step)
	for i, rate := range rates {
		h.control[1+i] = math.Float32bits(float32(rate))
	}
}
