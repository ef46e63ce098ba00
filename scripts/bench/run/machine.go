package main

import (
	"cmp"
	"context"
	"runtime"
	"strings"

	"alexnet/internal/measure"
	"alexnet/internal/process"
)

// Machine is where figures were taken. It names no host.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Cache  int64  `json:"last_level_cache_bytes"` // 0: not known
	System string `json:"system"`
	Go     string `json:"go"`
}

func look() Machine {
	m := Machine{
		CPU:   cmp.Or(measure.CPU(), "unknown CPU"),
		Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
	// Where the system does not tell, 0 says so.
	m.Cache, _ = measure.LastCache()
	return m
}

// commit names the source in root, which need not be a git repository.
func commit(ctx context.Context, root string) string {
	out, err := process.Output(ctx, root, nil, "git", "--no-optional-locks", "describe", "--always", "--abbrev=40", "--dirty= with changes")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
