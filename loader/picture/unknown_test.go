package picture

import (
	"strings"
	"testing"
)

// What is no image says what it is, so that a reader of rejected.tsv knows what to do.
func TestUnknownFormatsAreNamed(t *testing.T) {
	for kind, d := range decoders(t, Options{Size: 8}) {
		for _, c := range []struct{ file, want string }{
			{"", "the file is empty"},
			{strings.Repeat("\x00", 3000), "nothing but zeros"},
			{"<!DOCTYPE html><html>", "HTML"},
			{"\ufeff\r\n <HTML><body>404", "HTML"},
			{"<?xml version=\"1.0\"?><svg/>", "SVG"},
			{"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
			{"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "this is AVIF; JPEG, PNG"},
			{"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "this is HEIC; JPEG, PNG"},
			{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00", "this is HEIC"},
			{"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00", `brand "isom"`},
			{"\x00\x00\x00\x18ftyp", "unknown format"},
			{"hello", "unknown format; JPEG, PNG, GIF, WebP and BMP are read"},
		} {
			_, err := d.Decode(t.Context(), []byte(c.file), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%.20q with %s: %v, want an error with %q", c.file, kind, err, c.want)
			}
		}
	}
}
