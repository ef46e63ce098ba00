// Package process runs other programs to their end and keeps what they said,
// for the scripts that check and measure this one.
package process

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

// Command returns a program that is killed, with all that it started, when ctx
// ends.
func Command(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for those that left the group and hold the output open
	return cmd
}

// Run runs a program to its end and returns the end of what it printed.
func Run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	out, _, err := Timed(ctx, dir, env, args...)
	return out, err
}

// Timed is Run that says, too, how much time of processors the program took.
func Timed(ctx context.Context, dir string, env []string, args ...string) (string, time.Duration, error) {
	var out Tail
	cmd := Command(ctx, dir, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var took time.Duration
	if s := cmd.ProcessState; s != nil {
		took = s.UserTime() + s.SystemTime()
	}
	return out.String(), took, Failure(ctx, args, err, &out)
}

// Output is Run for programs whose standard output is read by this one.
func Output(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var out, errs Tail
	cmd := Command(ctx, dir, env, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.b, Failure(ctx, args, err, &errs)
}

// Error is the end of a program that went wrong.
type Error struct {
	Args   []string
	Err    error
	Output string
}

// Error names the program and the line of its output that tells most.
func (e *Error) Error() string {
	name := filepath.Base(e.Args[0])
	if len(e.Args) > 1 && !strings.HasPrefix(e.Args[1], "-") {
		name += " " + filepath.Base(e.Args[1])
	}
	telling := ""
	for line := range strings.Lines(e.Output) {
		if line = strings.Join(strings.Fields(line), " "); line == "" {
			continue
		}
		telling = line
		if strings.Contains(line, "_test.go:") || strings.HasPrefix(line, "panic: ") {
			break
		}
	}
	if telling == "" {
		return fmt.Sprintf("%s: %v", name, e.Err)
	}
	return fmt.Sprintf("%s: %v: %s", name, e.Err, Short(telling))
}

func (e *Error) Unwrap() error { return e.Err }

func Failure(ctx context.Context, args []string, err error, out *Tail) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Error{args, err, out.String()}
}

// OutputOf returns the command that err is about, and the end of what it printed.
func OutputOf(err error) string {
	const end = 8 << 10
	var e *Error
	if !errors.As(err, &e) {
		return ""
	}
	output := e.Output
	if len(output) > end {
		output = "...\n" + strings.ToValidUTF8(output[len(output)-end:], "")
	}
	return "$ " + strings.Join(e.Args, " ") + "\n" + output
}

// Short cuts off what is too long to be read in a line.
func Short(s string) string {
	const enough = 400
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "") + "..."
	}
	return s
}

// Tail keeps the last of what is written to it.
type Tail struct{ b []byte }

var _ io.Writer = (*Tail)(nil)

func (t *Tail) Write(b []byte) (int, error) {
	const keep = 8 << 20
	t.b = append(t.b, b...)
	if len(t.b) > 2*keep {
		t.b = append(t.b[:0], t.b[len(t.b)-keep:]...)
	}
	return len(b), nil
}

// String returns it as text whatever the bytes.
func (t *Tail) String() string { return string(bytes.ToValidUTF8(t.b, []byte("?"))) }
