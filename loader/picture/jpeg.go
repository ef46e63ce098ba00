package picture

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// jpegVariable chooses the JPEG decoder: go, turbo, or the path of a library
// that has TurboJPEG's functions. Unset, libturbojpeg is used where it is found,
// and Go's image/jpeg elsewhere.
const jpegVariable = "ALEXNET_JPEG"

const goJPEG = "Go's image/jpeg"

var chosen struct {
	once    sync.Once
	library *turboLibrary // nil: Go's decoder
	name    string
	err     error
}

// useJPEG returns what the environment chooses, once a process.
func useJPEG() (*turboLibrary, string, error) {
	chosen.once.Do(func() {
		chosen.library, chosen.name, chosen.err = chooseJPEG(os.Getenv(jpegVariable))
	})
	return chosen.library, chosen.name, chosen.err
}

// JPEG says which JPEG decoder is in use. It is an error if the environment asks
// for one that is not there.
func JPEG() (string, error) {
	_, name, err := useJPEG()
	return name, err
}

func chooseJPEG(want string) (*turboLibrary, string, error) {
	if want == "go" {
		return nil, goJPEG, nil
	}
	names := turboNames
	if want != "" && want != "turbo" {
		names = []string{want}
		if !strings.ContainsRune(want, os.PathSeparator) {
			return nil, "", fmt.Errorf("%s=%s: want go, turbo, or the path of a TurboJPEG library", jpegVariable, want)
		}
	}
	l, err := openTurbo(names)
	switch {
	case err == nil:
		return l, l.name(), nil
	case want == "":
		return nil, goJPEG, nil
	}
	return nil, "", fmt.Errorf("%s=%s: %w; install libjpeg-turbo's TurboJPEG library (Debian: libturbojpeg0), or set %s=go", jpegVariable, want, err, jpegVariable)
}
