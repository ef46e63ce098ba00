package neighbors

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"

	"alexnet/checkpoint"
)

// Source says what the vectors of a file are of.
type Source struct {
	Net     string // name of the network
	Model   string // SHA-256 of the checkpoint
	Layer   string // of the network, whose output they are
	Dataset string // fingerprint of the data set; "" for image files
	Split   string // of the data set
}

// A features file is a safetensors file with
//
//	features  [images, channels, height, width], or [images, outputs] of a full layer
//	labels    [images]; -1 of an image that is damaged, whose features are 0, or has none
//
// in the order of the images, and Source in its metadata.
const (
	fileKey, fileVersion = "alexnet-features", "1"
	featuresName         = "features"
	labelsName           = "labels"
)

// maxImages is the count up to which the labels, which are float32 and stay in
// memory, take 4 GiB.
const maxImages = 1 << 30

// FileWriter writes a features file as its vectors come, one after the other.
type FileWriter struct {
	w      *checkpoint.Writer
	labels []float32
	images int64
	blank  []float32 // a vector of zeros
}

// NewFileWriter starts the file at path, of the given count of images, and shape
// of an image's activations. Nothing is at path before Commit; Close must follow.
func NewFileWriter(path string, s Source, images int64, shape []int) (*FileWriter, error) {
	if images < 1 || images > maxImages {
		return nil, fmt.Errorf("features of %d images: want 1 to %d", images, maxImages)
	}
	w, err := checkpoint.NewWriter(path,
		map[string]string{fileKey: fileVersion, "net": s.Net, "model": s.Model, "layer": s.Layer, "dataset": s.Dataset, "split": s.Split},
		[]checkpoint.Tensor{
			{Name: featuresName, Shape: append([]int{int(images)}, shape...)},
			{Name: labelsName, Shape: []int{int(images)}},
		})
	if err != nil {
		return nil, err
	}
	size := 1
	for _, n := range shape {
		size *= n
	}
	return &FileWriter{w: w, images: images, blank: make([]float32, size)}, nil
}

// Add writes the vector of an image. Images come in order; those that are left out
// count as damaged.
func (f *FileWriter) Add(image int64, label int32, x []float32) error {
	if err := f.fill(image); err != nil {
		return err
	}
	f.labels = append(f.labels, float32(label)) // exact: there are fewer than 2^24 classes
	return f.w.Write(x)
}

func (f *FileWriter) fill(images int64) error {
	for int64(len(f.labels)) < images {
		f.labels = append(f.labels, -1)
		if err := f.w.Write(f.blank); err != nil {
			return err
		}
	}
	return nil
}

// Commit writes the labels and puts the file at its path.
func (f *FileWriter) Commit() error {
	if err := f.fill(f.images); err != nil {
		return err
	}
	if err := f.w.Write(f.labels); err != nil {
		return err
	}
	return f.w.Commit()
}

// Close removes what was written, unless it was committed.
func (f *FileWriter) Close() error { return f.w.Close() }

// File is a features file that is read. Its vectors stay on the disk.
type File struct {
	Source Source
	Labels []int32 // of all images
	r      *checkpoint.Reader
	dim    int
}

// OpenFile opens a file that a FileWriter wrote.
func OpenFile(path string) (*File, error) {
	r, err := checkpoint.OpenReader(path)
	if err != nil {
		return nil, err
	}
	f := &File{r: r}
	if err := f.open(); err != nil {
		r.Close() // was only read
		return nil, fmt.Errorf("%s: %w; make the features again", path, err)
	}
	return f, nil
}

func (f *File) open() error {
	notes := f.r.State.Notes
	if v := notes[fileKey]; v != fileVersion {
		return fmt.Errorf("features of version %q, and this program reads %q", v, fileVersion)
	}
	f.Source = Source{Net: notes["net"], Model: notes["model"], Layer: notes["layer"], Dataset: notes["dataset"], Split: notes["split"]}
	shape, err := f.r.Shape(featuresName)
	if err != nil {
		return err
	}
	labels, err := f.r.Shape(labelsName)
	if err != nil {
		return err
	}
	if len(shape) < 2 || len(labels) != 1 || shape[0] != labels[0] || shape[0] < 1 || shape[0] > maxImages {
		return fmt.Errorf("features of shape %v and labels of shape %v", shape, labels)
	}
	f.dim = 1
	for _, n := range shape[1:] {
		f.dim *= n // which package checkpoint has found not to overflow
	}
	if f.dim < 1 {
		return fmt.Errorf("features of shape %v", shape)
	}
	numbers := make([]float32, labels[0])
	if err := f.r.Read(labelsName, 0, numbers); err != nil {
		return err
	}
	f.Labels = make([]int32, len(numbers))
	for i, l := range numbers {
		if !(l >= -1 && l < math.MaxInt32) || l != float32(int32(l)) {
			return fmt.Errorf("image %d has the label %s", i, strconv.FormatFloat(float64(l), 'g', -1, 32))
		}
		f.Labels[i] = int32(l)
	}
	return nil
}

// Dim returns the count of numbers of a vector.
func (f *File) Dim() int { return f.dim }

// At reads the vector of an image.
func (f *File) At(image int64, dst []float32) error {
	return f.r.Read(featuresName, image*int64(f.dim), dst[:f.dim])
}

// Vectors returns all vectors from the first on. Several may be read at a time.
func (f *File) Vectors() Vectors { return &fileVectors{file: f} }

// Close closes the file.
func (f *File) Close() error { return f.r.Close() }

type fileVectors struct {
	file *File
	next int64 // image
}

func (v *fileVectors) Dim() int { return v.file.dim }

func (v *fileVectors) Next(ctx context.Context, dst []float32) (int, error) {
	n := min(len(dst)/v.file.dim, len(v.file.Labels)-int(v.next))
	if n == 0 {
		return 0, io.EOF
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err := v.file.r.Read(featuresName, v.next*int64(v.file.dim), dst[:n*v.file.dim])
	v.next += int64(n)
	return n, err
}
