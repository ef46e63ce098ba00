package main

import (
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// picture keeps a picture that a part has made beside the result, and returns its
// name there.
func (c *check) picture(from, what string) (name string, err error) {
	png, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	name = c.result.FileName() + "-" + what + ".png"
	return name, renameio.WriteFile(filepath.Join(c.out, name), png, 0o666)
}
