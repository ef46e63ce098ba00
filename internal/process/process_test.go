package process

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestTail: of what a program prints, the end is kept.
func TestTail(t *testing.T) {
	var out Tail
	for range 3 << 10 {
		if _, err := out.Write(make([]byte, 10<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := out.Write([]byte("end\xff")); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); len(s) > 17<<20 || !strings.HasSuffix(s, "end?") {
		t.Errorf("%d bytes, ending in %q", len(s), s[len(s)-4:])
	}
	err := errors.Join(errors.New("first"), &Error{[]string{"x"}, errors.New("y"), strings.Repeat("z", 1<<20)})
	if s := OutputOf(err); len(s) > 10<<10 {
		t.Errorf("%d bytes are kept", len(s))
	}
}

func TestRun(t *testing.T) {
	out, err := Run(t.Context(), t.TempDir(), []string{"WORD=hello"}, "sh", "-c", "echo $WORD; echo again >&2")
	if err != nil || out != "hello\nagain\n" {
		t.Errorf("%q, %v", out, err)
	}
	text, err := Output(t.Context(), "", nil, "sh", "-c", "echo out; echo err >&2")
	if err != nil || string(text) != "out\n" {
		t.Errorf("%q, %v", text, err)
	}
	_, err = Output(t.Context(), "", nil, "sh", "-c", "echo first; echo 'the reason' >&2; exit 3")
	if err == nil || err.Error() != "sh: exit status 3: the reason" {
		t.Error(err)
	}
	if s := OutputOf(err); s != "$ sh -c echo first; echo 'the reason' >&2; exit 3\nthe reason\n" {
		t.Errorf("%q", s)
	}
}

func TestTimed(t *testing.T) {
	start := time.Now()
	_, took, err := Timed(t.Context(), "", nil, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2")
	if err != nil || took <= 0 || took > time.Since(start)-100*time.Millisecond {
		t.Error(took, err)
	}
}

// TestKilled: with the program go those that it started, which hold its output open.
func TestKilled(t *testing.T) {
	why := errors.New("it was enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	start := time.Now()
	if _, err := Run(ctx, "", nil, "sh", "-c", "sleep 60 & sleep 60"); !errors.Is(err, why) {
		t.Error(err)
	}
	if d := time.Since(start); d > 4*time.Second { // WaitDelay is 5
		t.Errorf("it took %v to end", d)
	}
}
