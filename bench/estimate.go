package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"alexnet/loader"
	"alexnet/model"
	"alexnet/plan"

	"github.com/google/renameio/v2"
)

// Plan is what a training is expected to take on the machine at hand, from short
// measurements of its parts:
//
//	steps x (a step + the loading of its batch) + passes x (a test + two checkpoints)
//
// Where the CPU trains, it loads as well, and the two add up; a GPU trains while
// the CPU loads, and the slower of the two counts.
type Plan struct {
	Net         string  `json:"net"`
	Device      string  `json:"device"`
	Batch       int     `json:"batch"`
	Images      int64   `json:"images"`
	TestImages  int64   `json:"test_images"`
	Passes      int     `json:"passes"`
	Steps       int64   `json:"steps"`
	StepMS      float64 `json:"step_ms"`       // a median
	TestMS      float64 `json:"test_batch_ms"` // a median
	LoadUS      float64 `json:"load_us"`       // an image, all cores busy with it; 0: not measured
	Checkpoint  float64 `json:"checkpoint_seconds"`
	Training    float64 `json:"training_seconds"`
	Testing     float64 `json:"testing_seconds"`
	Checkpoints float64 `json:"checkpoints_seconds"`
	Total       float64 `json:"total_seconds"`
}

// EstimateOptions say what training is to be estimated.
type EstimateOptions struct {
	Net *model.Net
	plan.Placement
	Beside     bool        // the devices work beside the CPU
	Set        *loader.Set // whose images are loaded; nil: loading is left out
	Images     int64       // of a pass
	TestImages int64       // after each; 0: no test
	Dir        string      // on the disk that checkpoints go to
	Rounds     int
	Progress   func(done, total int64)
}

// Estimate measures the parts.
func Estimate(ctx context.Context, o EstimateOptions) (*Plan, error) {
	p := &Plan{Net: o.Net.Name, Batch: o.Net.Train.Batch, Images: o.Images, TestImages: o.TestImages, Passes: o.Net.Train.Passes}
	step, err := Run(ctx, Options{Net: o.Net, Placement: o.Placement, Batch: p.Batch, Whole: true, Rounds: o.Rounds, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	p.Device, p.StepMS = step.Device, step.StepMS
	test, err := Run(ctx, Options{Net: o.Net, Placement: o.Placement, Batch: p.Batch, Forward: true, Whole: true, Rounds: o.Rounds, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	p.TestMS = test.StepMS
	if o.Set != nil {
		m, err := o.Set.Measure(ctx, loader.Options{Rows: p.Batch, Height: o.Net.Input.H, Width: o.Net.Input.W,
			Mirror: o.Net.Data.Mirror, Color: o.Net.Data.Color, Seed: o.Net.Train.Seed}, 2*time.Second, nil)
		if err != nil {
			return nil, err
		}
		p.LoadUS = 1e6 / m.ImagesPerSecond
	}
	parameters, _, _ := o.Net.Totals()
	if p.Checkpoint, err = timeWrite(o.Dir, 2*4*parameters); err != nil {
		return nil, err
	}
	p.sum(o.Beside)
	return p, nil
}

// sum puts the parts together.
func (p *Plan) sum(beside bool) {
	batch := int64(p.Batch)
	p.Steps = (int64(p.Passes)*p.Images + batch - 1) / batch
	together := func(ms float64) float64 {
		load := p.LoadUS * float64(batch) / 1e3
		if beside {
			return max(ms, load) / 1e3
		}
		return (ms + load) / 1e3
	}
	p.Training = float64(p.Steps) * together(p.StepMS)
	p.Testing = float64(p.Passes) * float64((p.TestImages+batch-1)/batch) * together(p.TestMS)
	each := 1
	if p.TestImages > 0 {
		each = 2 // before a test and after it
	}
	p.Checkpoints = float64(each*p.Passes) * p.Checkpoint
	p.Total = p.Training + p.Testing + p.Checkpoints
}

// timeWrite returns how long it takes to write bytes and have them last, as a
// checkpoint is written.
func timeWrite(dir string, bytes int64) (seconds float64, err error) {
	f, err := renameio.NewPendingFile(dir+"/estimate", renameio.WithTempDir(dir), renameio.WithPermissions(0o666))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Cleanup()) }()
	chunk := make([]byte, 1<<20)
	started := time.Now()
	for bytes > 0 {
		n := min(bytes, int64(len(chunk)))
		if _, err := f.Write(chunk[:n]); err != nil {
			return 0, fmt.Errorf("a checkpoint of this network would not fit: %w", err)
		}
		bytes -= n
	}
	if err := (*os.File)(f.File).Sync(); err != nil {
		return 0, err
	}
	return time.Since(started).Seconds(), nil
}

// Write prints it for people.
func (p *Plan) Write(w io.Writer) error {
	fmt.Fprintf(w, "%s, batch %d, on %s: %s passes over %s images\n\n", p.Net, p.Batch, p.Device, plan.Grouped(int64(p.Passes)), plan.Grouped(p.Images))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	loading := "without loading images: give -data to have it measured"
	if p.LoadUS > 0 {
		loading = fmt.Sprintf("and %.3g µs to load an image", p.LoadUS)
	}
	fmt.Fprintf(t, "training\t%s\t%s steps of %.4g ms, %s\n", Span(p.Training), plan.Grouped(p.Steps), p.StepMS, loading)
	if p.TestImages > 0 {
		fmt.Fprintf(t, "tests\t%s\t%s images after each pass, %.4g ms a batch\n", Span(p.Testing), plan.Grouped(p.TestImages), p.TestMS)
	}
	fmt.Fprintf(t, "checkpoints\t%s\t%.2g s each\n", Span(p.Checkpoints), p.Checkpoint)
	fmt.Fprintf(t, "in all\t%s\t%.4g images/s\n", Span(p.Total), float64(p.Passes)*float64(p.Images)/p.Total)
	return t.Flush()
}

// Span writes seconds in the unit that suits them.
func Span(seconds float64) string {
	for _, u := range []struct {
		name    string
		seconds float64
	}{{"days", 86400}, {"hours", 3600}, {"minutes", 60}} {
		if seconds >= 2*u.seconds {
			return fmt.Sprintf("%.1f %s", seconds/u.seconds, u.name)
		}
	}
	return fmt.Sprintf("%.3g seconds", seconds)
}
