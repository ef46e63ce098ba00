package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPage: a training is looked at, steered and stopped over HTTP, with the token
// that the terminal shows.
func TestPage(t *testing.T) {
	dir, config, data := files(t)
	run := filepath.Join(dir, "run")
	for _, address := range []string{"", "localhost", "123456"} {
		_, errs := alexnet(t, 2, "train", "-config", config, "-data", data, "-run", run, "-http", address)
		contains(t, errs, "-http: the address", "want a port")
	}

	c := program("train", "-config", config, "-data", data, "-run", run, "-http", ":0", "-set", "train.passes=100000")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	found := regexp.MustCompile(`^look on and steer at (http://localhost:\d+/)#token=(\w+)\n$`).FindStringSubmatch(first)
	if found == nil {
		t.Fatalf("the first line is %q, error %v", first, err)
	}
	url, token := found[1], found[2]

	get := func() (step int64, rate float64) {
		t.Helper()
		answer, err := http.Get(url + "api/state")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var state struct {
			Step int64
			Rate float64
		}
		if err := json.NewDecoder(answer.Body).Decode(&state); err != nil {
			t.Fatal(err)
		}
		return state.Step, state.Rate
	}
	order := func(body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+"api/order", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if text, err := io.ReadAll(answer.Body); answer.StatusCode != 200 || !strings.HasPrefix(string(text), `{"step":`) {
			t.Errorf("the order %s: status %d, %s, error %v", body, answer.StatusCode, text, err)
		}
	}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if step, rate := get(); step > 0 && rate > 0 {
			break
		}
		if time.Since(start) > time.Minute {
			t.Fatal("no step was done in a minute")
		}
	}
	order(`{"divide":1000}`)
	if _, rate := get(); rate > 1e-6 {
		t.Errorf("after the order the rate is %g, want that of the network by 1000", rate)
	}
	order(`{"stop":true}`)
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != 1 {
		t.Errorf("exit status %d, error %v, want 1", c.ProcessState.ExitCode(), err)
	}
	contains(t, string(rest), "by hand, from the page", "stopped; the run is saved", "alexnet train -resume -run "+run+" -data "+data+" -http :0")
}
