package loader

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestImagesByNumber(t *testing.T) {
	for _, s := range []testSet{usual, {height: 8, width: 8, longest: 16, chunk: 3, train: []int{7, 5}, test: 4}} {
		set := open(t, s)
		m, err := set.Images("train")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, s.height*s.width*3)
		for _, i := range []int64{3, 11, 0, 1, 9, 11} {
			l, err := m.Read(i, got)
			if err != nil || l != label(int(i)) {
				t.Fatalf("image %d: label %d, %v", i, l, err)
			}
			h, w := s.size(int(i))
			top, left := (h-s.height)/2, (w-s.width)/2
			for k, v := range got {
				y, x, c := k/3/s.width, k/3%s.width, k%3
				if want := pixel("train", int(i), top+y, left+x, c); v != want {
					t.Fatalf("image %d at %d, %d, %d: %d, want %d", i, y, x, c, v, want)
				}
			}
		}
		for _, i := range []int64{-1, m.Len()} {
			if _, err := m.Read(i, got); err == nil || !strings.Contains(err.Error(), "there is no image") {
				t.Errorf("image %d: %v", i, err)
			}
		}
	}
}

// All images of a split, chosen one by one, give the batches of the split.
func TestStillsAreSeenAsSplitsAre(t *testing.T) {
	set := open(t, usual)
	for _, views := range []int{1, 10} {
		o := Options{Split: "test", Rows: 4, Height: 6, Width: 5, Views: views}
		want, err := set.Test(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		m, err := set.Images("test")
		if err != nil {
			t.Fatal(err)
		}
		all := make([]int64, m.Len())
		for i := range all {
			all[i] = int64(i)
		}
		got, err := m.Choose(all).Test(o)
		if err != nil {
			t.Fatal(err)
		}
		for {
			a, err := want.Next(t.Context())
			b, other := got.Next(t.Context())
			if errors.Is(err, ErrEnd) && errors.Is(other, ErrEnd) {
				break
			}
			if err != nil || other != nil {
				t.Fatal(err, other)
			}
			if a.First != b.First || !bytes.Equal(a.Pixels, b.Pixels) || !slices.Equal(a.Views, b.Views) ||
				!slices.Equal(a.Labels, b.Labels) || !slices.Equal(a.Images, b.Images) {
				t.Fatalf("%d views, row %d: the batches differ", views, a.First)
			}
			want.Release(a)
			got.Release(b)
		}
		if err := errors.Join(want.Close(), got.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Only the loader says that the images are at an end, whatever reading one returns.
func TestEndOfAnImageIsNotTheEnd(t *testing.T) {
	for _, fault := range []error{io.EOF, io.ErrUnexpectedEOF} {
		s := &Stills{Height: 2, Width: 2, Count: 3, Read: func(_ context.Context, i int, _ []byte) (int32, error) {
			if i == 1 {
				return 0, fault
			}
			return -1, nil
		}}
		b, err := s.Test(Options{Rows: 1, Height: 2, Width: 2, Views: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Next(t.Context()); !errors.Is(err, fault) || errors.Is(err, ErrEnd) {
			t.Errorf("after an image with %v: %v", fault, err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	img := image.NewRGBA(image.Rect(0, 0, 12, 8))
	for y := range 8 {
		for x := range 12 {
			img.Set(x, y, color.RGBA{uint8(10 * x), uint8(10 * y), 7, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path, text := filepath.Join(dir, "a.png"), filepath.Join(dir, "b.png")
	if err := errors.Join(os.WriteFile(path, b.Bytes(), 0o666), os.WriteFile(text, []byte("hello"), 0o666)); err != nil {
		t.Fatal(err)
	}
	s, err := Files([]string{path, text, dir}, 8, 8)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8*8*3)
	l, err := s.Read(t.Context(), 0, got)
	if p := (8*3 + 5) * 3; err != nil || l != -1 || got[p] != 70 || got[p+1] != 30 || got[p+2] != 7 { // two columns are cut off
		t.Errorf("label %d, pixel %v, %v", l, got[p:p+3], err)
	}
	for i, want := range []string{1: "b.png: ", 2: "no plain file"} {
		if _, err := s.Read(t.Context(), i, got); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("file %d: %v", i, err)
		}
	}
	odd, err := Files([]string{path}, 8, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := odd.Read(t.Context(), 0, make([]byte, 8*10*3)); err == nil || !strings.Contains(err.Error(), "it is 8x12") {
		t.Error(err)
	}
}
