package train

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sparseFile writes a checkpoint of tiny with one tensor, whose numbers are a hole.
func sparseFile(t *testing.T, name string, shape ...int) string {
	t.Helper()
	size := 4
	for _, n := range shape {
		size *= n
	}
	header, err := json.Marshal(map[string]any{
		"__metadata__": map[string]string{"alexnet": "1", "net": tiny, "step": "1", "seed": "1", "batch": "8", "schedule": "{}",
			"dataset": "", "classes": "[]", "loss": "NaN", "top1_error": "NaN"},
		name: map[string]any{"dtype": "F32", "shape": shape, "data_offsets": []int{0, size}}})
	check(t, err)
	path := filepath.Join(t.TempDir(), "sparse.safetensors")
	check(t, os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 0o666))
	if err := os.Truncate(path, int64(8+len(header)+size)); err != nil {
		t.Skipf("this file system has no sparse files of %d bytes: %v", size, err)
	}
	return path
}

// A file of 1 TB may be a few bytes on the disk. Its tensors are held against its
// network before memory for them is taken.
func TestShapesAreCheckedBeforeMemoryIsTaken(t *testing.T) {
	const huge = 1 << 38 // numbers: 1 TiB
	for _, c := range []struct {
		tensor string
		shape  []int
		want   string
	}{
		{"conv1.weight", []int{huge}, "conv1.weight has shape"},
		{"momentum.conv1.bias", []int{huge}, "momentum.conv1.bias has shape"},
		{"other", []int{huge}, "its tensor other is none of the network tiny"},
		{"mean", []int{huge}, "its tensor mean has shape"},
		{"mean", []int{1 << 19, 1 << 18, 3}, "its tensor mean"},
	} {
		path := sparseFile(t, c.tensor, c.shape...)
		if _, err := readModel(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %v: %v, want an error with %q", c.tensor, c.shape, err, c.want)
		}
		if _, err := Check(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("check: %s of %v: %v, want an error with %q", c.tensor, c.shape, err, c.want)
		}
	}
}
