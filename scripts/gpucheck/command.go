package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// command returns a program that is killed, with all that it started, when ctx
// ends.
func command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for those that left the group and hold the output open
	return cmd
}

// run runs a program to its end and returns the end of what it printed.
func (c *check) run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	var out tail
	cmd := command(ctx, dir, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), failure(ctx, args, err, &out)
}

// output is run for programs whose standard output is read by this one.
func (c *check) output(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var out, errs tail
	cmd := command(ctx, dir, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.b, failure(ctx, args, err, &errs)
}

// commandError is the end of a program that went wrong.
type commandError struct {
	args   []string
	err    error
	output string
}

// Error names the program and the line of its output that tells most.
func (e *commandError) Error() string {
	name := filepath.Base(e.args[0])
	if len(e.args) > 1 && !strings.HasPrefix(e.args[1], "-") {
		name += " " + filepath.Base(e.args[1])
	}
	telling := ""
	for line := range strings.Lines(e.output) {
		if line = oneLine(line); line == "" {
			continue
		}
		telling = line
		if strings.Contains(line, "_test.go:") || strings.HasPrefix(line, "panic: ") {
			break
		}
	}
	if telling == "" {
		return fmt.Sprintf("%s: %v", name, e.err)
	}
	return fmt.Sprintf("%s: %v: %s", name, e.err, short(telling))
}

func (e *commandError) Unwrap() error { return e.err }

func failure(ctx context.Context, args []string, err error, out *tail) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &commandError{args, err, out.String()}
}

// outputOf returns the command that err is about, and the end of what it printed.
func outputOf(err error) string {
	const end = 8 << 10
	var e *commandError
	if !errors.As(err, &e) {
		return ""
	}
	output := e.output
	if len(output) > end {
		output = "...\n" + strings.ToValidUTF8(output[len(output)-end:], "")
	}
	return "$ " + strings.Join(e.args, " ") + "\n" + output
}

// short cuts off what is too long to be read in a line.
func short(s string) string {
	const enough = 400
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "") + "..."
	}
	return s
}

// tail keeps the last of what is written to it.
type tail struct{ b []byte }

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(b []byte) (int, error) {
	const keep = 8 << 20
	t.b = append(t.b, b...)
	if len(t.b) > 2*keep {
		t.b = append(t.b[:0], t.b[len(t.b)-keep:]...)
	}
	return len(b), nil
}

// String returns it as text whatever the bytes.
func (t *tail) String() string { return string(bytes.ToValidUTF8(t.b, []byte("?"))) }
