package main

import (
	"alexnet/loader"

	"github.com/urfave/cli/v2"
)

func skipFlag() cli.Flag {
	return &cli.BoolFlag{Name: "skip-corrupt", Usage: "go on without images that are damaged or missing on disk, and count them"}
}

// damage tells of what was skipped: each place once, and how many images in all.
type damage struct {
	progress *progress
	seen     map[string]bool
	images   int
}

// maxTold bounds how many places are told of.
const maxTold = 20

// skipDamage makes set skip what is damaged, if -skip-corrupt asks for it.
func skipDamage(c *cli.Context, set *loader.Set, p *progress) *damage {
	d := &damage{progress: p, seen: make(map[string]bool)}
	if c.Bool("skip-corrupt") {
		set.SkipDamage(d.tell)
	}
	return d
}

func (d *damage) tell(err error, images int) {
	d.images += images
	text := err.Error()
	if d.seen[text] || len(d.seen) > maxTold {
		return
	}
	d.seen[text] = true
	if len(d.seen) > maxTold {
		text = "more; alexnet pack verify lists all"
	}
	d.progress.printf("skipping: %s", text)
}

// report says how many images were skipped, after the loader has ended.
func (d *damage) report() {
	if d.images > 0 {
		d.progress.printf("%d images were skipped: they are damaged or missing on disk", d.images)
	}
}
