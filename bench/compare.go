package bench

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Verdict says whether something became faster. The two are told apart only if the
// slowest round of one is faster than the fastest of the other: medians that lie
// inside each other's spread say nothing.
func Verdict(old, new Time) string {
	switch {
	case new.Max < old.Min:
		return "faster"
	case new.Min > old.Max:
		return "slower"
	}
	return "same"
}

// passNames are the passes of a report, in its order.
var passNames = [...]string{"forward", "backward", "update"}

// Of says, as an error, that the report is of other work than this.
func (r *Report) Of(net string, batch int, forward bool) error {
	if r.Net == net && r.Batch == batch && r.Forward == forward {
		return nil
	}
	return fmt.Errorf("the older report is of %s, batch %d%s, and this one of %s, batch %d%s: measure the same",
		r.Net, r.Batch, alone(r.Forward), net, batch, alone(forward))
}

// Compare prints what became faster and slower since an older report, which must
// be of the same work.
func (r *Report) Compare(w io.Writer, old *Report) error {
	if err := old.Of(r.Net, r.Batch, r.Forward); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, of := range []struct{ what, old, new string }{
		{"device", old.Device, r.Device}, {"precision", old.Precision, r.Precision}, {"CPU", old.CPU, r.CPU},
		{"cores", fmt.Sprint(old.Cores), fmt.Sprint(r.Cores)}, {"matrix products", old.BLAS, r.BLAS},
	} {
		if of.old != of.new {
			fmt.Fprintf(t, "%s: %s then, %s now\n", of.what, of.old, of.new)
		}
	}
	fmt.Fprint(t, "\n\t\t\tms then\tms now\tratio\t\n")
	line := func(layer, pass, what string, old, new Time) {
		ratio := "" // of a time that no clock can have measured, there is none
		if by := new.Median / old.Median; by <= math.MaxFloat64 {
			ratio = fmt.Sprintf("%.2f", by)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\t%.3f\t%s\t%s\t\n", layer, pass, what, old.Median, new.Median, ratio, Verdict(old, new))
	}
	line("step", "", "", old.Step, r.Step)
	for i, name := range passNames {
		if i < len(old.Passes) && i < len(r.Passes) && !(r.Forward && i > 0) {
			line(name, "", "", old.Passes[i], r.Passes[i])
		}
	}
	type key struct{ layer, pass, what string }
	before := map[key]Time{}
	for _, o := range old.Operations {
		before[key{o.Layer, o.Pass, o.What}] = o.Time
	}
	for _, o := range r.Operations {
		if was, ok := before[key{o.Layer, o.Pass, o.What}]; ok {
			line(o.Layer, o.Pass, o.What, was, o.Time)
		} else {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t%.3f\t\tnew\t\n", o.Layer, o.Pass, o.What, o.Median)
		}
	}
	return t.Flush()
}

func alone(forward bool) string {
	if forward {
		return ", forward alone"
	}
	return ""
}
