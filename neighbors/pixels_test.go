package neighbors

import (
	"context"
	"path/filepath"
	"testing"

	"alexnet/loader"
	"alexnet/loader/pack"
)

// TestPixels: each training image is its own nearest by pixels, at distance 0, in
// blocks that end in mid-batch.
func TestPixels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	if _, err := pack.Shapes(t.Context(), pack.Options{Out: dir}, 1, 70, 10); err != nil {
		t.Fatal(err)
	}
	set, err := loader.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var queries []float32
	for i := range 70 {
		x, err := PixelsOf(set, "train", int64(i))
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, x...)
	}
	pixels, err := OpenPixels(t.Context(), set, "train")
	if err != nil {
		t.Fatal(err)
	}
	defer pixels.Close()
	found, err := Search(t.Context(), queries, &inParts{pixels, 9}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, near := range found {
		if len(near) != 2 || near[0] != (Neighbor{i, 0}) || near[1].Distance == 0 {
			t.Errorf("image %d: %v", i, near)
		}
	}
}

// inParts gives a few vectors at a time.
type inParts struct {
	*Pixels
	most int
}

func (p *inParts) Next(ctx context.Context, dst []float32) (int, error) {
	return p.Pixels.Next(ctx, dst[:min(len(dst), p.most*p.Dim())])
}
