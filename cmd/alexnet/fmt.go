package main

import (
	"bytes"
	"fmt"
	"path/filepath"

	"alexnet/dsl"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
)

var fmtCommand = &cli.Command{
	Name:  "fmt",
	Usage: "rewrite a network file in the canonical layout",
	Flags: []cli.Flag{
		configFlag(),
		&cli.BoolFlag{Name: "print", Usage: "print the result and leave the file as it is"},
	},
	Action: func(c *cli.Context) error {
		path := c.String("config")
		if path == "" {
			return usagef("which file? Give -config FILE")
		}
		src, err := readText(path)
		if err != nil {
			return err
		}
		out, err := dsl.Format(path, src)
		if err != nil {
			return err
		}
		if c.Bool("print") {
			_, err := c.App.Writer.Write(out)
			return err
		}
		if bytes.Equal(src, out) {
			return nil
		}
		file, err := filepath.EvalSymlinks(path) // what a link points to is rewritten, the link stays
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(file, out, 0o666); err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, path)
		return nil
	},
}
