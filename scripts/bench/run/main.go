// Command run measures parts of alexnet beside what people use today, and writes
// what it finds into one JSON and one Markdown file. The scripts in scripts/bench
// start it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// usageError is the user's slip: a flag or argument that is missing or wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	onUsageError := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	app := &cli.App{
		Name:      "bench",
		Usage:     "measure alexnet beside what people use today",
		Writer:    stdout,
		ErrWriter: stderr,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "root", Value: ".", Usage: "`FOLDER` of alexnet's source"},
		},
		Commands:       []*cli.Command{loaderCommand, suites[0].command(), suites[1].command(), scalingCommand, readmeCommand},
		HideVersion:    true,
		OnUsageError:   onUsageError,
		ExitErrHandler: func(*cli.Context, error) {}, // run prints and returns the status
		Action: func(c *cli.Context) error {
			return usagef("what is to be measured? alexnet, cifar, scaling or loader; readme puts the figures into README.md")
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
	}
	err := app.RunContext(ctx, args)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "bench: stopped; no result was written")
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "bench: %v\n", err)
	return 1
}
