package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"alexnet/internal/measure"
	"alexnet/internal/process"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
)

// Result is what every benchmark's file begins with.
type Result struct {
	Benchmark string  `json:"benchmark"`
	Date      string  `json:"date"`
	Commit    string  `json:"commit"`
	Machine   Machine `json:"machine"`

	Unset []string `json:"variables_unset"` // names, for this program and all that it started
	Load  *Load    `json:"load"`            // nil: not known
}

// newResult cleans the environment and looks at the machine.
func newResult(benchmark string) Result {
	return Result{Benchmark: benchmark, Date: time.Now().Format(time.DateOnly), Machine: look(), Unset: process.CleanEnvironment()}
}

// fileName returns the name of the result's files, without what tells them apart:
// loader-2026-11-24-amd-epyc-9b14.
func (r *Result) fileName() string {
	return r.Benchmark + "-" + r.Date + "-" + measure.Slug(r.Machine.processor())
}

// publish prints a result for people, and writes it into a folder.
func publish(c *cli.Context, dir, name string, result any, markdown []byte) error {
	if _, err := c.App.Writer.Write(markdown); err != nil {
		return err
	}
	path, err := write(dir, name, result, markdown)
	if err == nil {
		fmt.Fprintf(c.App.ErrWriter, "\nwritten to %s and .json\n", path)
	}
	return err
}

// write writes a result as JSON and as Markdown, and returns the path of the second.
func write(dir, name string, result any, markdown []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(result); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path + ".md", errors.Join(
		renameio.WriteFile(path+".json", []byte(text.String()), 0o666),
		renameio.WriteFile(path+".md", markdown, 0o666))
}
