package result

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/process"
)

// markdown returns the result for people.
func (r *Result) markdown() []byte {
	var b bytes.Buffer
	m := &r.Machine
	name := "no GPU"
	if len(m.Devices.GPUs) > 0 {
		name = m.Devices.GPUs[0].Model
	}
	fmt.Fprintf(&b, "# GPU check: %s, %s\n\n", name, r.Date)
	for _, line := range [][2]string{
		{"CPU", fmt.Sprintf("%s, %d cores in use, %s/%s", m.CPU, m.Devices.CPU.Cores, m.Devices.CPU.OS, m.Devices.CPU.Arch)},
		{"matrix products on the CPU", m.Devices.CPU.MatrixProducts},
		{"kernel", m.Kernel},
		{"driver", m.Driver},
		{"taken out of the environment", cmp.Or(strings.Join(m.Unset, ", "), "nothing")},
	} {
		if line[1] == "" {
			line[1] = "not known"
		}
		fmt.Fprintf(&b, "- %s: %s\n", line[0], line[1])
	}
	b.WriteString("\n| part | | seconds | |\n| --- | --- | --- | --- |\n")
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", p.Name, p.Name, p.Status, seconds(p.Seconds), process.Short(measure.Cell(p.Why)))
	}
	for _, p := range r.Parts {
		p.markdown(&b)
	}
	return b.Bytes()
}

func (p *Part) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n%s: **%s**", p.Name, p.Title, p.Status)
	if p.Why != "" {
		fmt.Fprintf(b, ": %s", measure.OneLine(p.Why))
	}
	b.WriteString("\n")
	if p.Status != Skipped {
		fmt.Fprintf(b, "\nStarted at %s UTC, took %s of %s s, revision %s.\n", p.Started.UTC().Format(time.DateTime), seconds(p.Seconds), seconds(p.Limit), p.Revision)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(b, "\n- %s", measure.OneLine(n))
	}
	if len(p.Notes) > 0 {
		b.WriteByte('\n')
	}
	for _, t := range p.Tables {
		t.markdown(b)
	}
	if p.Output != "" {
		fmt.Fprintf(b, "\n~~~~\n%s\n~~~~\n", strings.ReplaceAll(strings.TrimSpace(p.Output), "~~~~", "~~~"))
	}
}

func (t *Table) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n%s:\n\n", t.Title)
	if len(t.Rows) == 0 {
		b.WriteString("none\n")
		return
	}
	for _, c := range t.Columns {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(c, "_", " "))
	}
	b.WriteString("|\n" + strings.Repeat("| --- ", len(t.Columns)) + "|\n")
	for _, row := range t.Rows {
		for _, c := range t.Columns {
			fmt.Fprintf(b, "| %s ", measure.Cell(row[c]))
		}
		b.WriteString("|\n")
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.1f", s) }
