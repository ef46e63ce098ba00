// Package durable makes what was written last through a loss of power.
package durable

import (
	"errors"
	"os"
)

// SyncDir makes the names in a folder last: those of files that were made in it
// or renamed.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
