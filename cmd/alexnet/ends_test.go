package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/internal/testenv"
	"alexnet/train"
)

// These choose what TestRandomEnds does.
const (
	endsRuns = "ALEXNET_TEST_ENDS"      // how many trainings it ends; else one in each way
	endsSeed = "ALEXNET_TEST_ENDS_SEED" // of all moments
	endsRoom = "ALEXNET_TEST_ENDS_ROOM" // in the program: how many bytes a file may have
)

// An end is what happens to a training before it is done.
type end struct {
	name   string
	before func(*session) error // done before the program starts, if not nil
	at     func(*session) error // done at a random moment, if not nil
	saves  bool                 // the last step must be saved
	full   bool                 // the line of the last step may be lost
}

var ends = []end{
	{name: "SIGKILL", at: send(syscall.SIGKILL)},
	{name: "SIGTERM", at: send(syscall.SIGTERM), saves: true},
	{name: "SIGINT", at: send(syscall.SIGINT), saves: true},
	{name: "SIGINT twice", at: send(syscall.SIGINT, syscall.SIGINT)},
	{name: "SIGHUP", at: send(syscall.SIGHUP), saves: true},
	{name: "SIGPIPE", at: closeReader, saves: true},
	{name: "damaged test set", saves: true, before: func(s *session) error { return errors.Join(copyData(s), flip(s, "test")) }},
	{name: "damaged training set", saves: true, before: copyData, at: func(s *session) error { return flip(s, "train") }},
	{name: "files that cannot grow", full: true, before: func(s *session) error { s.room = 1 + s.rng.IntN(s.largest); return nil }},
	{name: "full disk", full: true, at: func(s *session) error { return fill(filepath.Join(s.dir, ballast), s.rng.Int64N(64<<10)) }}, // needs a disk of its own
}

func send(signals ...syscall.Signal) func(*session) error {
	return func(s *session) error {
		for _, sig := range signals {
			if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
		return nil
	}
}

// copyData gives the session a data set of its own.
func copyData(s *session) error {
	s.data = filepath.Join(s.dir, "damaged")
	return errors.Join(os.RemoveAll(s.data), os.CopyFS(s.data, os.DirFS(s.whole)))
}

// flip changes a bit in the images of a split.
func flip(s *session, split string) error {
	shards, err := filepath.Glob(filepath.Join(s.data, split+"-*.rec"))
	if err != nil || len(shards) == 0 {
		return errors.Join(err, fmt.Errorf("%s has no shards of %s", s.data, split))
	}
	f, err := os.OpenFile(shards[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := info.Size()/4 + s.rng.Int64N(info.Size()/2) // far from the header and the index
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1 << s.rng.IntN(8)
	_, err = f.WriteAt(b[:], at)
	return err
}

// ballast is a file that fills a disk.
const ballast = "ballast"

// fill leaves so many bytes of a file's disk.
func fill(path string, left int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%s could be filled with %d bytes: %w", path, size, err)
	}
	return f.Truncate(max(0, size-left))
}

// zeros is a reader without an end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// limitFiles lets no file of this process grow beyond room bytes: what is written
// then is refused, as on a full disk.
func limitFiles(room string) {
	n, err := strconv.ParseUint(room, 10, 64)
	if err != nil {
		panic(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // else the refusal ends the process
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}

// ended is a training that is ended, and resumed until it is done.
type ended struct {
	t      *testing.T
	rng    *rand.Rand
	dir    string // of its own
	run    string
	config string
	whole  string // data set

	alone   string // the run that was left alone
	lines   int    // of its metrics
	largest int    // bytes of its largest file

	said []string       // what each process printed
	full map[int64]bool // steps after which a disk was full
}

// session is a process of a training.
type session struct {
	*ended
	cmd    *exec.Cmd
	data   string
	room   int           // bytes that a file may have, if not 0
	reader *os.File      // of what the program prints
	output bytes.Buffer  // complete once it is done
	over   chan struct{} // closed when the process has ended
}

// closeReader leaves the program without a reader. It may have ended before, and then
// its output is read to the end and closed.
func closeReader(s *session) error {
	if err := s.reader.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// TestRandomEnds ends trainings at random moments, in all ways, and resumes them
// until they are done. Each must equal a training that was left alone.
func TestRandomEnds(t *testing.T) {
	number := func(name string, or uint64) uint64 {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return n
		}
		return or
	}
	seed, runs := number(endsSeed, rand.Uint64()), number(endsRuns, 0)
	again := fmt.Sprintf("%s=%d go test ./cmd/alexnet", endsSeed, seed)
	ways, most := ends[:len(ends)-1], 2 // most ends of a training
	dir, config, data := files(t)
	if !testenv.Race { // under which it takes long
		data = filepath.Join(dir, "more") // so that most moments are between two saves
		alexnet(t, 0, "pack", "shapes", "-train", "800", "-test", "100", "-out", data)
	}
	base := ended{config: config, whole: data, alone: filepath.Join(dir, "alone"), dir: dir}
	first := 0
	switch {
	case runs == 0 && testenv.Race:
		runs, most, first = 3, 1, rand.New(rand.NewPCG(seed, 0)).IntN(len(ways))
	case runs == 0:
		runs = uint64(len(ways))
	default:
		again, most = fmt.Sprintf("%s=%d %s", endsRuns, runs, again), 4
		if disk := filepath.Join(dir, "disk"); mount(t, disk) {
			ways, base.dir = ends, disk
		}
	}
	alexnet(t, 0, base.args(base.alone, data)...)
	base.lines = len(base.metrics(t, base.alone))
	for name := range tree(t, base.alone) {
		info, err := os.Stat(filepath.Join(base.alone, name))
		if err != nil {
			t.Fatal(err)
		}
		base.largest = max(base.largest, int(info.Size()))
	}
	for i := range runs {
		t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
			e := base
			e.t, e.rng, e.full = t, rand.New(rand.NewPCG(seed, i)), map[int64]bool{}
			e.dir = filepath.Join(base.dir, "ended")
			e.run = filepath.Join(e.dir, "run")
			t.Logf("to end it so again: %s -run '^TestRandomEnds$/^%d$'", again, i)
			if err := os.Mkdir(e.dir, 0o777); err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(e.dir) // there is not room for all
			done := e.end(ways[(first+int(i))%len(ways)])
			for more := e.rng.IntN(most); more > 0 && !done; more-- {
				done = e.end(ways[e.rng.IntN(len(ways))])
			}
			s := e.start(end{})
			if !s.wait() {
				t.Fatalf("left alone, the run ends with %v\n%s", s.cmd.ProcessState, &s.output)
			}
			e.equal()
			if t.Failed() {
				t.Logf("what the program said:\n%s", strings.Join(e.said, "\n"))
			}
		})
	}
}

// mount makes a small disk, where that is permitted.
func mount(t *testing.T, dir string) bool {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no disk can be filled: mount: %v: %s", err, out)
		return false
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return true
}

// args are the arguments that begin a run, or go on with it.
func (e *ended) args(run, data string) []string {
	args := []string{"train", "-run", run, "-data", data, "-save", "15", "-keep", "2"}
	if _, err := os.Stat(filepath.Join(run, train.ConfigFile)); err == nil {
		return append(args, "-resume")
	}
	return append(args, "-config", e.config)
}

// end lets the training go on until the end comes, and looks at what is left. It
// reports whether the training was done before.
func (e *ended) end(how end) (done bool) {
	e.t.Helper()
	was, had := e.record(), e.newest()
	n := bytes.Count(was, []byte("\n"))
	n += e.rng.IntN(max(0, e.lines-n) + 1)
	after := time.Duration(e.rng.IntN(10_000)) * time.Microsecond // a few steps
	starts := n == bytes.Count(was, []byte("\n"))
	if starts || n == e.lines {
		after *= 20 // the program starts, or draws its pictures
	}
	s := e.start(how)
	if how.at != nil {
		for start := time.Now(); !s.isOver() && bytes.Count(e.record(), []byte("\n")) < n; time.Sleep(time.Millisecond) {
			if time.Since(start) > 2*time.Minute {
				e.t.Fatalf("%s: there are not %d lines after two minutes", how.name, n)
			}
		}
		time.Sleep(after)
		if err := how.at(s); err != nil {
			e.t.Fatalf("%s: %v", how.name, err)
		}
	}
	done = s.wait()
	if err := os.Remove(filepath.Join(e.dir, ballast)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.t.Fatal(err)
	}
	has, is := e.newest(), e.record()
	e.t.Logf("%s, %v after line %d: %v, checkpoint of step %d", how.name, after, n, s.cmd.ProcessState, has)
	said := s.output.String()
	e.said = append(e.said, how.name+":\n"+said)
	if how.full {
		e.full[has] = true
	}
	if has < had {
		e.t.Errorf("%s: the newest checkpoint is of step %d and was of step %d\n%s", how.name, has, had, said)
	}
	// No line is the same when it is written again: it has the images a second.
	if wrote := !bytes.HasPrefix(was, is); how.saves && wrote && !done {
		if list := e.metrics(e.t, e.run); has != list[len(list)-1].Step {
			e.t.Errorf("%s: step %d was done, and the newest checkpoint is of step %d\n%s", how.name, list[len(list)-1].Step, has, said)
		}
	}
	if strings.Contains(said, "panic:") || strings.Contains(said, "goroutine ") {
		e.t.Errorf("%s:\n%s", how.name, said)
	}
	return done
}

// start starts the program, whose output is read until it ends.
func (e *ended) start(how end) *session {
	e.t.Helper()
	s := &session{ended: e, data: e.whole, over: make(chan struct{})}
	if how.before != nil {
		if err := how.before(s); err != nil {
			e.t.Fatalf("%s: %v", how.name, err)
		}
	}
	s.cmd = program(e.args(e.run, s.data)...)
	if s.room > 0 {
		s.cmd.Env = append(s.cmd.Env, fmt.Sprintf("%s=%d", endsRoom, s.room))
	}
	r, w, err := os.Pipe()
	if err != nil {
		e.t.Fatal(err)
	}
	s.reader, s.cmd.Stdout, s.cmd.Stderr = r, w, w
	if err := errors.Join(s.cmd.Start(), w.Close()); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { s.cmd.Process.Kill(); <-s.over }) // it has ended but after an error
	go func() {
		defer close(s.over)
		io.Copy(&s.output, r) // until the program ends, or the test closes r
		s.cmd.Wait()          // its status is in ProcessState
		r.Close()
	}()
	return s
}

func (s *session) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// wait waits until the process has ended, and reports whether its work was done.
func (s *session) wait() bool {
	s.t.Helper()
	select {
	case <-s.over:
	case <-time.After(2 * time.Minute):
		s.cmd.Process.Kill()
		<-s.over
		s.t.Fatalf("it did not end within two minutes:\n%s", &s.output)
	}
	return s.cmd.ProcessState.Success()
}

// record returns metrics.jsonl as it is, or nothing.
func (e *ended) record() []byte {
	b, err := os.ReadFile(filepath.Join(e.run, train.MetricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.t.Fatal(err)
	}
	return b
}

func (e *ended) metrics(t *testing.T, run string) []metrics.Metric {
	t.Helper()
	list, err := metrics.Read(filepath.Join(run, train.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// newest returns the step of the newest checkpoint, which must be whole, or -1.
func (e *ended) newest() int64 {
	e.t.Helper()
	c, err := checkpoint.Read(filepath.Join(e.run, train.Newest))
	if errors.Is(err, fs.ErrNotExist) {
		return -1
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return c.Step
}

// equal compares the run with the one that was left alone: all files but event
// files and curves, which have times.
func (e *ended) equal() {
	e.t.Helper()
	want, got := tree(e.t, e.alone), tree(e.t, e.run)
	for name := range want {
		switch {
		case !got[name]:
			e.t.Errorf("%s is not there", name)
		case name == train.MetricsFile || name == curvesFile:
		default:
			sameFile(e.t, e.alone, e.run, name)
		}
	}
	for name := range got {
		if !want[name] {
			e.t.Errorf("%s is left", name)
		}
	}
	lines := e.metrics(e.t, e.run)
	trained := map[int64]bool{}
	for _, m := range lines {
		if m.Kind == metrics.Train {
			trained[m.Step] = true
		}
	}
	// Where a disk was too full for a line, the weights are saved without it.
	sameMetrics(e.t, lines, slices.DeleteFunc(e.metrics(e.t, e.alone), func(m metrics.Metric) bool {
		return m.Kind == metrics.Train && e.full[m.Step] && !trained[m.Step]
	}))
}

// tree returns the names of all files in a folder but event files, which no two
// runs call the same.
func tree(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(name, "events.") {
			names[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
