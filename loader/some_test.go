package loader

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
)

// TestSome: images that are read one by one, and made into batches again, give the
// batches of the whole split, at any size of a batch.
func TestSome(t *testing.T) {
	for _, set := range []testSet{usual, {height: 8, width: 8, longest: 15, chunk: 4, train: []int{23, 18}, test: 11}} {
		s := open(t, set)
		for _, o := range []Options{
			{Rows: 5, Height: 5, Width: 6}, {Rows: 3, Height: 7, Width: 7, Views: 10}, {Rows: 200, Height: 5, Width: 6, Views: 10},
		} {
			o.Split = "train"
			images := s.Info().Splits["train"].Images
			some, err := NewSome(int64(images), set.height, set.width, func(n int64) ([]byte, int32, error) { return s.Image("train", n) }, o)
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.Test(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for {
				want, err := b.Next(t.Context())
				got, gotErr := some.Next(t.Context())
				if err != gotErr {
					t.Fatalf("%v, want %v", gotErr, err)
				}
				if err == io.EOF {
					break
				}
				if got.First != want.First || !slices.Equal(got.Images, want.Images) || !slices.Equal(got.Labels, want.Labels) ||
					!slices.Equal(got.Views, want.Views) || !slices.Equal(got.Pixels, want.Pixels) {
					t.Fatalf("%+v: the batch of row %d differs", o, want.First)
				}
				b.Release(want)
				some.Release(got)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, n := range []int64{-1, 41, 45} {
			if _, _, err := s.Image("test", n); err == nil {
				t.Errorf("there is an image %d of 11", n)
			}
		}
	}
}

func TestSomeFails(t *testing.T) {
	broken := errors.New("broken")
	load := func(n int64) ([]byte, int32, error) {
		if n == 3 {
			return nil, 0, broken
		}
		return make([]byte, 8*8*3), 0, nil
	}
	some, err := NewSome(5, 8, 8, load, Options{Rows: 2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := some.Next(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := some.Next(t.Context()); err != broken {
		t.Errorf("%v, want that of the image", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := some.Next(stopped); err != context.Canceled {
		t.Errorf("%v, want that of the context", err)
	}
	if _, err := NewSome(5, 8, 8, load, Options{Rows: 2, Height: 9}); err == nil {
		t.Error("a crop larger than the images is taken")
	}
}
