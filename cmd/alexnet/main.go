// Command alexnet trains, tests and shows the network of Krizhevsky, Sutskever
// and Hinton (NIPS 2012) and its relatives.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"alexnet/dsl"
	"alexnet/internal/devices"
	"alexnet/plan"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, release := untilSignal(context.Background())
	err := command(ctx, os.Args, os.Stdout, os.Stderr)
	release()
	os.Exit(status(ctx, err, os.Stderr))
}

// The exit statuses. A program that signal N stopped exits with 128 + N.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or a file that is not what it should be
)

// usageError is the user's slip: a flag or argument that is missing or wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return status(ctx, command(ctx, args, stdout, stderr), stderr)
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	app := newApp(stdout, stderr)
	return app.RunContext(ctx, flagsFirst(app, args))
}

// status returns the exit status of a command and prints its error.
func status(ctx context.Context, err error, stderr io.Writer) int {
	if by := (stopped{}); errors.As(context.Cause(ctx), &by) {
		return afterSignal(by, err, stderr)
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "alexnet: %v\n", err)
	var usage usageError
	var syntax dsl.Errors
	var planning plan.Error
	var naming devices.Error
	if errors.As(err, &usage) || errors.As(err, &syntax) || errors.As(err, &planning) || errors.As(err, &naming) {
		return exitUsage
	}
	return exitFailed
}

func newApp(stdout, stderr io.Writer) *cli.App {
	onUsageError := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	app := &cli.App{
		Name:      "alexnet",
		Usage:     "train, test and look into AlexNet",
		Writer:    stdout,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			trainCommand, rateCommand, testCommand, predictCommand, filtersCommand, plotCommand, reportCommand,
			featuresCommand, neighborsCommand, codesCommand, packCommand,
			planCommand, checkCommand, fmtCommand, benchCommand, devicesCommand,
		},
		HideVersion: true,
		// A comma belongs to the value, as in fc8.from=a, b.
		DisableSliceFlagSeparator: true,
		OnUsageError:              onUsageError,
		ExitErrHandler:            func(*cli.Context, error) {}, // run prints and returns the status
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usagef("there is no command %q; see alexnet help", c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, c := range app.Commands {
		for _, c := range append(c.Subcommands, c) {
			c.OnUsageError = onUsageError
			if c.ArgsUsage == "" && len(c.Subcommands) == 0 {
				c.Before = noArguments
			}
		}
	}
	return app
}

// noArguments refuses what stands beside the flags of a command that takes
// nothing else.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("what is %q? alexnet %s takes flags alone; see alexnet %s -help", c.Args().First(), c.Command.Name, c.Command.Name)
	}
	return nil
}
