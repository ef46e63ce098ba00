package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"alexnet/internal/process"
)

// tests runs the test binary of package dnn/cuda, which finds the GPU itself.
func tests(ctx context.Context, c *check, p *Part) error {
	dir := filepath.Join(c.folder, "dnn", "cuda")
	out, err := process.Run(ctx, dir, nil, filepath.Join(dir, "cuda.test"), "-test.v", "-test.count=1")
	all := parseTests(out)
	counts := map[string]int{}
	failures, skipped := &Table{Title: "Failures", Columns: []string{"test", "output"}}, &Table{Title: "Skipped", Columns: []string{"test", "why"}}
	onGPU := false
	for _, t := range all {
		if slices.ContainsFunc(all, func(u tested) bool { return strings.HasPrefix(u.name, t.name+"/") }) && t.output == "" {
			continue // it only holds others
		}
		counts[t.status]++
		switch t.status {
		case "PASS":
			onGPU = onGPU || namesGPU.MatchString(t.name)
		case "FAIL":
			failures.Add(t.name, t.output)
		case "SKIP":
			skipped.Add(t.name, t.output)
		}
	}
	p.NewTable("Tests", "passed", "failed", "skipped").Add(counts["PASS"], counts["FAIL"], counts["SKIP"])
	p.Tables = append(p.Tables, failures, skipped)
	switch {
	case counts["FAIL"] > 0:
		return fmt.Errorf("%d tests failed: %w", counts["FAIL"], err)
	case err != nil:
		return err
	case !onGPU:
		return fmt.Errorf("none of %d tests passed on the GPU: those have names with gpu at their end", len(all))
	}
	return nil
}

// tested is how a test ended.
type tested struct {
	name, status string // PASS, FAIL or SKIP
	output       string
}

var (
	namesGPU   = regexp.MustCompile(`gpu(/|$)`)
	beginsTest = regexp.MustCompile(`^=== (?:RUN|NAME|CONT|PAUSE) +(.*)$`)
	endsTest   = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (.*) \([0-9.]+s\)$`)
)

// parseTests reads what a test binary prints with -test.v.
func parseTests(out string) []tested {
	var all []tested
	lines, current := map[string][]string{}, ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if m := beginsTest.FindStringSubmatch(line); m != nil {
			current = m[1]
		} else if m := endsTest.FindStringSubmatch(line); m != nil {
			all = append(all, tested{name: m[2], status: m[1]})
			current = m[2] // output of a subtest follows in old versions of package testing
		} else if s := strings.TrimSpace(line); s != "" {
			lines[current] = append(lines[current], s)
		}
	}
	for i := range all {
		all[i].output = strings.Join(lines[all[i].name], "\n")
	}
	return all
}
