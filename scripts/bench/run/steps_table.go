package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// markdown returns the result for people.
func (r *StepsResult) markdown() []byte {
	var b bytes.Buffer
	r.header(&b, r.Title)
	fmt.Fprintf(&b, "- alexnet's matrix products: %s\n", r.BLAS)
	for _, p := range r.Peers {
		b.WriteString("- " + p.line() + "\n")
	}
	if len(r.Peers) == 0 {
		b.WriteString("- no peer was measured: there was no python3 with torch, nor oneDNN\n")
	} else {
		fmt.Fprintf(&b, "- from the same weights and images every peer had alexnet's loss and, in training, its loss after a step, to %g of it: %s\n", lossTolerance, r.losses())
	}
	fmt.Fprintf(&b, "\n%s, images per second, as many threads as cores: medians of %d rounds in turn, with the least and the most. Ratios are taken round by round, to the fastest peer.\n", r.Config, r.Rounds)
	columns := []string{"", "alexnet"}
	for _, p := range r.Peers {
		columns = append(columns, p.Name)
	}
	columns = append(columns, "ratio", "to", "peak memory")
	for _, p := range r.Peers {
		columns = append(columns, p.Name+"'s")
	}
	var rows [][]any
	for i := range r.Cases {
		c := &r.Cases[i]
		row, memory := []any{c.name(), c.Ours.text("%.1f")}, []any{fmt.Sprintf("%d MiB", c.Memory>>20)}
		for _, p := range c.Peers {
			row, memory = append(row, p.Theirs.text("%.1f")), append(memory, fmt.Sprintf("%d MiB", p.Memory>>20))
		}
		if p := c.strongest(); p != nil {
			row = append(row, p.Ratio.text("%.2f"), p.Name)
		} else {
			row = append(row, "", "")
		}
		rows = append(rows, append(row, memory...))
	}
	table(&b, columns, rows...)
	r.published(&b)
	return b.Bytes()
}

// text writes a median with the least and the most.
func (s *Series) text(format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.Median, s.Least, s.Most)
}

// line says what a peer is, and how it ran.
func (p *Peer) line() string {
	name, how, _ := strings.Cut(p.Name, ", ")
	s := name + " " + p.Version
	switch {
	case name == "oneDNN" && how == "":
		s += ": it chooses its convolutions, Winograd's among them"
	case how != "":
		s += ": " + how + " convolutions alone"
	}
	if p.BLAS != "" {
		s += ", matrix products: " + p.BLAS
	}
	if len(p.Variables) > 0 {
		s += ", with " + strings.Join(p.Variables, " ")
	}
	return s
}

func (r *StepsResult) losses() string {
	var all []string
	for _, batch := range slices.Sorted(maps.Keys(r.Losses)) {
		all = append(all, fmt.Sprintf("%.6g at batch %d", r.Losses[batch], batch))
	}
	return strings.Join(all, ", ")
}

// published prints figures of others, for the scale of things.
func (r *StepsResult) published(b *bytes.Buffer) {
	if r.Benchmark != "alexnet" {
		return
	}
	b.WriteString("\nPublished by others, not measured here:\n")
	table(b, []string{"what", "on", "figure"},
		[]any{"the paper: 90 passes over 1.2 million images", "2 GTX 580", "5 to 6 days, about 230 images/s"},
		[]any{"convnet-benchmarks, one-column AlexNet, batch 128, forward and backward: Caffe's own kernels", "Titan X", "324 ms, 395 images/s"},
		[]any{"the same, cuda-convnet2", "Titan X", "177 ms, 723 images/s"},
		[]any{"the same, cuDNN R4 in Torch, fp32", "Titan X", "81 ms, 1,580 images/s"})
}
