package main

import (
	"context"
	"os"
	"path/filepath"

	"alexnet/internal/process"
)

// build builds alexnet in root into dir and returns the program's path.
func build(ctx context.Context, root, dir string) (string, error) {
	program := filepath.Join(dir, "alexnet")
	_, err := process.Run(ctx, root, []string{"CGO_ENABLED=0"}, "go", "build", "-o", program, "./cmd/alexnet")
	return program, err
}

// workFolder returns a new folder at path, or a temporary one if path is empty,
// and what is to be done with it in the end.
func workFolder(path string) (dir string, end func() error, err error) {
	if path == "" {
		dir, err = os.MkdirTemp("", "alexnet-bench")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if dir, err = filepath.Abs(path); err != nil { // programs run in folders of their own
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = usagef("-work %s: there are files in it, perhaps of an earlier run; remove them or give another folder", path)
	}
	return dir, func() error { return nil }, err
}
