package loader

import "testing"

func TestImage(t *testing.T) {
	for _, s := range []testSet{usual, {height: 5, width: 5, longest: 9, chunk: 4, train: []int{7, 9}, test: 6}} {
		set, err := Open(s.write(t))
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		for split, shards := range map[string][]int{"train": s.train, "test": {s.test}} {
			images := 0
			for _, n := range shards {
				images += n
			}
			for i := range images {
				im, pixels, err := set.Image(split, int64(i))
				if err != nil {
					t.Fatal(err)
				}
				if h, w := s.size(i); im.Height != h || im.Width != w || im.Label != label(i) || len(pixels) != 3*h*w {
					t.Fatalf("image %d of %s is %+v with %d bytes, want %dx%d of label %d", i, split, im, len(pixels), h, w, label(i))
				}
				for at, got := range pixels {
					y, x, c := at/3/im.Width, at/3%im.Width, at%3
					if want := pixel(split, i, y, x, c); got != want {
						t.Fatalf("image %d of %s: pixel %d,%d,%d is %d, want %d", i, split, y, x, c, got, want)
					}
				}
			}
			for _, i := range []int64{-1, int64(images)} {
				if _, _, err := set.Image(split, i); err == nil {
					t.Errorf("there is an image %d of %s", i, split)
				}
			}
		}
		if _, _, err := set.Image("validation", 0); err == nil {
			t.Error("there is a split validation")
		}
	}
}
