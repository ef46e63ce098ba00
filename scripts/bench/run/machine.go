package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"strings"

	"alexnet/dnn/cpu/tile"
	"alexnet/internal/measure"
	"alexnet/internal/process"
)

// Machine is where figures were taken. It names no host.
type Machine struct {
	CPU     string `json:"cpu"`
	Vectors string `json:"vectors,omitempty"` // that alexnet's kernels use, as package tile has it
	Cores   int    `json:"cores"`
	Cache   int64  `json:"last_level_cache_bytes"` // 0: not known
	System  string `json:"system"`
	Go      string `json:"go"`
}

func look() Machine {
	m := Machine{
		CPU: cmp.Or(measure.CPU(), "unknown CPU"), Vectors: tile.Name(),
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
	// Where the system does not tell, 0 says so.
	m.Cache, _ = measure.LastCache()
	return m
}

// processor names the CPU and its vectors, which a name that a hypervisor made up
// may not tell.
func (m *Machine) processor() string {
	if m.Vectors == "" {
		return m.CPU
	}
	return fmt.Sprintf("%s (%s)", m.CPU, m.Vectors)
}

// commit names the source in root, which need not be a git repository.
func commit(ctx context.Context, root string) string {
	out, err := process.Output(ctx, root, nil, "git", "--no-optional-locks", "describe", "--always", "--abbrev=40", "--dirty= with changes")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
