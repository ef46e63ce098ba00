package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStoppedBySignals: the run saves itself, says how to go on if somebody can read
// it, exits with 128 + N, and goes on as if nothing had been.
func TestStoppedBySignals(t *testing.T) {
	dir, config, data := files(t)
	alone := filepath.Join(dir, "alone")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", alone)
	for _, signals := range [][]syscall.Signal{{syscall.SIGINT}, {syscall.SIGTERM}, {syscall.SIGHUP, syscall.SIGHUP}} {
		run := filepath.Join(dir, fmt.Sprint(int(signals[0])))
		c := program("train", "-config", config, "-data", data, "-run", run)
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		if !waitFor(t, filepath.Join(run, "metrics.jsonl"), ended) {
			t.Fatalf("it ended before it could be stopped: %s", errs.String())
		}
		for _, s := range signals {
			c.Process.Signal(s) // fails only if it has ended
		}
		<-ended
		if want := 128 + int(signals[0]); c.ProcessState.ExitCode() != want {
			t.Fatalf("%v: exit status %d, want %d: %s", signals, c.ProcessState.ExitCode(), want, errs.String())
		}
		contains(t, errs.String(), "stopped; the run is saved", "alexnet train -resume -run "+run+" -data "+data)
		alexnet(t, 0, "train", "-resume", "-run", run, "-data", data)
		sameFile(t, alone, run, "checkpoints/newest.safetensors")
	}
}

// TestReaderOfTheOutputIsGone is alexnet train 2>&1 | head -1.
func TestReaderOfTheOutputIsGone(t *testing.T) {
	dir, config, data := files(t)
	alone, run := filepath.Join(dir, "alone"), filepath.Join(dir, "run")
	alexnet(t, 0, "train", "-config", config, "-data", data, "-run", alone)
	c := program("train", "-config", config, "-data", data, "-run", run)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = w, w
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	c.Wait() // whose error is the status
	if want := 128 + int(syscall.SIGPIPE); c.ProcessState.ExitCode() != want {
		t.Fatalf("exit status %d, want %d", c.ProcessState.ExitCode(), want)
	}
	alexnet(t, 0, "train", "-resume", "-run", run, "-data", data)
	sameFile(t, alone, run, "checkpoints/newest.safetensors")

	// A command that reads no context ends with the same status, and quietly.
	c = program("plan", "-config", config)
	var errs bytes.Buffer
	c.Stderr = &errs
	if r, w, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	c.Stdout = w
	c.Run()
	w.Close()
	if want := 128 + int(syscall.SIGPIPE); c.ProcessState.ExitCode() != want || errs.Len() > 0 {
		t.Errorf("plan: exit status %d, want %d: %s", c.ProcessState.ExitCode(), want, errs.String())
	}
}

// TestIgnoredSignalsStayIgnored is nohup alexnet train.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	p := program("train", "-config", config, "-data", data, "-run", run)
	c := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, p.Args[1:]...)...)
	c.Env = p.Env
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if !waitFor(t, filepath.Join(run, "metrics.jsonl"), ended) {
		t.Fatal("it ended before it got the signal")
	}
	c.Process.Signal(syscall.SIGHUP)
	if err := <-ended; err != nil {
		t.Errorf("a signal that was to be ignored ended it: %v", err)
	}
}

const waitsForSignals = "ALEXNET_TEST_WAITS_FOR_SIGNALS"

// TestSecondInterruptEndsAtOnce: a program that does not leave after the first Ctrl-C
// is ended by the second, and by no second end of its terminal.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	if os.Getenv(waitsForSignals) != "" {
		ctx, _ := untilSignal(t.Context())
		for range 2 {
			fmt.Println("ready") // which the other process waits for
			<-ctx.Done()
		}
		select {}
	}
	for _, c := range []struct{ first, second, by syscall.Signal }{
		{syscall.SIGINT, syscall.SIGINT, syscall.SIGINT},
		{syscall.SIGINT, syscall.SIGTERM, syscall.SIGTERM},
		{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGKILL}, // which ends the wait
	} {
		p := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		p.Env = append(os.Environ(), waitsForSignals+"=1")
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for _, s := range []syscall.Signal{c.first, c.second} {
			if line, err := lines.ReadString('\n'); strings.TrimSpace(line) != "ready" {
				t.Fatalf("it says %q, %v", line, err)
			}
			if err := p.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		if c.by == syscall.SIGKILL {
			time.Sleep(100 * time.Millisecond) // a program that the second signal ends has ended by then
			p.Process.Kill()
		}
		io.Copy(io.Discard, lines)
		p.Wait()
		if status := p.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != c.by {
			t.Errorf("%v, %v: ended with %v, want %v", c.first, c.second, p.ProcessState, c.by)
		}
	}
}
