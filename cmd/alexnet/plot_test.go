package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestPlotUntil(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, passesTo25 int) string {
		run := filepath.Join(dir, name)
		if err := os.Mkdir(run, 0o777); err != nil {
			t.Fatal(err)
		}
		var lines []byte
		for pass := 1; pass <= 12; pass++ {
			top1 := 0.5
			if pass >= passesTo25 {
				top1 = 0.2
			}
			lines = fmt.Appendf(lines, `{"kind":"train","step":%d,"epoch":%d,"loss":1,"top1_error":%g,"top5_error":0.1,"rate":0.1,"images_per_second":1}`+"\n", 100*pass, pass, top1)
		}
		if err := os.WriteFile(filepath.Join(run, "metrics.jsonl"), lines, 0o666); err != nil {
			t.Fatal(err)
		}
		return run
	}
	relu, tanh, never := write("relu", 2), write("tanh", 12), write("never", 99)
	out := filepath.Join(dir, "c.png")
	printed, _ := alexnet(t, 0, "plot", relu, tanh, never, "-until", "0.25", "-out", out)
	contains(t, printed, "relu", "2.00", "200", "tanh", "12.00", "1200", "6.00", "never  never", out)
	printed, _ = alexnet(t, 0, "plot", relu, tanh, never, "-until", "0.25", "-json", "-out", out)
	contains(t, printed, `"until":0.25`, `{"run":"tanh","passes":12,"step":1200,"ratio":6}`, `{"run":"never","passes":null,"step":null,"ratio":null}`)
	readPNG(t, out)
	alexnet(t, 2, "plot", relu, "-until", "25", "-out", out)
	alexnet(t, 2, "plot", relu, "-json", "-out", out)
}
