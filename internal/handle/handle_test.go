package handle

import (
	"errors"
	"strings"
	"testing"
)

func TestLifeOutlivesWhatItDependsOn(t *testing.T) {
	var released []string
	make := func(name string, on ...*Life) *Life {
		l, err := New(name, func() error { released = append(released, name); return nil }, on...)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	context := make("context")
	stream := make("stream", context)
	event := make("event", context)
	both := make("both", stream, event)
	for _, l := range []*Life{context, stream, context, event} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(released) != 0 {
		t.Fatalf("released %v while something made with it lives", released)
	}
	if err := stream.Use(); !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "stream") {
		t.Errorf("use after Close: %v", err)
	}
	if _, err := New("late", func() error { released = append(released, "late"); return nil }, both, stream); !errors.Is(err, ErrClosed) {
		t.Errorf("made with a closed stream: %v", err)
	}
	if err := both.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(released, " "), "late both event stream context"; got != want {
		t.Errorf("released %s, want %s", got, want)
	}
	if err := both.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseReturnsTheErrorOfRelease(t *testing.T) {
	bad := errors.New("bad")
	l, err := New("x", func() error { return bad })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); !errors.Is(err, bad) {
		t.Errorf("Close: %v, want %v", err, bad)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestForeignIsNotReleased(t *testing.T) {
	l, err := New("foreign", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := (*Life)(nil).Use(); !errors.Is(err, ErrClosed) {
		t.Errorf("a handle that was never made: %v", err)
	}
}
