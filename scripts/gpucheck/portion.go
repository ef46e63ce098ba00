package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"alexnet/loader/record"
)

// repeated makes a data set of the images of the training split of dir, as often
// as a pass of about so many images takes, and with them once as the test split.
// A pass of a few images would end, with a test and a checkpoint, after a few
// steps.
func repeated(dir, to string, pass int) (path string, images int, err error) {
	err = relinked(dir, to, func(train record.Split) map[string][]record.Shard {
		images = train.Images
		return map[string][]record.Shard{"train": slices.Repeat(train.Shards, max(1, pass/train.Images)), "test": train.Shards}
	})
	return to, images, err
}

// portion makes a data set of at least so many training images of dir, and few more,
// whatever dir has: of its first shards, or of all of them several times. How long a
// pass is decides how many steps a line of the metrics stands for. It has no test
// images, so that a training on it does nothing but train.
func portion(dir, to string, images int) (path string, err error) {
	return to, relinked(dir, to, func(train record.Split) map[string][]record.Shard {
		var shards []record.Shard
		for n := 0; n < images; n += shards[len(shards)-1].Images {
			shards = append(shards, train.Shards[len(shards)%len(train.Shards)])
		}
		return map[string][]record.Shard{"train": shards}
	})
}

// relinked makes a data set whose splits are shards of the training split of dir, as
// often as pick names them. They are links.
func relinked(dir, to string, pick func(train record.Split) map[string][]record.Shard) (err error) {
	f, err := record.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := *f.Dataset
	train := d.Splits["train"]
	if train.Images == 0 {
		return fmt.Errorf("%s has no split train", dir)
	}
	if err := os.Mkdir(to, 0o777); err != nil {
		return err
	}
	d.Name = filepath.Base(to)
	d.Splits = map[string]record.Split{}
	for split, shards := range pick(train) {
		var s record.Split
		for i, shard := range shards {
			from := filepath.Join(dir, shard.File)
			shard.File = fmt.Sprintf("%s-%06d.rec", split, i)
			if err := os.Symlink(from, filepath.Join(to, shard.File)); err != nil {
				return err
			}
			s.Shards = append(s.Shards, shard)
			s.Images += shard.Images
		}
		d.Splits[split] = s
	}
	if d.Statistics, err = record.WriteStatistics(to, f.Statistics); err != nil {
		return err
	}
	return record.WriteDataset(to, &d)
}
