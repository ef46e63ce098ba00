package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves a command's flags before its other arguments, where the flag
// package of the standard library looks for them: so `alexnet pack folder DIR
// -out SET` is understood. What follows -- stays as it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	head, rest := args[:1:1], args[1:]
	var flags []cli.Flag
	commands := app.Commands
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		flags, commands = commands[i].Flags, commands[i].Subcommands
		head, rest = append(head, rest[0]), rest[1:]
	}
	var first, last []string
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			last = append(append(last, arg), rest...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			last = append(last, arg)
			continue
		}
		first = append(first, arg)
		if takesValue(flags, strings.TrimLeft(arg, "-")) && len(rest) > 0 {
			first, rest = append(first, rest[0]), rest[1:]
		}
	}
	return slices.Concat(head, first, last)
}

// takesValue reports whether the argument after flag name is its value.
func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}
