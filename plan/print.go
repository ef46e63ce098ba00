package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"alexnet/model"
)

// StepName returns what step i is, for people: "conv1 backward ConvBackwardData".
func (p *Program) StepName(i int) string {
	s := &p.Steps[i]
	return fmt.Sprintf("%s %v %s", p.LayerName(s.Layer), s.Pass, ActionName(s.Action))
}

// LayerName returns the name of the layer that a step is of.
func (p *Program) LayerName(i int) string {
	switch i {
	case model.InputIndex:
		return "input"
	case WholeNet:
		return "all layers"
	}
	return p.Net.Layers[i].Name
}

// ActionName returns what a step does, for people: ConvForward, PeerCopy, Upload
// pixels.
func ActionName(a Action) string {
	switch a := a.(type) {
	case Launch:
		return reflect.TypeOf(a.Op).Name()
	case Peer:
		return "PeerCopy"
	case Upload:
		return "Upload " + a.Slot.String()
	case Download:
		return "Download " + a.Slot.String()
	}
	return ""
}

// bytes returns how much a step moves between devices, or 0.
func (s *Step) bytes() int64 {
	if peer, ok := s.Action.(Peer); ok {
		return peer.Bytes()
	}
	return 0
}

// Bytes writes n with the unit that suits it.
func Bytes(n int64) string {
	const unit = 1024
	switch {
	case n >= unit*unit*unit:
		return fmt.Sprintf("%.2f GiB", float64(n)/(unit*unit*unit))
	case n >= unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/(unit*unit))
	case n >= unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	}
	return fmt.Sprintf("%d B", n)
}

// Grouped writes n with commas between the thousands.
func Grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// BatchText returns the batch, and who shares it: "128, shared by 2 replicas".
func (p *Program) BatchText() string {
	if p.Replicas == 1 {
		return fmt.Sprint(p.Batch)
	}
	return fmt.Sprintf("%d, shared by %d replicas", p.Batch, p.Replicas)
}

// WriteText prints the network layer by layer, the schedule step by step, and
// the memory of each device.
func (p *Program) WriteText(w io.Writer) error {
	tab := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	parameters, neurons, work := p.Net.Totals()
	fmt.Fprintf(tab, "net %s, batch %s\n\n", p.Net.Name, p.BatchText())
	fmt.Fprintln(tab, "layer\tkind\tshape\tparameters\tneurons\tmultiply-adds")
	fmt.Fprintf(tab, "input\t\t%v\t\t\t\n", p.Net.Input)
	for i, l := range p.Net.Layers {
		kind := l.Spec.Kind()
		if l.Across {
			kind += " across"
		}
		fmt.Fprintf(tab, "%s\t%s\t%v\t%s\t%s\t%s\n", l.Name, kind, l.Out,
			unlessZero(p.Net.Parameters(i)), unlessZero(p.Net.Neurons(i)), unlessZero(p.Net.Work(i)))
	}
	fmt.Fprintf(tab, "total\t\t\t%s\t%s\t%s\n\n", Grouped(parameters), Grouped(neurons), Grouped(work))

	fmt.Fprintln(tab, "step\tdevice\tstream\tlayer\tpass\twhat\tbytes\tafter")
	for i := range p.Steps {
		s := &p.Steps[i]
		what, moved := ActionName(s.Action), ""
		if peer, ok := s.Action.(Peer); ok {
			what, moved = what+" to "+p.Devices[peer.To].Name, Bytes(s.bytes())
		}
		after := strings.Trim(fmt.Sprint(s.Waits), "[]")
		fmt.Fprintf(tab, "%d\t%s\t%v\t%s\t%v\t%s\t%s\t%s\n", i, p.Devices[s.Device].Name, s.Stream,
			p.LayerName(s.Layer), s.Pass, what, moved, after)
	}
	fmt.Fprintln(tab, "\nmemory\tkept\tshared\ttotal\twithout sharing")
	for _, d := range p.Devices {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\n", d.Name, Bytes(d.State), Bytes(d.Work), Bytes(d.State+d.Work), Bytes(d.State+d.Unshared))
	}
	return tab.Flush()
}

func unlessZero(n int64) string {
	if n == 0 {
		return ""
	}
	return Grouped(n)
}

type jsonProgram struct {
	Net        string       `json:"net"`
	Batch      int          `json:"batch"`
	Replicas   int          `json:"replicas"`
	Parameters int64        `json:"parameters"`
	Neurons    int64        `json:"neurons"`
	Work       int64        `json:"multiply_adds"`
	Layers     []jsonLayer  `json:"layers"`
	Devices    []jsonDevice `json:"devices"`
	Steps      []jsonStep   `json:"steps"`
}

type jsonLayer struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Shape      [3]int `json:"shape"`
	Across     bool   `json:"across,omitempty"`
	Parameters int64  `json:"parameters"`
	Neurons    int64  `json:"neurons"`
	Work       int64  `json:"multiply_adds"`
}

type jsonDevice struct {
	Name     string       `json:"name"`
	State    int64        `json:"state_bytes"`
	Work     int64        `json:"work_bytes"`
	Unshared int64        `json:"work_bytes_without_sharing"`
	Tensors  []jsonTensor `json:"tensors"`
}

type jsonTensor struct {
	Name    string `json:"name"`
	Shape   []int  `json:"shape"`
	Segment string `json:"segment"`
	Offset  int64  `json:"offset"`
	Bytes   int64  `json:"bytes"`
	First   int    `json:"first_step"`
	Last    int    `json:"last_step"`
}

type jsonStep struct {
	Step   int    `json:"step"`
	Device string `json:"device"`
	Stream string `json:"stream"`
	Layer  string `json:"layer"`
	Pass   string `json:"pass"`
	Action string `json:"action"`
	To     string `json:"to,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Waits  []int  `json:"waits"`
}

// WriteJSON writes everything that is in the program as one JSON object.
func (p *Program) WriteJSON(w io.Writer) error {
	out := jsonProgram{Net: p.Net.Name, Batch: p.Batch, Replicas: p.Replicas}
	out.Parameters, out.Neurons, out.Work = p.Net.Totals()
	for i, l := range p.Net.Layers {
		out.Layers = append(out.Layers, jsonLayer{Name: l.Name, Kind: l.Spec.Kind(), Across: l.Across,
			Shape:      [3]int{l.Out.C, l.Out.H, l.Out.W},
			Parameters: p.Net.Parameters(i), Neurons: p.Net.Neurons(i), Work: p.Net.Work(i)})
	}
	for _, d := range p.Devices {
		device := jsonDevice{Name: d.Name, State: d.State, Work: d.Work, Unshared: d.Unshared}
		for _, t := range d.Tensors[1:] {
			device.Tensors = append(device.Tensors, jsonTensor{t.Name, t.Shape,
				[...]string{"state", "work"}[t.Segment], t.Offset, t.Bytes, t.First, t.Last})
		}
		out.Devices = append(out.Devices, device)
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		step := jsonStep{Step: i, Device: p.Devices[s.Device].Name, Stream: s.Stream.String(), Layer: p.LayerName(s.Layer),
			Pass: s.Pass.String(), Action: ActionName(s.Action), Bytes: s.bytes(), Waits: append([]int{}, s.Waits...)}
		if peer, ok := s.Action.(Peer); ok {
			step.To = p.Devices[peer.To].Name
		}
		out.Steps = append(out.Steps, step)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// WriteDOT writes the schedule as a graph for Graphviz: a cluster for each
// stream, its steps in order, and dashed edges for waits on other streams.
func (p *Program) WriteDOT(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n\tnode [shape=box, style=filled, fillcolor=white, fontname=\"Helvetica\"];\n", p.Net.Name)
	for d, device := range p.Devices {
		for stream := range streams {
			if !slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Device == d && s.Stream == stream }) {
				continue
			}
			fmt.Fprintf(&b, "\tsubgraph \"cluster %d %d\" {\n\t\tlabel=%q; style=filled; color=\"#eeeeee\";\n",
				d, stream, fmt.Sprintf("%s %v", device.Name, stream))
			chain := "\t\t"
			for i := range p.Steps {
				s := &p.Steps[i]
				if s.Device != d || s.Stream != stream {
					continue
				}
				label := p.StepName(i)
				if n := s.bytes(); n > 0 {
					label += "\n" + Bytes(n)
				}
				fmt.Fprintf(&b, "\t\ts%d [label=%q, fillcolor=%q];\n", i, label, passColor[s.Pass])
				if chain != "\t\t" {
					chain += " -> "
				}
				chain += fmt.Sprintf("s%d", i)
			}
			if strings.Contains(chain, "->") {
				b.WriteString(chain + ";\n")
			}
			b.WriteString("\t}\n")
		}
	}
	for i := range p.Steps {
		for _, wait := range p.Steps[i].Waits {
			if wait < i { // the others wait for the run before
				fmt.Fprintf(&b, "\ts%d -> s%d [style=dashed, constraint=true];\n", wait, i)
			}
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

var passColor = [...]string{Feed: "#d9ead3", Forward: "#cfe2f3", Backward: "#fce5cd", Update: "#ead1dc", Result: "#d9ead3"}
