package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// word is an option that Parse takes: its name and, if it has one, what its value
// is.
type word struct {
	name, value string
	set         func(o *Options, value string) error
}

var words = []word{
	{"gpus", "N", func(o *Options, v string) error { return parseInt(&o.GPUs, v) }},
	{"seed", "N", func(o *Options, v string) (err error) {
		o.Seed, err = strconv.ParseUint(v, 10, 64)
		return err
	}},
	{"memory", "BYTES", func(o *Options, v string) error { return parseBytes(&o.Memory, v) }},
	{"oom", "N", func(o *Options, v string) error { return parseInt(&o.Faults.OutOfMemoryAt, v) }},
	{"fail", "N", func(o *Options, v string) error { return parseInt(&o.Faults.FailLaunchAt, v) }},
	{"lose", "N", func(o *Options, v string) error { return parseInt(&o.Faults.LoseDeviceAt, v) }},
	{"nopeer", "", func(o *Options, _ string) error { o.NoPeerAccess = true; return nil }},
	{"refusepeer", "", func(o *Options, _ string) error { o.Faults.RefusePeerAccess = true; return nil }},
	{"missing", "LIBRARY", func(o *Options, v string) error { o.Faults.Missing = v; return nil }},
	{"old", "LIBRARY", func(o *Options, v string) error { o.Faults.OldVersion = v; return nil }},
}

// Parse reads options from words with commas between them, of
//
//	gpus=N seed=N memory=BYTES oom=N fail=N lose=N nopeer refusepeer missing=LIBRARY old=LIBRARY
//
// each at most once: "seed=3,memory=64MiB,missing=libcudnn". BYTES is a number,
// which KiB, MiB or GiB may follow.
func Parse(s string) (Options, error) {
	var o Options
	seen := map[string]bool{}
	for field := range strings.SplitSeq(s, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		name, value, hasValue := strings.Cut(field, "=")
		i := slices.IndexFunc(words, func(w word) bool { return w.name == name })
		if i < 0 {
			return Options{}, fmt.Errorf("simulated GPUs: unknown option %q; there are %s", name, usage())
		}
		switch w := words[i]; {
		case seen[name]:
			return Options{}, fmt.Errorf("simulated GPUs: %s is given twice", name)
		case hasValue != (w.value != ""):
			return Options{}, fmt.Errorf("simulated GPUs: %q: there are %s", field, usage())
		default:
			if err := w.set(&o, value); err != nil {
				return Options{}, fmt.Errorf("simulated GPUs: %s: %w", field, err)
			}
		}
		seen[name] = true
	}
	if err := o.check(); err != nil {
		return Options{}, fmt.Errorf("simulated GPUs: %w", err)
	}
	return o, nil
}

// usage lists the words.
func usage() string {
	var list []string
	for _, w := range words {
		if w.value != "" {
			w.name += "=" + w.value
		}
		list = append(list, w.name)
	}
	return strings.Join(list, ", ")
}

func parseInt(to *int, v string) (err error) {
	*to, err = strconv.Atoi(v)
	return err
}

func parseBytes(to *int64, v string) error {
	unit := int64(1)
	for i, name := range []string{"KiB", "MiB", "GiB"} {
		if number, ok := strings.CutSuffix(v, name); ok {
			v, unit = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && (n < 1 || n > math.MaxInt64/unit) {
		err = fmt.Errorf("%s is not a size of memory", v)
	}
	*to = n * unit
	return err
}
