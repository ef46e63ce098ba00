package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"alexnet/internal/lock"
	"alexnet/internal/regular"

	"github.com/google/renameio/v2"
)

// Orders from other programs come as files in the run's folder, so that they
// work on every system and from another machine that sees the folder:
//
//	orders/123.order    an Order in JSON, written under another name and renamed
//	orders/123.taken    the same while it is carried out
//	orders/123.answer   what came of it
//	lock                held while the run goes on
//
// An order goes through these in turn. A run that begins sweeps the folder, so an
// order that is under none of the three names was swept.
const (
	ordersDir = "orders"
	lockFile  = "lock"

	orderEnd, takenEnd, answerEnd = ".order", ".taken", ".answer"

	lookEvery = 200 * time.Millisecond
	maxOrder  = 64 << 10
)

// answerFile is the content of an answer.
type answerFile struct {
	Step  int64  `json:"step"`
	Error string `json:"error,omitempty"`
}

// mailbox brings what lies in the folder to the desk until the context ends. What
// it cannot read or answer it tells.
func mailbox(ctx context.Context, dir string, d *Desk, message func(format string, args ...any)) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := empty(ctx, dir, d); err != nil && !told {
			message("orders cannot be taken: %v", err)
			told = true // once: it will be so again at every look
		}
	}
}

// empty answers every order that lies in the folder.
func empty(ctx context.Context, dir string, d *Desk) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), orderEnd)
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.Rename(path+orderEnd, path+takenEnd); errors.Is(err, fs.ErrNotExist) { // taken back
			continue
		} else if err != nil {
			return err // or it would be carried out twice
		}
		o, err := readOrder(path + takenEnd)
		var a answerFile
		if err == nil {
			a.Step, err = d.Place(ctx, o)
		}
		if err != nil {
			a.Error = err.Error()
		}
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(path+answerEnd, b, 0o666, renameio.WithTempDir(dir)); err != nil {
			return err
		}
		if err := os.Remove(path + takenEnd); err != nil {
			return err
		}
	}
	return nil
}

func readOrder(path string) (o Order, err error) {
	f, err := regular.Open(path, os.O_RDONLY)
	if err != nil {
		return o, err
	}
	defer f.Close()
	if o, err = ReadOrder(io.LimitReader(f, maxOrder)); err != nil {
		return o, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// openMailbox makes the folder for orders, and sweeps away those that were meant
// for an earlier run.
func openMailbox(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name()))) // which may have been taken back meanwhile
	}
	return err
}

// Send gives an order to the training that goes on in a run's folder, in this or
// in another program, and waits until it is carried out, as [Desk.Place] does.
func Send(ctx context.Context, run string, o Order) (step int64, err error) {
	if _, err := os.Stat(filepath.Join(run, ConfigFile)); err != nil {
		return 0, fmt.Errorf("%s holds no run: %w", run, err)
	}
	dir := filepath.Join(run, ordersDir)
	if err := goesOn(run); err != nil {
		return 0, err
	}
	b, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(dir, "*.new")
	if err != nil {
		return 0, err
	}
	path := strings.TrimSuffix(f.Name(), ".new")
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path+orderEnd); err != nil {
		return 0, errors.Join(err, os.Remove(f.Name()))
	}
	tick := time.NewTicker(lookEvery / 4)
	defer tick.Stop()
	for {
		ended := goesOn(run) // before looking: a run that ends answers first
		swept := nowhere(path)
		b, err := os.ReadFile(path + answerEnd)
		switch {
		case err == nil:
			return readAnswer(path+answerEnd, b)
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		case ended != nil:
			return 0, errors.Join(ended, takeBack(path))
		case swept:
			return 0, fmt.Errorf("a training began in %s and did not take an order from before: give it again", run)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), takeBack(path))
		}
	}
}

// nowhere says that an order neither waits nor is being carried out: it is
// answered, or was swept away.
func nowhere(path string) bool {
	for _, end := range []string{orderEnd, takenEnd} {
		if _, err := os.Lstat(path + end); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// goesOn says, as an error, that no training goes on in a folder.
func goesOn(run string) error {
	l, err := lock.Take(filepath.Join(run, lockFile))
	if errors.Is(err, lock.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(fmt.Errorf("no training goes on in %s: start it with alexnet train -resume -run %s", run, run), l.Close())
}

func takeBack(path string) error {
	if err := os.Remove(path + orderEnd); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func readAnswer(path string, b []byte) (int64, error) {
	var a answerFile
	if err := errors.Join(json.Unmarshal(b, &a), os.Remove(path)); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if a.Error != "" {
		return a.Step, errors.New(a.Error)
	}
	return a.Step, nil
}
