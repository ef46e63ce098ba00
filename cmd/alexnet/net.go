package main

import (
	"io"
	"os"

	"alexnet/dsl"
	"alexnet/model"

	"github.com/urfave/cli/v2"
)

// The flags that say which network is meant.
func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "the network's `FILE`"}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "change the file's `BLOCK.WORD=VALUE`, say train.batch=64"}
}

// readText reads a network's file, or as much of it as is enough for package dsl
// to refuse it as too large.
func readText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{err}
	}
	return readAll(f)
}

// readAll does readText's work, and closes the file.
func readAll(f *os.File) ([]byte, error) {
	const enough = 2 << 20
	defer f.Close() // was only read
	src, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return nil, usageError{err}
	}
	return src, nil
}

// readNet reads the network that -config and -set describe, and its text with
// the changes in it.
func readNet(c *cli.Context, more ...string) (*model.Net, []byte, error) {
	path := c.String("config")
	if path == "" {
		return nil, nil, usagef("which network? Give -config FILE")
	}
	src, err := readText(path)
	if err != nil {
		return nil, nil, err
	}
	return withSettings(c, path, src, more...)
}

// withSettings returns the network of a text, and the text, with the changes of -set
// and more in both.
func withSettings(c *cli.Context, path string, src []byte, more ...string) (*model.Net, []byte, error) {
	var settings []dsl.Setting
	for _, s := range append(c.StringSlice("set"), more...) {
		setting, err := dsl.ParseSetting(s)
		if err != nil {
			return nil, nil, usageError{err}
		}
		settings = append(settings, setting)
	}
	net, err := dsl.Parse(path, src, settings...)
	if err != nil {
		return nil, nil, err
	}
	text, err := dsl.Apply(path, src, settings...)
	return net, text, err
}
