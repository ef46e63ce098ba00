package sim

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]Options{
		"":                 {},
		" gpus=2 , seed=3": {GPUs: 2, Seed: 3},
		"seed=3,memory=64MiB,oom=5,fail=7,lose=9,nopeer,refusepeer,missing=libcudnn,old=libnvrtc": {Seed: 3, Memory: 64 << 20, NoPeerAccess: true,
			Faults: Faults{OutOfMemoryAt: 5, FailLaunchAt: 7, LoseDeviceAt: 9, RefusePeerAccess: true, Missing: "libcudnn", OldVersion: "libnvrtc"}},
		"memory=1000": {Memory: 1000}, "memory=2KiB": {Memory: 2 << 10}, "memory=3GiB": {Memory: 3 << 30},
		"seed=18446744073709551615": {Seed: 1<<64 - 1},
	} {
		if got, err := Parse(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"sed=3": "seed=N", "nopeer=1": "nopeer", "seed": "seed=N", "seed=": "seed=", "seed=-1": "seed=-1", "seed=1,seed=1": "twice", "oom=-1": "counted from 1", "oom=x": "oom=x",
		"memory=0": "size of memory", "memory=64MB": "64MB", "memory=9000000000GiB": "size of memory", "missing=libc": "libcublasLt", "old=": "", "gpus=1000": "1000",
	} {
		if o, err := Parse(s); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %+v, %v; want %q", s, o, err, want)
		}
	}
}

// Whatever is parsed is either an error or a machine that can be made.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "seed=3,memory=64MiB,oom=5", "nopeer,refusepeer", "missing=libcudnn,old=libcudnn", "gpus=64", "memory=9999999999999999999GiB", "=,=,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := Parse(s)
		if err != nil {
			return
		}
		m, err := New(o)
		check(t, err)
		check(t, m.Close())
	})
}
