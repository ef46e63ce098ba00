package cstring

import (
	"strings"
	"testing"
)

func TestThereAndBack(t *testing.T) {
	for _, s := range []string{"", "x", "größer", strings.Repeat("long ", 1000)} {
		p, err := New("text", s)
		if err != nil {
			t.Fatal(err)
		}
		if got := Copy(p); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
	if got := Copy(nil); got != "" {
		t.Errorf("nothing came back as %q", got)
	}
	if _, err := New("an option", "ab\x00c"); err == nil || err.Error() != "an option: byte 2 is zero, where it would end for C" {
		t.Errorf("a zero byte: %v", err)
	}
}
