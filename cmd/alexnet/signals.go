package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// interrupts are what a person or a supervisor stops a program with. The second one
// ends the program at once.
var interrupts = []os.Signal{syscall.SIGINT, syscall.SIGTERM}

// losses say that the terminal or the reader of the output is gone. A terminal that
// closes sends more than one, so that none of them ends the program at once.
var losses = []os.Signal{syscall.SIGHUP, syscall.SIGPIPE}

// stopped is the cause of a context that a signal ended.
type stopped struct{ syscall.Signal }

func (s stopped) Error() string { return "stopped by a signal: " + s.String() }

// status is the exit status of a program that the signal stopped, as shells have it.
func (s stopped) status() int { return 128 + int(s.Signal) }

// untilSignal returns a context that ends at the first signal, with a [stopped] as
// its cause. The function gives the signals back. After it the context knows of every
// signal that came. A signal that the program was started to ignore, as by nohup,
// stays ignored.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	received := make(chan os.Signal, len(interrupts)+len(losses))
	for _, s := range slices.Concat(interrupts, losses) {
		if !signal.Ignored(s) {
			signal.Notify(received, s)
		}
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for s := range received {
			if slices.Contains(interrupts, s) {
				signal.Reset(interrupts...)
			}
			cancel(stopped{s.(syscall.Signal)}) // which counts once
		}
	})
	return ctx, func() {
		signal.Stop(received)
		signal.Ignore(syscall.SIGPIPE) // the last message may find no reader either
		close(received)
		watching.Wait()
		cancel(nil)
	}
}

// afterSignal returns the exit status of a command to which a signal came, and prints
// its error. A command that ended all the same is done, unless nobody read its output.
func afterSignal(by stopped, err error, stderr io.Writer) int {
	unread := by.Signal == syscall.SIGPIPE
	stop := err != nil && err.Error() == context.Canceled.Error() // and says nothing more
	switch {
	case err == nil && !unread:
		return exitDone
	case err == nil, unread && (stop || errors.Is(err, syscall.EPIPE)):
		// Quiet, as other programs are.
	case stop:
		fmt.Fprintf(stderr, "alexnet: %v\n", by)
	default:
		fmt.Fprintf(stderr, "alexnet: %v\n", err)
	}
	return by.status()
}
