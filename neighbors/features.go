package neighbors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"alexnet/checkpoint"
)

// About says what features are of.
type About struct {
	Network   string   // its name
	Model     string   // SHA-256 of the checkpoint, in hex
	Layer     string   // whose outputs they are
	Precision string   // of the products, fp32, tf32 or bf16
	Dataset   string   // fingerprint of the data set; "" for image files
	Split     string   // of the data set
	Classes   []string // names of the labels
	Files     []string // the image files, where there is no data set
}

// The tensors of a file of features: [images, ...shape of the layer's output], and
// [images], -1 where the label is not known.
const (
	featuresName = "features"
	labelsName   = "labels"
)

func (a *About) notes() (map[string]string, error) {
	n := map[string]string{
		"network": a.Network, "model": a.Model, "layer": a.Layer, "precision": a.Precision, "dataset": a.Dataset, "split": a.Split,
	}
	for key, list := range map[string][]string{"classes": a.Classes, "files": a.Files} {
		b, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		n[key] = string(b)
	}
	return n, nil
}

// Writer writes features, image by image, to a safetensors file. Its memory does
// not grow with the count of images.
type Writer struct{ w *checkpoint.Writer }

// Create starts a file of features. Nothing is at path until Close.
func Create(path string, a About, images int64, shape ...int) (*Writer, error) {
	notes, err := a.notes()
	if err != nil {
		return nil, err
	}
	w, err := checkpoint.Create(path, notes, []checkpoint.Tensor{
		{Name: featuresName, Shape: append([]int{int(images)}, shape...)},
		{Name: labelsName, Shape: []int{int(images)}},
	})
	if err != nil {
		return nil, fmt.Errorf("features: %w", err)
	}
	return &Writer{w}, nil
}

// Add writes the next image.
func (w *Writer) Add(label int32, features []float32) error {
	return errors.Join(w.w.Append(0, features), w.w.Append(1, []float32{float32(label)})) // exact: there are fewer than 2^24 classes
}

// Close gives the file its name. Every image must have been added.
func (w *Writer) Close() error { return w.w.Close() }

// Abort takes the file away if it was not closed.
func (w *Writer) Abort() error { return w.w.Abort() }

// Features are features in a file. They are [Rows].
type Features struct {
	Labels []int32
	f      *checkpoint.File
	width  int
}

// Open opens a file of features and reads it once, to hold it against its checksums.
// The features must be of what about says.
func Open(ctx context.Context, path string, about About) (*Features, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := newFeatures(f, about)
	if err == nil {
		err = f.Verify(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("features %s: %w", path, err), f.Close())
	}
	return s, nil
}

func newFeatures(f *checkpoint.File, about About) (*Features, error) {
	want, err := about.notes()
	if err != nil {
		return nil, err
	}
	for key, v := range want {
		if f.Notes[key] != v {
			return nil, fmt.Errorf("its %s is %.80q, and %.80q is wanted", key, f.Notes[key], v)
		}
	}
	shape, labels := f.Shape(featuresName), f.Shape(labelsName)
	if len(shape) < 2 || len(labels) != 1 || labels[0] != shape[0] || shape[0] == 0 {
		return nil, fmt.Errorf("features of shape %v and labels of shape %v", shape, labels)
	}
	s := &Features{f: f, width: 1, Labels: make([]int32, shape[0])}
	for _, n := range shape[1:] {
		s.width *= n
	}
	if s.width == 0 {
		return nil, fmt.Errorf("features of shape %v", shape)
	}
	numbers := make([]float32, shape[0])
	if err := f.ReadAt(labelsName, 0, numbers); err != nil {
		return nil, err
	}
	for i, v := range numbers {
		if !(v >= -1 && v < float32(len(about.Classes))) {
			return nil, fmt.Errorf("image %d has label %g, of %d classes", i, v, len(about.Classes))
		}
		s.Labels[i] = int32(v)
	}
	return s, nil
}

// Len returns the count of images.
func (s *Features) Len() int { return len(s.Labels) }

// Width returns the count of numbers that each has.
func (s *Features) Width() int { return s.width }

// Read fills dst with the features of images from first on.
func (s *Features) Read(first int, dst []float32) error {
	return s.f.ReadAt(featuresName, int64(first)*int64(s.width), dst)
}

// Close closes the file.
func (s *Features) Close() error { return s.f.Close() }
