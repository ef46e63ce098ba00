package main

import (
	"strings"
	"testing"
)

// TestOrderOfGPUs: with one GPU there is no order to speak of.
func TestOrderOfGPUs(t *testing.T) {
	for n := range 4 {
		m := machine{GPUs: make([]gpu, n)}
		var b strings.Builder
		m.write(&b)
		if said := strings.Contains(b.String(), "CUDA_DEVICE_ORDER=PCI_BUS_ID"); said != (n > 1) {
			t.Errorf("%d GPUs: order is mentioned: %v\n%s", n, said, &b)
		}
	}
}
