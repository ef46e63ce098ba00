package main

import (
	"bytes"
	"fmt"
	"strings"

	"alexnet/internal/measure"
)

// header writes what every result begins with, for people.
func (r *Result) header(b *bytes.Buffer, title string) {
	m := &r.Machine
	cache := "not known"
	if m.Cache > 0 {
		cache = fmt.Sprintf("%d MiB", m.Cache>>20)
	}
	fmt.Fprintf(b, "# %s: %s, %s\n\n", title, m.processor(), r.Date)
	fmt.Fprintf(b, "- %s, %d cores, last-level cache: %s\n", m.System, m.Cores, cache)
	fmt.Fprintf(b, "- %s, commit %s\n", m.Go, r.Commit)
	if len(r.Unset) > 0 {
		fmt.Fprintf(b, "- taken out of the environment: %s\n", strings.Join(r.Unset, ", "))
	}
	b.WriteString(r.Load.line())
}

// table writes a table of Markdown.
func table(b *bytes.Buffer, columns []string, rows ...[]any) {
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
	for _, row := range rows {
		for _, v := range row {
			fmt.Fprintf(b, "| %s ", measure.Cell(v))
		}
		b.WriteString("|\n")
	}
}
