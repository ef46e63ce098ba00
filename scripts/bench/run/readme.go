package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
)

// What stands between these lines of README.md is written from the tables.
const (
	measuredBegins = "<!-- measured: written by scripts/bench/readme from bench/results -->\n"
	measuredEnds   = "<!-- /measured -->\n"
)

var readmeCommand = &cli.Command{
	Name:  "readme",
	Usage: "write the figures of README.md from the newest tables of each machine in bench/results",
	Flags: []cli.Flag{
		&cli.BoolFlag{Name: "check", Usage: "write nothing; fail if README.md has other figures"},
	},
	Action: func(c *cli.Context) error {
		if c.NArg() > 0 {
			return usagef("what is %q? bench readme takes flags alone", c.Args().First())
		}
		changed, err := readme(c.String("root"), c.Bool("check"))
		switch {
		case err != nil:
			return err
		case changed && c.Bool("check"):
			return errors.New("README.md does not have the figures of the tables in bench/results: run scripts/bench/readme, and commit what it changed")
		case changed:
			fmt.Fprintln(c.App.ErrWriter, "README.md has new figures")
		}
		return nil
	},
}

// readme brings README.md in root up to date, or with check only looks, and says
// whether it was not.
func readme(root string, check bool) (changed bool, err error) {
	path := filepath.Join(root, "README.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	figures, err := measured(filepath.Join(root, "bench", "results"))
	if err != nil {
		return false, err
	}
	text, err := between(old, figures)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(old, text) {
		return false, nil
	}
	if check {
		return true, nil
	}
	return true, renameio.WriteFile(path, text, 0o666)
}

// between returns text with what stands between the two lines replaced.
func between(text, by []byte) ([]byte, error) {
	for _, line := range []string{measuredBegins, measuredEnds} {
		if n := bytes.Count(text, []byte(line)); n != 1 {
			return nil, fmt.Errorf("the line %s is there %d times, want once", strings.TrimSpace(line), n)
		}
	}
	before, rest, _ := bytes.Cut(text, []byte(measuredBegins))
	_, after, ok := bytes.Cut(rest, []byte(measuredEnds))
	if !ok {
		return nil, fmt.Errorf("%s stands above %s", strings.TrimSpace(measuredEnds), strings.TrimSpace(measuredBegins))
	}
	return bytes.Join([][]byte{before, []byte(measuredBegins), by, []byte(measuredEnds), after}, nil), nil
}
