package train

import (
	"math"
	"testing"

	"alexnet/dnn"
)

// TestTotal: statistics are those of all replicas, and what is no number with one of
// them is none.
func TestTotal(t *testing.T) {
	h := &host{stats: make([]float32, 3*dnn.StatFloats)}
	for replica := range 3 {
		h.stats[replica*dnn.StatFloats+dnn.StatLoss] = float32(replica + 1)
		h.stats[replica*dnn.StatFloats+dnn.StatTop5] = 10
	}
	if loss, top5 := h.total(dnn.StatLoss), h.total(dnn.StatTop5); loss != 6 || top5 != 30 {
		t.Errorf("a loss of %g and %g errors, want 6 and 30", loss, top5)
	}
	h.stats[dnn.StatFloats+dnn.StatLoss] = float32(math.NaN())
	if loss := h.total(dnn.StatLoss); !math.IsNaN(loss) {
		t.Errorf("a loss of %g, and of one replica it is no number", loss)
	}
}
