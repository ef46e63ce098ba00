package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is a folder of images at <class>/<image> that this program made.
type tree struct {
	dir   string
	names []string // <class>/<image>
}

// add returns the path for one more image, which was at name in its source. Of
// that it keeps the class, which is the last folder, and the end, after a number
// that makes it unique.
func (t *tree) add(name string) (string, error) {
	name = path.Clean("/" + filepath.ToSlash(name))
	class := path.Base(path.Dir(name))
	if class == "/" {
		class = "images"
	}
	name = fmt.Sprintf("%s/%06d-%s", class, len(t.names), path.Base(name))
	t.names = append(t.names, name)
	to := filepath.Join(t.dir, filepath.FromSlash(name))
	return to, os.MkdirAll(filepath.Dir(to), 0o777)
}

func isImage(name string) bool {
	if strings.HasPrefix(path.Base(name), ".") { // ._a.jpg, which macOS leaves about
		return false
	}
	return slices.Contains([]string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"}, strings.ToLower(path.Ext(name)))
}

// gather collects the images of a folder, as links, or of a tar, as files.
func gather(ctx context.Context, from, dir string) (*tree, error) {
	t := &tree{dir: dir}
	info, err := os.Stat(from)
	switch {
	case err != nil:
	case info.IsDir():
		err = t.link(ctx, from)
	default:
		err = t.unpack(ctx, from)
	}
	if err == nil && len(t.names) == 0 {
		err = errors.New("there are no images in it: no files with names such as a.jpg, a.JPEG or a.png")
	}
	if err != nil {
		return nil, fmt.Errorf("-images %s: %w", from, err)
	}
	return t, nil
}

func (t *tree) link(ctx context.Context, from string) error {
	from, err := filepath.EvalSymlinks(from) // WalkDir does not follow a link
	if err == nil {
		from, err = filepath.Abs(from)
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if entry.IsDir() || !isImage(filepath.ToSlash(file)) {
			return nil
		}
		name, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		to, err := t.add(name)
		if err != nil {
			return err
		}
		return os.Symlink(file, to)
	})
}

func (t *tree) unpack(ctx context.Context, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("it is to be a folder or a tar: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !isImage(h.Name) {
			continue
		}
		to, err := t.add(h.Name)
		if err != nil {
			return err
		}
		if err := save(to, r); err != nil {
			return err
		}
	}
}

func save(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// repeat fills dir with links to all images, each so many times.
func (t *tree) repeat(ctx context.Context, dir string, times int) error {
	repeated := &tree{dir: dir}
	for range times {
		for _, name := range t.names {
			if err := ctx.Err(); err != nil {
				return err
			}
			to, err := repeated.add(name)
			if err != nil {
				return err
			}
			if err := os.Symlink(filepath.Join(t.dir, filepath.FromSlash(name)), to); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeats returns how often images that take so many bytes must be there to take
// more than limit.
func repeats(images int, bytes, limit int64) (int, error) {
	const most = 1_000_000 // links; a data set of that size does without
	n := limit/bytes + 1
	if n*int64(images) > most {
		return 0, fmt.Errorf("%d images of %d bytes in all would have to be repeated %d times to take more than %d; give more or larger ones, or a smaller -larger-than", images, bytes, n, limit)
	}
	return int(n), nil
}
