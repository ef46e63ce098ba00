package pack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"alexnet/internal/durable"
	"alexnet/internal/lock"

	"github.com/google/renameio/v2"
)

// Unfinished is the error of a packing that ended early and has whole shards.
type Unfinished struct {
	Dir string // where they are
	Err error  // why it ended
}

func (u *Unfinished) Error() string {
	again := "give the same command again to go on from there, or remove it"
	if why := (*rejection)(nil); errors.As(u.Err, &why) {
		again = "go on from there without -strict, or remove it and begin again once the file is mended"
	}
	return fmt.Sprintf("%v; the finished part is kept in %s: %s", u.Err, u.Dir, again)
}

func (u *Unfinished) Unwrap() error { return u.Err }

// stuck is an error that the same command would meet again.
type stuck struct{ error }

func (s stuck) Unwrap() error { return s.error }

var errOther = errors.New("an unfinished packing of other images, or with other options")

// output is the folder of a data set in the making: one beside the final one,
// so that the data set appears whole or not at all. Its name is the final one's
// with an ending, so that a packing that was stopped is found again.
type output struct {
	final string // absolute path of the data set
	temp  string // holds data, and what else is needed meanwhile
	data  string // becomes final
	lock  *os.File
}

const (
	ending       = ".partial"
	identityFile = "packing" // in temp: what is packed, as a hash
	lockFile     = "lock"
)

// newOutput makes the folder, or finds the one of a packing that was stopped.
func newOutput(final string) (*output, error) {
	final, err := filepath.Abs(final)
	if err != nil {
		return nil, err
	}
	out := &output{final: final, temp: final + ending, data: filepath.Join(final+ending, "data")}
	if err := out.free(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Dir(final)); err != nil {
		return nil, fmt.Errorf("%w; the folder around the data set must exist", err)
	}
	if err := os.MkdirAll(out.data, 0o777); err != nil {
		return nil, fmt.Errorf("%w; the folder around the data set must be writable", err)
	}
	if err := out.own(); err != nil {
		return nil, err
	}
	// Another packing may have ended before the lock was ours. What one that was
	// killed had unpacked is of no use.
	if err := errors.Join(out.free(), out.removeSource()); err != nil {
		return nil, out.end(err)
	}
	return out, nil
}

// free says, as an error, what stands in the place of the data set.
func (out *output) free() error {
	entries, err := os.ReadDir(out.final)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%w; choose another folder for the data set", err)
	case len(entries) > 0:
		return fmt.Errorf("%s: there is something in this folder already; remove it, or choose another for the data set", out.final)
	}
	return nil
}

// own takes the lock, without which two programs could pack into one folder.
func (out *output) own() error {
	path := filepath.Join(out.temp, lockFile)
	l, err := lock.Take(path)
	if errors.Is(err, lock.ErrHeld) {
		return fmt.Errorf("%s: another program is packing into it; wait for it, or choose another folder", out.temp)
	}
	if err != nil {
		return err
	}
	// The program that had the lock may have removed the file with it.
	there, err := os.Stat(path)
	if err == nil {
		var ours os.FileInfo
		if ours, err = l.Stat(); err == nil && !os.SameFile(there, ours) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: another program was packing into it until now (%w); try again", out.temp, err), l.Close())
	}
	out.lock = l
	return nil
}

// resume holds what is packed against what was, if the folder is of a packing
// that was stopped, and removes what that left unfinished.
func (out *output) resume(identity string) error {
	path := filepath.Join(out.temp, identityFile)
	identity = fmt.Sprintf("%x\n", sha256.Sum256([]byte(identity)))
	was, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	switch shards, _ := filepath.Glob(filepath.Join(out.data, "*.rec")); {
	case len(shards) == 0:
		if err := renameio.WriteFile(path, []byte(identity), 0o666, renameio.WithTempDir(out.temp)); err != nil {
			return err
		}
		if err := durable.SyncDir(out.temp); err != nil {
			return err
		}
	case string(was) != identity:
		return stuck{fmt.Errorf("%s holds %w: give the same again, remove the folder, or choose another -out", out.temp, errOther)}
	}
	entries, err := os.ReadDir(out.data)
	for _, e := range entries {
		if err == nil && (strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".rec")) {
			err = os.Remove(filepath.Join(out.data, e.Name()))
		}
	}
	return err
}

// shard returns the path of a shard.
func (out *output) shard(split string, n int) string {
	return filepath.Join(out.data, fmt.Sprintf("%s-%05d.rec", split, n))
}

// commit gives the finished folder its name. An empty folder of that name is
// replaced; one that has been filled meanwhile is an error.
func (out *output) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(out.final); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; it was empty at the start", err)
	}
	if err := os.Rename(out.data, out.final); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(out.final))
}

// end removes what is not needed any more: everything, unless err ended a
// packing that has whole shards.
func (out *output) end(err error) error {
	shards, _ := filepath.Glob(filepath.Join(out.data, "*.rec"))
	if err == nil || len(shards) == 0 {
		return errors.Join(err, os.RemoveAll(out.temp), out.lock.Close())
	}
	if s := (stuck{}); !errors.As(err, &s) {
		err = &Unfinished{out.temp, err}
	}
	return errors.Join(err, out.removeSource(), out.lock.Close())
}

// removeSource removes what was unpacked of the source.
func (out *output) removeSource() error {
	entries, err := os.ReadDir(out.temp)
	for _, e := range entries {
		switch e.Name() {
		case filepath.Base(out.data), identityFile, lockFile:
		default:
			err = errors.Join(err, os.RemoveAll(filepath.Join(out.temp, e.Name())))
		}
	}
	return err
}
