package live_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"alexnet/dnn/cpu"
	"alexnet/dsl"
	"alexnet/internal/metrics"
	"alexnet/live"
	"alexnet/loader"
	"alexnet/loader/pack"
	"alexnet/plan"
	"alexnet/train"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write pictures of the page into this `folder`")

const small = `net small
input 3x24x24
conv1 conv 16 7x7 stride 2 pad 3 init 0.0005
relu
maxpool 3x3 stride 2 ceil
fc2 full 10 init 0.01
softmax
data {
crop 24
}
train {
batch 16
passes 100000
rate 0.0001
momentum 0.5
seed 3
}
`

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// training is one that goes on until it is stopped, and the page of it.
type training struct {
	dir   string
	url   string
	ended chan error
}

func begin(t *testing.T, text string, images int) *training {
	t.Helper()
	net, err := dsl.Parse("small.net", []byte(text))
	check(t, err)
	data := filepath.Join(t.TempDir(), "set")
	_, err = pack.Shapes(t.Context(), pack.Options{Out: data}, 1, images, images/4)
	check(t, err)
	set, err := loader.Open(data)
	check(t, err)
	device, err := cpu.New("cpu")
	check(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	desk := train.NewDesk()
	run := live.Run{Name: net.Name, Text: text, Columns: net.Columns, Passes: net.Train.Passes,
		Facts: []live.Fact{{Name: "data set", Value: set.Info().Name}}, Layers: []string{"conv1", "fc2"}}
	for _, c := range set.Info().Classes {
		run.Classes = append(run.Classes, c.Name)
	}
	p := live.NewPage(run, nil)
	server, err := live.Listen(ctx, "localhost:0", p, desk, set)
	check(t, err)
	r := &training{dir: filepath.Join(t.TempDir(), "run"), url: server.URL(), ended: make(chan error, 1)}
	config := train.Config{Net: net, Text: text, Set: set, Placement: plan.On(device), Dir: r.dir, Watch: p, Desk: desk,
		Log: p.Log, Progress: p.Progress, Testing: p.Testing, Message: t.Logf}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- train.Run(ctx, config)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		check(t, errors.Join(server.Close(), device.Close(), set.Close()))
	})
	return r
}

// browser opens a page in Chromium. What the page says on the console, and what
// it asks of other hosts, are errors.
func browser(t *testing.T, url string) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium to look at the page with (apt install chromium)")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path)}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root has not
	}
	own, _, _ := strings.Cut(url, "#")
	parent, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, leave := chromedp.NewContext(parent, chromedp.WithAllocatorOptions(options...), chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				t.Errorf("the browser says: %s (%s)", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("the page throws: %v", e.ExceptionDetails)
		case *network.EventRequestWillBeSent:
			if to := e.Request.URL; !strings.HasPrefix(to, own) && !strings.HasPrefix(to, "blob:"+own) {
				t.Errorf("the page asks %s", to)
			}
		}
	}))
	t.Cleanup(leave)
	do(t, ctx, chromedp.Navigate(url))
	return ctx
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	check(t, chromedp.Do(ctx, actions...))
}

// value returns that of a piece of JavaScript.
func value[T any](t *testing.T, ctx context.Context, what string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](what))
	check(t, err)
	return v
}

// until waits for a piece of JavaScript to be true.
func until(t *testing.T, ctx context.Context, what string) {
	t.Helper()
	for start := time.Now(); !value[bool](t, ctx, what); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > 90*time.Second {
			t.Fatalf("after %v this is still not so: %s\n%s", time.Since(start), what, value[string](t, ctx, "document.body.innerText"))
		}
	}
}

const (
	points = `Number(document.querySelector("#loss path.train[data-points]").dataset.points)`
	rate   = `document.getElementById("rate").textContent`
)

// TestInChromium looks at a training as a person would: the curves grow, the first
// layer and mistakes appear, the rate falls when it is told to, and the training
// stops when it is told to.
func TestInChromium(t *testing.T) {
	r := begin(t, small, 400)
	ctx := browser(t, r.url)
	until(t, ctx, `document.querySelector("#loss path.train[data-points]") !== null`)
	until(t, ctx, fmt.Sprintf("%s > %d", points, value[int](t, ctx, points)+5))
	for _, picture := range []string{"#kernels-picture", "#mistakes-list img"} {
		until(t, ctx, `(document.querySelector("`+picture+`")?.naturalWidth ?? 0) > 0`)
	}
	until(t, ctx, `document.querySelectorAll("#loss circle.dot").length > 2`) // one is in the key
	until(t, ctx, `document.getElementById("memory-list").innerText.startsWith("cpu\t")`)
	if value[bool](t, ctx, `location.href.includes("token")`) {
		t.Error("the token is still in the address bar")
	}

	until(t, ctx, rate+` === "0.0001"`)
	do(t, ctx, chromedp.Click("#divide"))
	until(t, ctx, rate+` === "0.00001"`)
	until(t, ctx, `document.getElementById("answer").textContent.startsWith("rate divided by 10 after step")`)
	do(t, ctx, chromedp.SetValue("#layer", "conv1"), chromedp.Click("#divide"))
	until(t, ctx, `document.getElementById("changes-list").innerText.includes("conv1")`)

	value[bool](t, ctx, `(window.confirm = () => true)()`) // the question is answered
	do(t, ctx, chromedp.Click("#stop"))
	if err := <-r.ended; !errors.Is(err, train.ErrStopped) {
		t.Errorf("the training ended with %v, want %v", err, train.ErrStopped)
	}
	until(t, ctx, `document.getElementById("answer").textContent.startsWith("saved and stopped after step")`)

	lines, err := metrics.Read(filepath.Join(r.dir, train.MetricsFile))
	check(t, err)
	var changes []string
	for _, m := range lines {
		if m.Kind == metrics.Change {
			changes = append(changes, fmt.Sprintf("%s %.4g %s", m.Layer, m.Rate, m.Why))
		}
	}
	if want := []string{" 1e-05 by hand, from the page", "conv1 1e-06 by hand, from the page"}; !slices.Equal(changes, want) {
		t.Errorf("the record has the changes %q, want %q", changes, want)
	}
	if last := lines[len(lines)-1]; last.Kind != metrics.Change && fmt.Sprintf("%.4g", last.Rate) != "1e-05" {
		t.Errorf("the record ends with a rate of %g, want 0.00001", last.Rate)
	}
}

// TestOnAPhone: nothing is wider than the screen. Without the token one can look on
// alone.
func TestOnAPhone(t *testing.T) {
	r := begin(t, strings.Replace(small, "net small", "net "+strings.Repeat("long-name", 7), 1), 400)
	address, _, _ := strings.Cut(r.url, "#")
	ctx := browser(t, address)
	for _, width := range []int64{320, 390, 768, 1280} {
		do(t, ctx, chromedp.EmulateViewport(width, 844))
		until(t, ctx, `(document.querySelector("#mistakes-list img")?.naturalWidth ?? 0) > 0 && !document.getElementById("kernels").hidden`)
		if over := value[int](t, ctx, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("on a screen of %d pixels the page is %d wider", width, over)
		}
	}
	if !value[bool](t, ctx, `document.getElementById("divide").matches(":disabled") && document.getElementById("answer").textContent.includes("terminal")`) {
		t.Error("the buttons can be pressed without the token, or nothing says why not")
	}
}

// TestScreenshots takes the pictures that a person should look at, one of which is
// in the README.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("it is for -screenshots FOLDER")
	}
	text, err := os.ReadFile(filepath.Join("..", "nets", "shapes.net"))
	check(t, err)
	r := begin(t, string(text), 4000)
	ctx := browser(t, r.url)
	until(t, ctx, `document.querySelectorAll("#loss circle.dot").length > 3`)
	do(t, ctx, chromedp.Click("#divide"))
	until(t, ctx, rate+` === "0.0001"`)
	for _, s := range []struct {
		name          string
		width, height int64
		scheme        string
		whole         bool
	}{
		{"desktop", 1280, 900, "light", false}, {"desktop-dark", 1280, 900, "dark", false},
		{"phone", 390, 844, "light", true}, {"phone-dark", 390, 844, "dark", true}, {"whole", 1280, 900, "light", true},
	} {
		do(t, ctx, chromedp.EmulateViewport(s.width, s.height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}})
			return err
		}), chromedp.Sleep(300*time.Millisecond))
		take := chromedp.CaptureScreenshot()
		if s.whole {
			take = chromedp.FullScreenshot(100)
		}
		png, err := chromedp.Run(ctx, take)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(*screenshots, s.name+".png"), png, 0o666))
	}
}
