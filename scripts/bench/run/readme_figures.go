package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/bench"
	"alexnet/plan"
	gpu "alexnet/scripts/gpucheck/result"
)

// file is a result and the name of its table, seen from README.md.
type file[T any] struct {
	result T
	date   string
	table  string // bench/results/alexnet-2026-11-24-a-cpu.md
}

func (f *file[T]) link(text string) string { return fmt.Sprintf("[%s](%s)", text, f.table) }

// measured writes the figures of all results in a folder for README.md.
func measured(dir string) ([]byte, error) {
	var b bytes.Buffer
	for _, write := range []func(*bytes.Buffer, string) error{measuredSteps, measuredLoader, measuredScaling, measuredGPUs} {
		if err := write(&b, dir); err != nil {
			return nil, err
		}
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// newest reads the results of files whose names match, and returns the newest of
// each machine: the newest first, and those of a day by name.
func newest[T any](dir, pattern string, of func(T) (machine, date string)) ([]file[T], error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := regexp.MustCompile("^" + pattern + `\.json$`)
	var all []file[T]
	machines := map[string]bool{}
	// Names begin alike and go on with the date.
	for _, e := range slices.Backward(entries) {
		if !names.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		var r T
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
		}
		machine, date := of(r)
		if machine == "" || machines[machine] {
			continue
		}
		machines[machine] = true
		all = append(all, file[T]{r, date, "bench/results/" + strings.TrimSuffix(e.Name(), ".json") + ".md"})
	}
	slices.SortFunc(all, func(a, b file[T]) int { return cmp.Or(cmp.Compare(b.date, a.date), cmp.Compare(a.table, b.table)) })
	return all, nil
}

const aDate = `\d{4}-\d\d-\d\d`

// on names the machine of a result, in words.
func (m *Machine) on() string {
	s := fmt.Sprintf("%s, %d cores", m.processor(), m.Cores)
	if m.Cache > 0 {
		s += fmt.Sprintf(", %d MiB of last-level cache", m.Cache>>20)
	}
	return s
}

// measuredSteps writes the steps beside the peers', a table a machine.
func measuredSteps(b *bytes.Buffer, dir string) error {
	var machines []string
	byMachine := map[string][]file[StepsResult]{}
	for _, s := range suites {
		all, err := newest(dir, s.name+"-"+aDate+"-.*", func(r StepsResult) (string, string) { return r.Machine.on(), r.Date })
		if err != nil {
			return err
		}
		for _, f := range all {
			on := f.result.Machine.on()
			if byMachine[on] == nil {
				machines = append(machines, on)
			}
			byMachine[on] = append(byMachine[on], f)
		}
	}
	if len(machines) == 0 {
		b.WriteString("\nCPUs: no steps have been measured yet; `scripts/bench/all` does it.\n")
		return nil
	}
	b.WriteString("\nImages a second on CPUs, beside others with as many threads: medians of alternating rounds, and of the ratios round by round, to the fastest of the others. " +
		"The environment is clean, and PyTorch has the memory settings that suit it. oneDNN chooses its convolutions, Winograd's among them; \"direct\" has direct ones alone.\n")
	for _, on := range machines {
		var rows [][]any
		var tables, peers, who []string
		for _, f := range byMachine[on] {
			for _, p := range f.result.Peers {
				if !slices.Contains(peers, p.Name) {
					peers, who = append(peers, p.Name), append(who, p.line())
				}
			}
		}
		for _, f := range byMachine[on] {
			tables = append(tables, fmt.Sprintf("%s of %s at %s", f.link("table of `"+f.result.Config+"`"), f.date, f.result.revision()))
			for i := range f.result.Cases {
				c := &f.result.Cases[i]
				row := []any{fmt.Sprintf("`%s`, %s", f.result.Config, c.name()), figure(c.Ours.Median)}
				for _, name := range peers {
					speed := ""
					if p := c.peer(name); p != nil {
						speed = figure(p.Theirs.Median)
					}
					row = append(row, speed)
				}
				ratio := ""
				if p := c.strongest(); p != nil {
					ratio = fmt.Sprintf("%s to %s", twoDigits(p.Ratio.Median), p.Name)
				}
				rows = append(rows, append(row, ratio))
			}
		}
		fmt.Fprintf(b, "\n%s (%s):\n", on, strings.Join(tables, ", "))
		table(b, append(append([]string{"images/s", "alexnet"}, peers...), "ratio"), rows...)
		if len(who) > 0 {
			fmt.Fprintf(b, "\n%s.\n", strings.Join(who, "; "))
		}
	}
	return nil
}

// revision is the commit, as git abbreviates it.
func (r *Result) revision() string {
	hash, changes, _ := strings.Cut(r.Commit, " ")
	if len(hash) > 7 {
		hash = hash[:7]
	}
	return strings.TrimSpace(hash + " " + changes)
}

// measuredLoader writes how fast the loader was.
func measuredLoader(b *bytes.Buffer, dir string) error {
	all, err := newest(dir, "loader-"+aDate+"-.*", func(r LoaderResult) (string, string) { return r.Machine.on(), r.Date })
	for i := range all {
		f := &all[i]
		r := &f.result
		fmt.Fprintf(b, "\nThe loader, on %s: %d photographs of 256x256, cut to 224x224 in batches of 128 (%s of %s at %s):\n",
			r.Machine.on(), r.Images.Packed, f.link("table"), f.date, r.revision())
		var rows [][]any
		for _, c := range r.Cases {
			name := c.Name
			if c.Name == torch && r.PyTorch != nil {
				name = fmt.Sprintf("PyTorch %s's `DataLoader` with PIL, from JPEG files, one worker process", r.PyTorch.Torch)
			}
			rows = append(rows, []any{name, figure(c.Median)})
		}
		for _, p := range r.Packing {
			rows = append(rows, []any{fmt.Sprintf("packing %d original files to 256x256, 1 core, %s", p.Images, p.Decoder), figure(p.ImagesPerSecond)})
		}
		table(b, []string{"what", "images/s"}, rows...)
	}
	return err
}

// measuredScaling says where the tables of growth are.
func measuredScaling(b *bytes.Buffer, dir string) error {
	all, err := newest(dir, "scaling-"+aDate+"-.*", func(r ScalingResult) (string, string) { return r.Machine.on(), r.Date })
	for _, f := range all {
		fmt.Fprintf(b, "\nHow time and memory of a step of `alexnet.net` grow, on %s: %s of %s.\n", f.result.Machine.on(), f.link("table"), f.date)
	}
	return err
}

// measuredGPUs writes the results of the GPU check, or that there is none.
func measuredGPUs(b *bytes.Buffer, dir string) error {
	all, err := newest(dir, aDate+"-.*", func(r gpu.Result) (string, string) {
		if len(r.Machine.Devices.GPUs) == 0 {
			return "", ""
		}
		return r.Machine.Devices.GPUs[0].Model, r.Date
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		b.WriteString("\nGPUs: none has been measured yet.\n")
	}
	for i := range all {
		measuredGPU(b, &all[i])
	}
	return nil
}

func measuredGPU(b *bytes.Buffer, f *file[gpu.Result]) {
	r := &f.result
	fmt.Fprintf(b, "\nA training step of `alexnet.net` on %s, %s of %s", r.Machine.Devices.GPUs[0].Model, f.link("table"), f.date)
	if p := r.Find("peer-eager"); p != nil && len(p.Notes) > 0 {
		fmt.Fprintf(b, ", beside %s", p.Notes[0])
	}
	b.WriteString(".\n")
	if failed := r.NotPassed(); failed != "" {
		fmt.Fprintf(b, "\n**Not everything passed there**: %s.\n", failed)
	}
	measuredFeeding(b, r.Feeding())
	measuredEndurance(b, r.Endurance())
	figures := r.Figures()
	if len(figures) == 0 {
		b.WriteString("\nNo speed was measured there.\n")
		return
	}
	b.WriteString("\nImages a second, ours with `-autotune` and uploads: both columns in one stream, apart on one GPU, on two GPUs, and on two that share the batch. Ratios are of the first to PyTorch's fastest, " +
		"measured in turns; the share is that of the least time which the GPU's own products and copies allow, for the first. The last column is the paper's training, " +
		"90 passes over 1.2 million images, by the fastest of ours; it took the paper five to six days.\n")
	var rows [][]any
	for i := range figures {
		c := &figures[i]
		rows = append(rows, []any{c.Precision, c.Batch, figure(c.Ours[0]), figure(c.Ours[1]), figure(c.Ours[2]), figure(c.Ours[3]),
			figure(c.Theirs[0]), figure(c.Theirs[1]), figure(c.Theirs[2]), twoDigits(c.Ratio()), percent(c.Share), training(c.Best())})
	}
	table(b, []string{"precision", "batch", "one stream", "apart", "two GPUs", "shared batch", "PyTorch eager", "compile", "max-autotune", "ratio", "share of the floor", "90 passes"}, rows...)
}

// measuredFeeding says how fast trainings from records were.
func measuredFeeding(b *bytes.Buffer, all []gpu.Fed) {
	if len(all) == 0 {
		return
	}
	var speeds []string
	fastest := 0.0
	for _, f := range all {
		speeds = append(speeds, fmt.Sprintf("%s images/s at batch %s, %s of the bare step's", figure(f.ImagesPerSecond), plan.Grouped(int64(f.Batch)), twoDigits(f.Ratio)))
		fastest = max(fastest, f.ImagesPerSecond)
	}
	fmt.Fprintf(b, "\nA whole training in bf16, from records to weights: %s; 90 passes take %s.\n", strings.Join(speeds, ", and "), training(fastest))
}

// measuredEndurance says whether a long training took more and more memory, or became
// slower.
func measuredEndurance(b *bytes.Buffer, e gpu.Endurance) {
	if len(e.Changes) == 0 {
		return
	}
	var same, other []string
	for _, c := range e.Changes {
		if c.AsWanted {
			same = append(same, c.What)
		} else {
			other = append(other, fmt.Sprintf("%s went from %s to %s %s", c.What, figure(c.First), figure(c.Last), c.Unit))
		}
	}
	said := "no growth and no loss: " + strings.Join(same, ", ") + " stayed as they were after the first minute"
	if len(other) > 0 {
		said = "**" + strings.Join(other, ", ") + "**"
	}
	fmt.Fprintf(b, "\n%s of training: %s.\n", bench.Span(e.Seconds), said)
}

// training says how long the paper's training takes at so many images a second.
func training(speed float64) string {
	if speed <= 0 {
		return ""
	}
	return bench.Span(gpu.PaperImages / speed)
}

// figure writes a speed with three digits, and nothing for none.
func figure(v float64) string {
	switch {
	case !(v > 0):
		return ""
	case v < 100:
		return fmt.Sprintf("%.3g", v)
	}
	return plan.Grouped(int64(v + 0.5))
}

func twoDigits(v float64) string {
	if !(v > 0) {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

func percent(v float64) string {
	if !(v > 0) {
		return ""
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}
