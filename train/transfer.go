package train

import (
	"fmt"
	"slices"

	"alexnet/checkpoint"
	"alexnet/model"
)

// Taken is what became of one layer's parameters when a network started from a
// trained one.
type Taken struct {
	Layer string
	Rows  int    // kernels or outputs that were taken
	Of    int    // that the layer has
	Why   string // not all were
}

// String says it in a line.
func (t Taken) String() string {
	switch {
	case t.Rows == t.Of:
		return t.Layer + ": taken"
	case t.Rows > 0:
		return fmt.Sprintf("%s: resized, %d of %d outputs taken: %s", t.Layer, t.Rows, t.Of, t.Why)
	}
	return fmt.Sprintf("%s: started anew: %s", t.Layer, t.Why)
}

// transfer copies weights and biases of a trained network into tensors, which are
// those that training of net starts from. A layer is taken if it has the same name
// and shapes there. Of the last one, whose outputs stand for classes, those are
// taken whose class is among the trained network's, by name. Momentum and the mean
// image are not taken: they belong to other data.
func transfer(net *model.Net, classes []string, tensors []checkpoint.Tensor, from *checkpoint.Checkpoint) ([]Taken, error) {
	to, source := byName(tensors), byName(from.Tensors)
	var list []Taken
	some := false
	for i, l := range net.Layers {
		if _, ok := l.Params(); !ok {
			continue
		}
		w, b := to[l.Name+".weight"], to[l.Name+".bias"]
		t := Taken{Layer: l.Name, Of: w.Shape[0]}
		oldW, oldB := source[w.Name], source[b.Name]
		switch {
		case oldW == nil || oldB == nil:
			t.Why = "there is no layer of this name"
		case i == lastLearner(net) && len(from.Classes) > 0 && slices.Equal(w.Shape[1:], oldW.Shape[1:]):
			t.Rows, t.Why = takeClasses(w, b, classes, oldW, oldB, from.Classes)
		case !slices.Equal(w.Shape, oldW.Shape) || !slices.Equal(b.Shape, oldB.Shape):
			t.Why = fmt.Sprintf("its weights are %v here and %v there", w.Shape, oldW.Shape)
		default:
			copy(w.Data, oldW.Data)
			copy(b.Data, oldB.Data)
			t.Rows = t.Of
		}
		some = some || t.Rows > 0
		list = append(list, t)
	}
	if !some {
		return list, fmt.Errorf("no layer of %s has the name and the shape of one there", net.Name)
	}
	return list, nil
}

// lastLearner returns the index of the last layer with parameters, or -1.
func lastLearner(net *model.Net) int {
	for i := len(net.Layers) - 1; i >= 0; i-- {
		if _, ok := net.Layers[i].Params(); ok {
			return i
		}
	}
	return -1
}

// takeClasses copies the rows of classes that both know. Outputs beyond the
// classes stand for nothing, and start anew.
func takeClasses(w, b *checkpoint.Tensor, classes []string, oldW, oldB *checkpoint.Tensor, oldClasses []string) (rows int, why string) {
	known := map[string]int{}
	for i, c := range oldClasses {
		known[c] = i
	}
	width := len(w.Data) / w.Shape[0]
	for i, c := range classes {
		j, ok := known[c]
		if !ok || j >= oldW.Shape[0] || i >= w.Shape[0] {
			continue
		}
		copy(w.Data[i*width:(i+1)*width], oldW.Data[j*width:])
		b.Data[i] = oldB.Data[j]
		rows++
	}
	if rows == 0 {
		return 0, "none of its classes is known there"
	}
	return rows, "the others stand for no class that is known there"
}
