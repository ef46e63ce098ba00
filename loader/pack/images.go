package pack

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"alexnet/loader/picture"
	"alexnet/loader/record"
)

// Folder packs a folder, tar, tar.gz or zip of images, which may lie as
//
//	train/<class>/<image>, test/<class>/<image>   (or val or valid for test)
//	train/<class>/<image>                         no test split then
//	<class>/<image>                               a part of each class becomes the test split
//
// all perhaps inside one more folder; a tar in a folder or tar counts as a
// folder. Classes are numbered by name; one like n01440764 is a WordNet synset,
// as in ImageNet. Files are images by content, whatever their names: JPEG, PNG,
// GIF, BMP or WebP. Files and folders that start with a dot are passed over.
func Folder(ctx context.Context, o Options) (*record.Dataset, error) {
	return packListing(ctx, o, func(temp scratch, fraction float64) (*listing, error) {
		l, err := folderListing(ctx, o.Source, temp, fraction, o.Classes)
		if err != nil || o.Names == "" {
			return l, err
		}
		names, err := readNames(o.Names)
		if err == nil && names.apply(l.classes) == 0 {
			err = fmt.Errorf("%s names none of the classes, which must be synsets such as n01440764", o.Names)
		}
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		return l, nil
	})
}

// ILSVRC packs ImageNet as it is handed out: see [ILSVRCSource]. Where there are
// no validation images, a part of each class becomes the test split.
func ILSVRC(ctx context.Context, o Options, s ILSVRCSource) (*record.Dataset, error) {
	s.Source, s.Names = o.Source, o.Names
	return packListing(ctx, o, func(temp scratch, fraction float64) (*listing, error) {
		return ilsvrcListing(ctx, s, temp, fraction)
	})
}

// packListing packs what list finds.
func packListing(ctx context.Context, o Options, list func(temp scratch, fraction float64) (*listing, error)) (d *record.Dataset, err error) {
	if !(o.TestFraction >= 0 && o.TestFraction < 1) {
		return nil, fmt.Errorf("test fraction %g: it must be from 0 to below 1", o.TestFraction)
	}
	pictures := picture.Options{Size: o.Size, Full: o.Full, Filter: o.Filter, Orient: o.Orient}
	probe, err := picture.NewDecoder(pictures) // before anything takes time
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	out, err := begin(&o)
	if err != nil {
		return nil, err
	}
	defer func() { err = out.end(err) }()
	l, err := list(scratch{out.temp, o.Unpacked}, cmp.Or(o.TestFraction, 0.1))
	if err != nil {
		return nil, err
	}
	defer l.close() // read only: nothing can be lost
	if o.Message != nil {
		o.Message("%d images of %d classes in %s", len(l.train)+len(l.test), len(l.classes), l.source)
	}
	c := content{source: l.source, classes: l.classes, height: o.Size, width: o.Size}
	if o.Full {
		c.longest = picture.MaxAspect * o.Size
	}
	if o.Size == 0 {
		if c.height, c.width, err = l.size(ctx); err != nil {
			return nil, err
		}
	}
	if c.prepared, err = prepared(o); err != nil {
		return nil, err
	}
	for _, s := range []struct {
		name   string
		images []labelled
	}{{"train", l.train}, {"test", l.test}} {
		if len(s.images) == 0 {
			continue
		}
		c.splits = append(c.splits, split{name: s.name, images: len(s.images), decode: func(ctx context.Context, i int, w *worker, dst []byte) (picture.Image, int, error) {
			m := s.images[i]
			im, err := w.decode(ctx, m, pictures, dst)
			if err == nil && o.Size == 0 && (im.Height != c.height || im.Width != c.width) {
				err = fmt.Errorf("%s: it is %dx%d, and the first image %dx%d; give a size to which all are scaled",
					m.from.where(m.member), im.Height, im.Width, c.height, c.width)
			}
			return im, m.label, err
		}})
	}
	c.identity = l.identity(c.prepared)
	return write(ctx, o, out, c)
}

// decode decodes an image file. What is wrong with its content is a rejection.
func (w *worker) decode(ctx context.Context, m labelled, o picture.Options, dst []byte) (im picture.Image, err error) {
	if w.decoder == nil {
		if w.decoder, err = picture.NewDecoder(o); err != nil {
			return im, err
		}
	}
	if w.file, err = m.from.read(m.member, w.file); err != nil {
		if system := (*fs.PathError)(nil); errors.As(err, &system) {
			return im, err // the disk's fault, or the file is gone
		}
		return im, &rejection{m.from.where(m.member), err}
	}
	if im, err = w.decoder.Decode(ctx, w.file, dst); err != nil {
		if ctx.Err() != nil {
			return im, err
		}
		return im, &rejection{m.from.where(m.member), err}
	}
	return im, nil
}

// size returns the size of the first training image that has one.
func (l *listing) size(ctx context.Context) (height, width int, err error) {
	var first error
	for _, m := range l.train {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		file, err := m.from.read(m.member, nil)
		if err == nil {
			height, width, err = picture.Bounds(file)
		}
		if err == nil {
			return height, width, nil
		}
		if first == nil {
			first = &rejection{m.from.where(m.member), err}
		}
	}
	return 0, 0, fmt.Errorf("no training image can be read; the first: %w", first)
}

// prepared says how files become pixels.
func prepared(o Options) (string, error) {
	by, err := picture.JPEG()
	if err != nil {
		return "", err
	}
	s := "as they are"
	if o.Size > 0 {
		s = fmt.Sprintf("shorter side to %d (%v), centre cut out", o.Size, o.Filter)
	}
	if o.Full {
		s = fmt.Sprintf("shorter side to %d (%v), whole images up to %d times as long", o.Size, o.Filter, picture.MaxAspect)
	}
	if o.Orient {
		s += ", turned as EXIF says"
	}
	by, _, _ = strings.Cut(by, ", ") // without the library's path, which is this machine's
	return s + "; chroma interpolated; JPEG by " + by, nil
}

// identity is of all that decides the images and their labels, but what is in
// the files.
func (l *listing) identity(prepared string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", prepared, l.classes)
	for _, list := range [][]labelled{l.train, l.test} {
		fmt.Fprintln(h, len(list))
		for _, m := range list {
			fmt.Fprintf(h, "%q %d %d\n", m.name, m.size, m.label)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
