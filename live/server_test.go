package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"alexnet/checkpoint"
	"alexnet/internal/metrics"
	"alexnet/loader"
	"alexnet/loader/pack"
	"alexnet/plan"
	"alexnet/train"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk notes orders. If held is not nil, it says on came that there is one, and lets
// it wait until held is closed or it gives up.
type desk struct {
	mu         sync.Mutex
	orders     []train.Order
	err        error
	came, held chan struct{}
}

func (d *desk) Place(ctx context.Context, o train.Order) (int64, error) {
	if d.held != nil {
		d.came <- struct{}{}
		select {
		case <-d.held:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.orders = append(d.orders, o)
	return 7, d.err
}

// listen serves a page until the test ends.
func listen(t *testing.T, address string, p *Page, d Desk) *Server {
	t.Helper()
	s := begin(t, address, p, d)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// begin serves a page until the test closes the server.
func begin(t *testing.T, address string, p *Page, d Desk) *Server {
	t.Helper()
	data := filepath.Join(t.TempDir(), "set")
	_, err := pack.Shapes(t.Context(), pack.Options{Out: data}, 1, 20, 10)
	check(t, err)
	set, err := loader.Open(data)
	check(t, err)
	t.Cleanup(func() { check(t, set.Close()) })
	s, err := Listen(context.WithoutCancel(t.Context()), address, p, d, set)
	check(t, err)
	return s
}

// ask sends a request of a method, path and body, changed by change, straight to
// the handler.
func ask(s *Server, method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	change(r)
	w := &deadlines{httptest.NewRecorder()}
	s.http.Handler.ServeHTTP(w, r)
	return w.ResponseRecorder
}

// deadlines is a recorder that takes a deadline, as connections do.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetWriteDeadline(time.Time) error { return nil }

func asItIs(*http.Request) {}

func withToken(s *Server) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.token) }
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"6006": "localhost:6006", ":6006": "localhost:6006", "0": "localhost:0", "localhost:80": "localhost:80",
		"0.0.0.0:8080": "0.0.0.0:8080", "[::1]:99": "[::1]:99", "host.example:1": "host.example:1",
	} {
		if got, err := Address(text); got != want || err != nil {
			t.Errorf("%q is %q, error %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "localhost", "65536", "1.2.3.4", "-1", "::1", "localhost:http", ":-1", "a:b:c"} {
		if got, err := Address(text); err == nil || !strings.Contains(err.Error(), "want a port") {
			t.Errorf("%q is %q, error %v", text, got, err)
		}
	}
}

func TestHost(t *testing.T) {
	s := listen(t, "localhost:0", NewPage(Run{}, nil), &desk{})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:1": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "127.0.0.1:99": 200, "[::1]:99": 200, "[::1]": 200,
		"": 421, "evil.example": 421, "evil.example:80": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "localhost:80:80": 421,
	} {
		for _, path := range []string{"/", "/api/state"} {
			if got := ask(s, "GET", path, "", func(r *http.Request) { r.Host = host }).Code; got != want {
				t.Errorf("%s for the host %q: status %d, want %d", path, host, got, want)
			}
		}
	}
}

func TestOrders(t *testing.T) {
	d := &desk{}
	s := listen(t, "localhost:0", NewPage(Run{}, nil), d)
	token := withToken(s)
	const good = `{"divide":10,"layer":"conv1"}`
	for _, c := range []struct {
		name, method, body string
		change             func(*http.Request)
		status             int
		says               string
	}{
		{"no token", "POST", good, asItIs, 401, "open the address that the terminal printed"},
		{"a part of the token", "POST", good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+s.token[1:]) }, 401, "wrong"},
		{"the token in the address", "POST", good, func(r *http.Request) { r.URL.RawQuery = "token=" + s.token }, 401, "missing"},
		{"GET", "GET", good, token, 404, ""},
		{"from another site", "POST", good, func(r *http.Request) { token(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, ""},
		{"from another origin", "POST", good, func(r *http.Request) { token(r); r.Header.Set("Origin", "http://evil.example") }, 403, ""},
		{"under another name", "POST", good, func(r *http.Request) { token(r); r.Host = "evil.example" }, 421, "evil.example"},
		{"no JSON", "POST", "divide", token, 400, "invalid character"},
		{"nothing", "POST", "", token, 400, "EOF"},
		{"another field", "POST", `{"divid":10}`, token, 400, `unknown field \"divid\"`},
		{"two orders", "POST", good + good, token, 400, "something follows"},
		{"more behind it", "POST", good + " x", token, 400, "something follows"},
		{"too long", "POST", `{"layer":"` + strings.Repeat("x", maxOrder) + `"}`, token, 400, "too large"},
	} {
		w := ask(s, c.method, "/api/order", c.body, c.change)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: status %d, %s, want %d and %q", c.name, w.Code, w.Body, c.status, c.says)
		}
	}
	if len(d.orders) != 0 {
		t.Errorf("orders %+v were carried out", d.orders)
	}
	w := ask(s, "POST", "/api/order", `{"divide":10,"layer":"conv1","by":"the king"}`, token)
	if w.Code != 200 || w.Body.String() != `{"step":7}` {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
	d.err = errors.New("there is no layer conv1")
	if w := ask(s, "POST", "/api/order", good, token); w.Code != 409 || !strings.Contains(w.Body.String(), d.err.Error()) {
		t.Errorf("an order that is refused: status %d, %s", w.Code, w.Body)
	}
	if want := (train.Order{Divide: 10, Layer: "conv1", By: "the page"}); len(d.orders) != 2 || d.orders[0] != want {
		t.Errorf("the orders are %+v, want %+v twice", d.orders, want)
	}
}

// TestElsewhere: on an address that others reach, reading takes the token, too.
func TestElsewhere(t *testing.T) {
	s := listen(t, "0.0.0.0:0", NewPage(Run{}, nil), &desk{})
	for _, path := range []string{"/api/run", "/api/state", "/api/kernels.png", "/api/images/1"} {
		if w := ask(s, "GET", path, "", asItIs); w.Code != 401 {
			t.Errorf("%s without the token: status %d", path, w.Code)
		}
		if w := ask(s, "GET", path, "", withToken(s)); w.Code == 401 {
			t.Errorf("%s with the token: status 401", path)
		}
	}
	if w := ask(s, "GET", "/", "", asItIs); w.Code != 200 || !strings.Contains(w.Body.String(), "page.js") {
		t.Errorf("the page: status %d", w.Code)
	}
}

func TestHeaders(t *testing.T) {
	s := listen(t, "localhost:0", NewPage(Run{}, nil), &desk{})
	for path, kind := range map[string]string{
		"/": "text/html", "/page.js": "text/javascript", "/chart.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml", "/api/run": "application/json",
	} {
		h := ask(s, "GET", path, "", asItIs).Header()
		if !strings.HasPrefix(h.Get("Content-Type"), kind) || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
			t.Errorf("%s has the headers %v, want the type %s", path, h, kind)
		}
	}
}

func readState(t *testing.T, s *Server, query string) (v struct {
	Step, Steps int64
	Rate, Pass  *float64
	SecondsLeft *float64 `json:"seconds_left"`
	Train, Test struct {
		Version, From int
		Points        [][]*float64
	}
	Changes  []struct{ Step int64 }
	Memory   []memory
	Mistakes struct {
		Step int64
		List []struct {
			Image        int64
			Label, Given string
			Probability  float64
		}
	}
}) {
	t.Helper()
	w := ask(s, "GET", "/api/state"+query, "", asItIs)
	if err := json.Unmarshal(w.Body.Bytes(), &v); w.Code != 200 || err != nil {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	return v
}

// program is one that takes so many bytes of a device called cpu.
func program(state, work int64) *plan.Program {
	return &plan.Program{Devices: []*plan.Device{{Name: "cpu", State: state, Work: work}}}
}

func TestState(t *testing.T) {
	line := func(step int64) metrics.Metric {
		return metrics.Metric{Kind: metrics.Train, Step: step, Epoch: float64(step) / 10, Loss: 1 / float64(step), Top1Error: 0.5, Rate: 0.1}
	}
	bad := line(3)
	bad.Loss, bad.Rate = math.NaN(), math.Inf(1)
	change := metrics.Metric{Kind: metrics.Change, Step: 3, Rate: 0.01, Why: "by hand"}
	later := metrics.Metric{Kind: metrics.Change, Step: 5, Rate: 0.001}
	before := metrics.Metric{Kind: metrics.Test, Step: 2}
	p := NewPage(Run{Classes: []string{"cat", "dog"}}, []metrics.Metric{line(1), line(2), before, bad, change, line(5), later})
	p.Log(change) // again, as when a run goes on
	p.Started(3, 100, program(10, 5), program(7, 6))
	s := listen(t, "localhost:0", p, &desk{})
	v := readState(t, s, "")
	if v.Step != 3 || v.Steps != 100 || v.SecondsLeft != nil || len(v.Train.Points) != 3 || len(v.Changes) != 1 || v.Train.Points[2][1] != nil || *v.Train.Points[1][1] != 0.5 {
		t.Errorf("the state is %+v, want three points and one change up to step 3, and null for NaN", v)
	}
	if v.Pass == nil || *v.Pass != 0.5*3/5 { // the last line, which is void, is of step 5
		t.Errorf("the pass is %v, want 0.3", v.Pass)
	}
	if want := (memory{"cpu", 10, 6}); len(v.Memory) != 1 || v.Memory[0] != want {
		t.Errorf("the memory is %+v, want what the larger program of each kind takes: %+v", v.Memory, want)
	}
	p.Log(line(4))
	p.Progress(4, 100)
	if v = readState(t, s, fmt.Sprintf("?train=%d,3", v.Train.Version)); v.Train.From != 3 || len(v.Train.Points) != 1 || v.SecondsLeft == nil {
		t.Errorf("after another line the state is %+v, want that point alone, and the time left", v)
	}
	for _, query := range []string{"?train=0,1", "?train=1,5", "?train=1,-1", "?train=x", "?train=1,99999999999999999999"} {
		if v := readState(t, s, query); v.Train.From != 0 || len(v.Train.Points) != 4 {
			t.Errorf("%s: from %d, %d points, want all 4", query, v.Train.From, len(v.Train.Points))
		}
	}

	p.Tested(5, 0, []float64{2, 1})
	for i := range int64(maxMistakes + 3) {
		p.Tested(i, 0, []float64{math.Log(0.5), math.Log(1), math.Log(3.5)})
	}
	if v := readState(t, s, ""); v.Mistakes.Step != 0 || len(v.Test.Points) != 1 || len(v.Mistakes.List) != 0 {
		t.Errorf("before the test's end there are the mistakes %+v", v.Mistakes)
	}
	p.Log(metrics.Metric{Kind: metrics.Test, Step: 4, Loss: 1, Top1Error: 0.5})
	v = readState(t, s, "")
	if n := len(v.Mistakes.List); v.Mistakes.Step != 4 || n != maxMistakes || v.Mistakes.List[n-1].Image != maxMistakes+2 ||
		v.Mistakes.List[0].Label != "cat" || v.Mistakes.List[0].Given != "class 2" || math.Abs(v.Mistakes.List[0].Probability-0.7) > 1e-12 || len(v.Test.Points) != 2 {
		t.Errorf("after the test the state is %+v", v)
	}
}

// TestCurvesAreBounded: a long run's curve gets coarser and keeps its mean.
func TestCurvesAreBounded(t *testing.T) {
	var c curve
	n := 5 * maxPoints
	for i := range n {
		c.add(point{step: int64(i), epoch: float64(i), loss: float64(2 * i)})
		if len(c.points) >= maxPoints {
			t.Fatalf("after %d lines %d points are kept", i+1, len(c.points))
		}
	}
	const each = 8 // lines a point: 5 times as many as can be kept, and half of them go at once
	if len(c.points) != n/each {
		t.Errorf("%d points, want %d", len(c.points), n/each)
	}
	for i, p := range c.points {
		if want := float64(i*each) + (each-1)/2.; p.step != int64(i*each+each-1) || p.epoch != want || p.loss != 2*want {
			t.Fatalf("point %d is %+v, want the mean of %d lines from %d on", i, p, each, i*each)
		}
	}
	p := NewPage(Run{}, nil)
	for i := range 2 * maxChanges {
		p.Log(metrics.Metric{Kind: metrics.Change, Step: int64(i)})
		if len(p.changes) > maxChanges {
			t.Fatalf("%d changes are kept", len(p.changes))
		}
	}
}

func TestPictures(t *testing.T) {
	p := NewPage(Run{Columns: 1}, nil)
	s := listen(t, "localhost:0", p, &desk{})
	if p.WantsKernels() {
		t.Error("kernels are wanted though nobody looks on")
	}
	if w := ask(s, "GET", "/api/kernels.png", "", asItIs); w.Code != 404 {
		t.Errorf("before there are kernels: status %d", w.Code)
	}
	readState(t, s, "")
	if !p.WantsKernels() {
		t.Error("kernels are not wanted though somebody looks on")
	}
	weights := []float32{1, 0.5, -1, 0}
	p.Kernels(3, "conv1", &checkpoint.Tensor{Shape: []int{1, 1, 2, 2}, Data: weights})
	clear(weights) // they are the training's again
	if p.WantsKernels() {
		t.Error("kernels are wanted again at once")
	}
	w := ask(s, "GET", "/api/kernels.png", "", asItIs)
	img, err := png.Decode(w.Body)
	check(t, err)
	white := false
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, _, _, _ := img.At(x, y).RGBA()
			white = white || r == 0xffff
		}
	}
	if !white {
		t.Error("the first weight, which is the largest, is not white in the picture")
	}
	p.Kernels(4, "fc", &checkpoint.Tensor{Shape: []int{2, 2}, Data: make([]float32, 4)})
	if w := ask(s, "GET", "/api/kernels.png", "", asItIs); w.Code != 404 {
		t.Errorf("of what are no kernels: status %d", w.Code)
	}

	_, pixels, err := s.set.Image("test", 9)
	check(t, err)
	w = ask(s, "GET", "/api/images/9", "", asItIs)
	img, err = png.Decode(bytes.NewReader(w.Body.Bytes()))
	check(t, err)
	for i := range 32 * 32 {
		r, g, b, _ := img.At(i%32, i/32).RGBA()
		if !bytes.Equal([]byte{byte(r), byte(g), byte(b)}, pixels[3*i:3*i+3]) {
			t.Fatalf("pixel %d of the image is %d,%d,%d, want %v", i, byte(r), byte(g), byte(b), pixels[3*i:3*i+3])
		}
	}
	for _, n := range []string{"10", "-1", "x", "99999999999999999999", "..%2f9"} {
		if w := ask(s, "GET", "/api/images/"+n, "", asItIs); w.Code != 404 {
			t.Errorf("image %s: status %d", n, w.Code)
		}
	}
}

// TestSlowReader: one who asks and does not read holds up neither the training nor
// others, nor the server's end.
func TestSlowReader(t *testing.T) {
	p := NewPage(Run{Text: strings.Repeat("x", 8<<20)}, nil) // more than the system's buffers hold
	s := begin(t, "localhost:0", p, &desk{})
	c, err := net.Dial("tcp", strings.TrimPrefix(strings.Split(s.URL(), "/#")[0], "http://"))
	check(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET /api/run HTTP/1.1\r\nHost: localhost\r\n\r\n")
	check(t, err)
	first := make([]byte, 1)
	_, err = c.Read(first) // the answer is under way
	check(t, err)
	start := time.Now()
	for i := range int64(1000) {
		p.Log(metrics.Metric{Kind: metrics.Train, Step: i})
		p.Progress(i, 1000)
	}
	r, err := http.Get(strings.Split(s.URL(), "#")[0] + "api/state")
	check(t, err)
	check(t, r.Body.Close())
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	check(t, s.Close())
	if took := time.Since(start); took > writeTimeout {
		t.Errorf("the server ended after %v", took)
	}
}

// TestConnectionsAreBounded: one more than there may be waits until another leaves.
func TestConnectionsAreBounded(t *testing.T) {
	s := listen(t, "localhost:0", NewPage(Run{}, nil), &desk{})
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.address)
		check(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = io.WriteString(c, "GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
		check(t, err)
		return c
	}
	answers := func(c net.Conn, wait time.Duration) bool {
		check(t, c.SetReadDeadline(time.Now().Add(wait)))
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	var all []net.Conn
	for i := range maxConnections {
		all = append(all, dial())
		if !answers(all[i], 10*time.Second) {
			t.Fatalf("connection %d gets no answer", i+1)
		}
	}
	more := dial()
	if answers(more, 200*time.Millisecond) {
		t.Errorf("there are %d connections at once", maxConnections+1)
	}
	check(t, all[0].Close())
	if !answers(more, 10*time.Second) {
		t.Error("after one has left there is still no room")
	}
}

// TestCloseWaits: an order that waits when the server ends gets an answer, or is
// cut off; either way nothing of the server is left.
func TestCloseWaits(t *testing.T) {
	for _, answered := range []bool{true, false} {
		d := &desk{came: make(chan struct{}), held: make(chan struct{})}
		s := begin(t, "localhost:0", NewPage(Run{}, nil), d)
		r, err := http.NewRequest("POST", strings.Split(s.URL(), "#")[0]+"api/order", strings.NewReader(`{"checkpoint":true}`))
		check(t, err)
		withToken(s)(r)
		status := make(chan int, 1)
		go func() {
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				status <- 0
				return
			}
			answer.Body.Close()
			status <- answer.StatusCode
		}()
		<-d.came
		if answered {
			time.AfterFunc(50*time.Millisecond, func() { close(d.held) })
		}
		check(t, s.Close())
		if got := <-status; answered != (got == 200) {
			t.Errorf("answered %v: status %d", answered, got)
		}
	}
}

func TestPortInUse(t *testing.T) {
	s := listen(t, "localhost:0", NewPage(Run{}, nil), &desk{})
	if _, err := Listen(t.Context(), s.address, s.page, s.desk, s.set); err == nil || !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("the same port again: %v", err)
	}
}
