package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"alexnet/internal/process"
	"alexnet/loader/record"
)

// packedSet is what matters here of a data set.
type packedSet struct {
	images   int
	bytes    int64
	prepared string
}

func packed(dir string) (s packedSet, err error) {
	f, err := record.OpenFolder(dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	train := f.Dataset.Splits["train"]
	s.images, s.prepared = train.Images, f.Dataset.Prepared
	for _, shard := range train.Shards {
		s.bytes += shard.Bytes
	}
	return s, nil
}

// timePacking packs the originals on one core, with each JPEG decoder there is,
// and returns how many bytes they took.
func (b *loaderBench) timePacking(ctx context.Context, originals string) (bytes int64, err error) {
	for _, decoder := range []string{"", "go"} {
		out := filepath.Join(b.work, "timed")
		what := "the fastest JPEG decoder there is"
		if decoder == "go" {
			what = "Go's JPEG decoder"
		}
		b.say("packing the originals on one core with %s", what)
		var made packedSet
		var took float64
		var cpu time.Duration
		speed, _, err := b.quiet.measure(ctx, measurement{"packing with " + what, func(ctx context.Context) (float64, error) {
			if err := os.RemoveAll(out); err != nil {
				return 0, err
			}
			started := time.Now()
			_, busy, err := process.Timed(ctx, "", []string{"GOMAXPROCS=1", "ALEXNET_JPEG=" + decoder},
				b.program, "pack", "folder", originals, "-size", "256", "-codec", "raw", "-workers", "1", "-out", out)
			took, cpu = time.Since(started).Seconds(), busy
			if err == nil {
				made, err = packed(out)
			}
			return float64(made.images) / took, err
		}})
		if err := errors.Join(err, os.RemoveAll(out)); err != nil {
			return 0, err
		}
		bytes = made.bytes
		b.result.packed(Packing{decoderOf(made.prepared), made.images, took, speed, cpu.Seconds() / took})
	}
	return bytes, nil
}

// decoderOf returns the JPEG decoder in what a data set says of how it was
// prepared, without the path of a library.
func decoderOf(prepared string) string {
	_, name, _ := strings.Cut(prepared, "JPEG by ")
	name, _, _ = strings.Cut(name, ", "+string(filepath.Separator))
	return name
}
