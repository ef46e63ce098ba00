// Package checkpoint keeps weights and the whole state of a run in one file, in
// the safetensors format, which PyTorch and others read as it is:
//
//	8 bytes   n, the length of the header, little-endian
//	n bytes   JSON, padded with spaces to a multiple of 8:
//	          {"__metadata__": {"alexnet": "2", "crc32c": "...", "net": "...", ...},
//	           "conv1.weight": {"dtype": "F32", "shape": [96,3,11,11], "data_offsets": [0,139392]}, ...}
//	the rest  the numbers, little-endian; offsets count from here
//
// Tensors are the network's, whatever devices trained them: conv1.weight
// [kernels, channels/groups, height, width], fc6.weight [outputs, inputs],
// conv1.bias [kernels], and momentum.conv1.weight beside them. They lie one
// after the other and fill the file, as the format demands.
//
// State goes into __metadata__, whose values are all strings. The key
// "alexnet" holds the version of that metadata and marks a file as this
// program's. Files of others, without it, are read for their tensors.
//
// The key "crc32c" holds the checksums of the header and of each tensor. A reader
// that knows them refuses a damaged file. Files of version 1 and of others, without
// the key, are read unchecked.
// All numbers are finite: a NaN or an infinity is an error on both sides.
package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// The versions of the metadata. The tensors are safetensors in any version. Version 1
// had no checksums.
const version, versionUnsummed = "2", "1"

// maxHeader is the bound that the reference implementation of safetensors sets.
const maxHeader = 100_000_000

// maxTensors bounds the tensors of a file. An entry without numbers costs a header of
// 100 MB nothing, and a reader a microsecond and a hundred bytes.
const maxTensors = 100_000

// Tensor is a named array of float32, row-major. No dimensions make a scalar.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// State is all of a run that is not a tensor. Net == "" says that the file
// holds tensors alone: the other fields but Notes are then zero.
type State struct {
	Net       string   // the network's text
	Step      int64    // updates of the weights so far
	Images    int64    // training images in these steps, those of each pass anew
	Seed      uint64   // of every random number of the run
	Batch     int      // images a step
	Schedule  string   // state of the rate schedule; JSON, package train's own
	Dataset   string   // fingerprint of the data set
	Classes   []string // names of the outputs
	Loss      float64  // of the last test; NaN where there was none
	Top1Error float64  // of the last test, 0 to 1; NaN where there was none

	Notes map[string]string // of a file of tensors alone: its __metadata__, without the checksums
}

// Checkpoint is the content of a file.
type Checkpoint struct {
	State
	Tensors []Tensor // in the order in which their numbers lie in the file
}

// metadata returns s as __metadata__, nil for a file of tensors alone.
func (s *State) metadata() (map[string]string, error) {
	if s.Net == "" {
		if !reflect.DeepEqual(*s, State{Notes: s.Notes}) {
			return nil, fmt.Errorf("the state has no network text: set Net, or leave all of State but Notes zero to write tensors alone")
		}
		if _, ok := s.Notes["alexnet"]; ok {
			return nil, fmt.Errorf(`a note has the key "alexnet", which marks the files of runs`)
		}
		if _, ok := s.Notes[checksumsKey]; ok {
			return nil, fmt.Errorf("a note has the key %q, which holds the file's checksums", checksumsKey)
		}
		return s.Notes, nil
	}
	if s.Notes != nil {
		return nil, fmt.Errorf("notes are of a file of tensors alone, and the state has a network")
	}
	classes, err := json.Marshal(s.Classes)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"alexnet":    version,
		"net":        s.Net,
		"step":       strconv.FormatInt(s.Step, 10),
		"images":     strconv.FormatInt(s.Images, 10),
		"seed":       strconv.FormatUint(s.Seed, 10),
		"batch":      strconv.Itoa(s.Batch),
		"schedule":   s.Schedule,
		"dataset":    s.Dataset,
		"classes":    string(classes),
		"loss":       strconv.FormatFloat(s.Loss, 'g', -1, 64),
		"top1_error": strconv.FormatFloat(s.Top1Error, 'g', -1, 64),
	}, nil
}

// parseState is metadata's inverse. summed says whether the file has checksums.
func parseState(m map[string]string, summed bool) (State, error) {
	switch v, ok := m["alexnet"]; {
	case len(m) == 0:
		return State{}, nil
	case !ok:
		return State{Notes: m}, nil
	case v == version && !summed:
		return State{}, fmt.Errorf("__metadata__ has no %q: the file was changed after it was written; take another checkpoint", checksumsKey)
	case v != version && v != versionUnsummed:
		return State{}, fmt.Errorf(`__metadata__ has version %q of "alexnet", and this program reads %q: use the program that wrote the file, or a newer one`, v, version)
	}
	var s State
	var err error
	field := func(key string, parse func(string) error) {
		if err != nil {
			return
		}
		v, ok := m[key]
		if !ok {
			err = fmt.Errorf("__metadata__ has no %q: the file was changed after it was written; take another checkpoint", key)
		} else if e := parse(v); e != nil {
			err = fmt.Errorf("__metadata__, %q: %w; take another checkpoint", key, e)
		}
	}
	text := func(to *string) func(string) error {
		return func(v string) error { *to = v; return nil }
	}
	float := func(to *float64) func(string) error {
		return func(v string) (err error) { *to, err = strconv.ParseFloat(v, 64); return err }
	}
	field("net", text(&s.Net))
	field("step", func(v string) (err error) { s.Step, err = strconv.ParseInt(v, 10, 64); return err })
	field("seed", func(v string) (err error) { s.Seed, err = strconv.ParseUint(v, 10, 64); return err })
	field("batch", func(v string) (err error) { s.Batch, err = strconv.Atoi(v); return err })
	if _, ok := m["images"]; ok {
		field("images", func(v string) (err error) { s.Images, err = strconv.ParseInt(v, 10, 64); return err })
	} else { // a file from before the batch could change
		s.Images = s.Step * int64(s.Batch)
	}
	field("schedule", text(&s.Schedule))
	field("dataset", text(&s.Dataset))
	field("classes", func(v string) error { return json.Unmarshal([]byte(v), &s.Classes) })
	field("loss", float(&s.Loss))
	field("top1_error", float(&s.Top1Error))
	if err == nil && s.Net == "" {
		err = fmt.Errorf(`__metadata__, "net": is empty; take another checkpoint`)
	}
	if err != nil {
		return State{}, err
	}
	return s, nil
}

// elements returns the product of shape. It refuses what is negative and what
// would need more bytes than an int can count.
func elements(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d > 0 && n > math.MaxInt/4/int64(d) {
			return 0, fmt.Errorf("shape %v has more elements than this machine can address", shape)
		}
		n *= int64(d)
	}
	return n, nil
}
