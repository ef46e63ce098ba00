package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"alexnet/checkpoint"
)

// Predictions are the outputs of networks for the test images of a data set, as
// they are kept for averaging with those of others: a safetensors file with
//
//	logits  [images, outputs], whose softmax is the probabilities
//	labels  [images], -1 for an image that was damaged
//
// and the rest of Source in its metadata. The logits of one network and one view are
// its own. Those of a mean are the logarithms of the mean probabilities.
//
// Files of version 1 have a tensor probabilities instead of logits. There a
// probability below [LeastProbability] counts as that much, since it may stand for any
// smaller one. Of equal ones the lower class is likelier.
type Predictions struct {
	Source
	Path   string // that they were read from
	Labels []int32
	Logits []float32

	probabilities bool // Logits holds probabilities: the file is of version 1
}

const predictionsKey = "alexnet-predictions"

// LeastProbability is what a smaller probability counts as in a file of version 1. It
// is the least float32 that has all its bits. So an image adds 87.3 at most to the loss.
const LeastProbability = 0x1p-126

// Add enters an image, in the form and the order in which [Testing.Each] gives it.
func (p *Predictions) Add(image int64, label int32, logits []float64) {
	p.extend(image, len(logits))
	p.Labels = append(p.Labels, label)
	for _, v := range logits {
		p.Logits = append(p.Logits, float32(v))
	}
}

// extend enters images that are missing, up to a count.
func (p *Predictions) extend(images int64, outputs int) {
	for int64(len(p.Labels)) < images {
		p.Labels = append(p.Labels, -1)
		p.Logits = append(p.Logits, make([]float32, outputs)...)
	}
}

// format returns the version of the file, and the name of the tensor in Logits.
func (p *Predictions) format() (version, values string) {
	if p.probabilities {
		return "1", "probabilities"
	}
	return "2", "logits"
}

// read copies an image's logits.
func (p *Predictions) read(logits []float64, image int) {
	for c, v := range p.Logits[image*p.Outputs:][:p.Outputs] {
		logits[c] = float64(v)
		if p.probabilities {
			logits[c] = math.Log(max(float64(v), LeastProbability))
		}
	}
}

// Write writes the file, whole or not at all. s is what [Test] returned.
func (p *Predictions) Write(path string, s Source) error {
	p.extend(s.Images, s.Outputs)
	classes, err := json.Marshal(s.Classes)
	if err != nil {
		return err
	}
	labels := make([]float32, len(p.Labels))
	for i, l := range p.Labels {
		labels[i] = float32(l) // exact: there are fewer than 2^24 classes
	}
	version, values := p.format()
	return checkpoint.Write(path, &checkpoint.Checkpoint{
		State: checkpoint.State{Notes: map[string]string{
			predictionsKey: version, "dataset": s.Dataset, "name": s.Name, "classes": string(classes),
			"networks": strconv.Itoa(s.Networks), "views": strconv.Itoa(s.Views),
		}},
		Tensors: []checkpoint.Tensor{
			{Name: values, Shape: []int{len(labels), s.Outputs}, Data: p.Logits},
			{Name: "labels", Shape: []int{len(labels)}, Data: labels},
		}})
}

// ReadPredictions reads a file that Write wrote.
func ReadPredictions(path string) (*Predictions, error) {
	c, err := checkpoint.Read(path)
	if err != nil {
		return nil, err
	}
	p, err := parsePredictions(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; save the predictions again", path, err)
	}
	p.Path = path
	return p, nil
}

// readIfPredictions returns nil if the file is something else.
func readIfPredictions(path string) (*Predictions, error) {
	s, err := checkpoint.ReadState(path)
	if err != nil || s.Notes[predictionsKey] == "" {
		return nil, err
	}
	return ReadPredictions(path)
}

func parsePredictions(c *checkpoint.Checkpoint) (*Predictions, error) {
	p := &Predictions{Source: Source{Dataset: c.Notes["dataset"], Name: c.Notes["name"]}, probabilities: c.Notes[predictionsKey] == "1"}
	version, values := p.format()
	if v := c.Notes[predictionsKey]; v != version {
		return nil, fmt.Errorf("predictions of version %q, and this program reads 1 and %s", v, version)
	}
	var err1, err2 error
	p.Networks, err1 = strconv.Atoi(c.Notes["networks"])
	p.Views, err2 = strconv.Atoi(c.Notes["views"])
	if err := errors.Join(err1, err2, json.Unmarshal([]byte(c.Notes["classes"]), &p.Classes)); err != nil {
		return nil, fmt.Errorf("its metadata: %w", err)
	}
	named := byName(c.Tensors)
	logits, labels := named[values], named["labels"]
	switch {
	case p.Networks < 1 || p.Networks > math.MaxInt32:
		return nil, fmt.Errorf("they are of %d networks", p.Networks)
	case p.Views != 1 && p.Views != 10:
		return nil, fmt.Errorf("they are of %d views", p.Views)
	case logits == nil || labels == nil:
		return nil, fmt.Errorf("it has no tensors %s and labels", values)
	case len(labels.Data) == 0:
		return nil, errors.New("it has no images")
	case len(logits.Shape) == 2 && logits.Shape[1] == 0:
		return nil, errors.New("it has no outputs")
	case len(labels.Shape) != 1 || len(logits.Shape) != 2 || labels.Shape[0] != logits.Shape[0]:
		return nil, fmt.Errorf("%s of shape %v and labels of shape %v", values, logits.Shape, labels.Shape)
	}
	p.Images, p.Outputs, p.Logits = int64(labels.Shape[0]), logits.Shape[1], logits.Data
	for i, l := range labels.Data {
		if !(l >= -1 && float64(l) < float64(p.Outputs)) || l != float32(int32(l)) {
			return nil, fmt.Errorf("image %d has label %g, of %d classes", i, l, p.Outputs)
		}
		p.Labels = append(p.Labels, int32(l))
	}
	if len(p.Classes) > p.Outputs {
		return nil, fmt.Errorf("%d classes and %d outputs", len(p.Classes), p.Outputs)
	}
	return p, nil
}
