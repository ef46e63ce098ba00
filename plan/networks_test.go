package plan_test

import (
	"os"
	"path/filepath"
	"testing"

	"alexnet/dsl"
	"alexnet/plan"
)

// TestEveryNetwork: all networks of the repository can be placed, to train and to
// test.
func TestEveryNetwork(t *testing.T) {
	paths, err := filepath.Glob("../nets/*.net")
	check(t, err)
	for _, path := range append(paths, "../alexnet.net") {
		src, err := os.ReadFile(path)
		check(t, err)
		net, err := dsl.Parse(path, src)
		check(t, err)
		for columns := range net.Columns {
			names := []string{"a", "b"}[:columns+1]
			for _, mode := range []plan.Mode{plan.Train, plan.Test} {
				for _, half := range []bool{false, true} {
					if _, err := plan.Compile(net, names, plan.Options{Batch: 2, Mode: mode, BFloat16: half}); err != nil {
						t.Errorf("%s on %v, mode %v, in bfloat16 %v: %v", path, names, mode, half, err)
					}
				}
			}
		}
	}
}
