package main

import (
	"bytes"
	"fmt"
	"strings"
)

// LoaderResult is the content of the JSON file.
type LoaderResult struct {
	Result
	Images struct {
		Originals  int   `json:"originals"`
		Repeated   int   `json:"repeated"` // how often each of them was packed
		Packed     int   `json:"packed"`
		RawBytes   int64 `json:"raw_bytes"`
		DeltaBytes int64 `json:"delta_bytes"`
	} `json:"images"`
	Packing []Packing `json:"packing"`
	PyTorch *PyTorch  `json:"pytorch"`
	Rounds  int       `json:"rounds"`
	Seconds float64   `json:"seconds"` // of a measurement
	Unit    string    `json:"unit"`    // of the cases
	Cases   []Series  `json:"cases"`
	Ratios  []Series  `json:"ratios"`
	Notes   []string  `json:"notes"`
}

// Packing is how fast original images were packed with one core.
type Packing struct {
	Decoder         string  `json:"jpeg_decoder"`
	Images          int     `json:"images"`
	Seconds         float64 `json:"seconds"`
	ImagesPerSecond float64 `json:"images_per_second"`
	Cores           float64 `json:"cores"` // that were busy, on average
}

// packed adds a timing. One with the decoder of the last takes its place: the
// better one was asked for and is not there.
func (r *LoaderResult) packed(p Packing) {
	if n := len(r.Packing); n > 0 && r.Packing[n-1].Decoder == p.Decoder {
		r.Packing = r.Packing[:n-1]
		r.note("Packing was timed with %s alone: libjpeg-turbo was not found.", p.Decoder)
	}
	r.Packing = append(r.Packing, p)
}

// PyTorch is what was measured beside, as pytorch_loader.py says it.
type PyTorch struct {
	Torch   string `json:"torch"`
	PIL     string `json:"pil"`
	NumPy   string `json:"numpy"`
	Turbo   bool   `json:"libjpeg_turbo"` // PIL decodes with it
	Workers int    `json:"workers"`
	Batch   int    `json:"batch"`

	Variables []string `json:"variables"` // that suit it
}

func (r *LoaderResult) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// compare fills in the ratios of the cases that were measured.
func (r *LoaderResult) compare() {
	cases := map[string]Series{}
	for _, c := range r.Cases {
		cases[c.Name] = c
	}
	for _, k := range []struct{ name, over, under string }{
		{"alexnet raw on 1 core / PyTorch", raw1, torch},
		{"2 cores / 1 core, raw", raw2, raw1},
		{"delta / raw, 1 core", delta, raw1},
	} {
		over, under := cases[k.over], cases[k.under]
		if over.Rounds != nil && under.Rounds != nil {
			r.Ratios = append(r.Ratios, ratio(k.name, over, under))
		}
	}
}

// markdown returns the result for people.
func (r *LoaderResult) markdown() []byte {
	var b bytes.Buffer
	r.header(&b, "Loader")
	const mib = 1 << 20
	i := &r.Images
	fmt.Fprintf(&b, "- %d original images, packed %d times to 256x256: %d images, %d MiB raw, %d MiB delta\n",
		i.Originals, i.Repeated, i.Packed, i.RawBytes/mib, i.DeltaBytes/mib)
	if p := r.PyTorch; p != nil {
		turbo := "without libjpeg-turbo"
		if p.Turbo {
			turbo = "with libjpeg-turbo"
		}
		fmt.Fprintf(&b, "- PyTorch %s, PIL %s %s, NumPy %s: 256x256 JPEG files of quality 90, decoded for every batch, with %s\n", p.Torch, p.PIL, turbo, p.NumPy, strings.Join(p.Variables, " "))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	fmt.Fprintf(&b, "\nBatches of 128 crops of 224x224, mirrored at random, in images per second: %d rounds of %g seconds a case, in turn.\n", r.Rounds, r.Seconds)
	rows := func(all []Series, format string) (rows [][]any) {
		for _, s := range all {
			row := []any{s.Name}
			for _, v := range []float64{s.Median, s.Least, s.Most} {
				row = append(row, fmt.Sprintf(format, v))
			}
			rows = append(rows, row)
		}
		return rows
	}
	table(&b, []string{"case", "median", "least", "most"}, rows(r.Cases, "%.0f")...)
	b.WriteString("\nRatios, taken round by round:\n")
	table(&b, []string{"ratio", "median", "least", "most"}, rows(r.Ratios, "%.2f")...)
	b.WriteString("\nPacking the originals, once, with one worker and GOMAXPROCS=1:\n")
	var packing [][]any
	for _, p := range r.Packing {
		packing = append(packing, []any{p.Decoder, fmt.Sprintf("%.0f", p.ImagesPerSecond), fmt.Sprintf("%.1f", p.Seconds), fmt.Sprintf("%.2f", p.Cores)})
	}
	table(&b, []string{"JPEG decoder", "images per second", "seconds", "cores busy"}, packing...)
	return b.Bytes()
}
