package dnn

import "fmt"

// Inside returns an error unless all rows lie within buffers of dst and src
// numbers.
func (r Rows) Inside(dst, src int64) error {
	if r.Count < 0 || r.Width < 0 {
		return fmt.Errorf("copy of %d rows of %d", r.Count, r.Width)
	}
	if r.Count == 0 || r.Width == 0 {
		return nil
	}
	if err := inside(r, r.DstOffset, r.DstStride, dst); err != nil {
		return fmt.Errorf("copy to: %w", err)
	}
	if r.Count > 1 && r.DstStride < r.Width {
		return fmt.Errorf("copy to: rows of %d numbers, %d apart, overlap", r.Width, r.DstStride)
	}
	if err := inside(r, r.SrcOffset, r.SrcStride, src); err != nil {
		return fmt.Errorf("copy from: %w", err)
	}
	return nil
}

func inside(r Rows, offset, stride int, size int64) error {
	o, s, last := int64(offset), int64(stride), size-int64(r.Width)
	if o < 0 || s < 0 || o > last || r.Count > 1 && s > (last-o)/int64(r.Count-1) {
		return fmt.Errorf("%d rows of %d numbers, %d apart from %d on, do not lie within %d numbers", r.Count, r.Width, stride, offset, size)
	}
	return nil
}
