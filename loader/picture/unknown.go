package picture

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// unknown says what a file is that is none of the formats that are read.
func unknown(file []byte) error {
	const known = "JPEG, PNG, GIF, WebP and BMP are read"
	start := strings.ToLower(string(bytes.TrimLeft(file[:min(len(file), 1024)], "\ufeff \t\r\n")))
	switch {
	case len(file) == 0:
		return errors.New("the file is empty; copy it again")
	case len(bytes.Trim(file, "\x00")) == 0:
		return errors.New("the file holds nothing but zeros; copy it again")
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"), strings.HasPrefix(start, "<head"):
		return errors.New("this is a page in HTML, as a server sends it in place of an image; fetch it again")
	case strings.HasPrefix(start, "<svg"), strings.HasPrefix(start, "<?xml"):
		return fmt.Errorf("this is XML or SVG; %s: convert it", known)
	case strings.HasPrefix(start, "version https://git-lfs"):
		return errors.New("this is a pointer of Git LFS, and not the image; run git lfs pull")
	}
	if name := boxed(file); name != "" {
		return fmt.Errorf("this is %s; %s: convert it", name, known)
	}
	return fmt.Errorf("unknown format; %s", known)
}

// boxed returns the format of a file that begins as ISO's base media files do: with a
// length, "ftyp" and a brand. It returns "" for any other file.
func boxed(file []byte) string {
	if len(file) < 12 || string(file[4:8]) != "ftyp" {
		return ""
	}
	switch brand := string(file[8:12]); brand {
	case "avif", "avis":
		return "AVIF"
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
		return "HEIC"
	default:
		return fmt.Sprintf("a film, or of another kind (brand %q)", brand)
	}
}
