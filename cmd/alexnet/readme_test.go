package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// TestReadmeCommands: the README's table has every command, and of each no flag that
// it does not know.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	app := newApp(io.Discard, io.Discard)
	code, flag := regexp.MustCompile("`[^`]+`"), regexp.MustCompile(`(?:^|[ \[])-([a-z][a-z0-9-]*)`)
	told := map[string]bool{}
	for _, row := range strings.Split(string(text), "\n") {
		name, ok := strings.CutPrefix(row, "| `alexnet ")
		if !ok {
			continue
		}
		name = strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '`' })[0]
		command := app.Command(name)
		if command == nil {
			t.Errorf("there is no command %s", name)
			continue
		}
		told[name] = true
		known := flagNames(command)
		for _, span := range code.FindAllString(row, -1) {
			for _, m := range flag.FindAllStringSubmatch(strings.Trim(span, "`"), -1) {
				if !slices.Contains(known, m[1]) {
					t.Errorf("alexnet %s has no flag -%s", name, m[1])
				}
			}
		}
	}
	for _, c := range app.Commands {
		if !told[c.Name] && c.Name != "help" {
			t.Errorf("the table has no row of alexnet %s", c.Name)
		}
	}
}

// flagNames returns the names of the flags of a command and what is below it.
func flagNames(c *cli.Command) (names []string) {
	for _, f := range c.Flags {
		names = append(names, f.Names()...)
	}
	for _, sub := range c.Subcommands {
		names = append(names, flagNames(sub)...)
	}
	return names
}
