package train

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"alexnet/model"
)

// setting is a setting of the train or data block, as the language names it.
type setting struct {
	name string
	of   func(*model.Net) any
}

// settings are the settings that may change when a run goes on. The seed and the
// crop are not among them: the one fixes all random numbers of the run, the other
// is the size of the network's input.
var settings = []setting{
	{"train.batch", func(n *model.Net) any { return n.Train.Batch }},
	{"train.passes", func(n *model.Net) any { return n.Train.Passes }},
	{"train.rate", func(n *model.Net) any { return n.Train.Rate }},
	{"train.momentum", func(n *model.Net) any { return n.Train.Momentum }},
	{"train.decay", func(n *model.Net) any { return n.Train.Decay }},
	{"train.divide", func(n *model.Net) any { return n.Train.Divide }},
	{"train.at", func(n *model.Net) any { return n.Train.At }},
	{"data.mirror", func(n *model.Net) any { return n.Data.Mirror }},
	{"data.mean", func(n *model.Net) any { return n.Data.Mean }},
	{"data.color", func(n *model.Net) any { return [2]any{n.Data.Color, n.Data.Until} }},
	{"data.views", func(n *model.Net) any { return n.Data.Views }},
}

// changedSettings names the settings in which a run's network differs now from what
// it was, each with both values. The error names a difference that would make it
// another network or another run.
func changedSettings(old, now *model.Net) (changes []string, err error) {
	const another = "the train and data blocks may change when a run goes on; for another network start a new run from this one's weights (-init)"
	switch {
	case old.Input != now.Input:
		return nil, fmt.Errorf("the network's input was %v, and now it is %v: %s", old.Input, now.Input, another)
	case old.Columns != now.Columns:
		return nil, fmt.Errorf("the network had %d columns, and now it has %d: %s", old.Columns, now.Columns, another)
	case len(old.Layers) != len(now.Layers):
		return nil, fmt.Errorf("the network had %d layers, and now it has %d: %s", len(old.Layers), len(now.Layers), another)
	case old.Train.Seed != now.Train.Seed:
		return nil, fmt.Errorf("the seed was %d, and now it is %d: it cannot change when a run goes on, since all random numbers of the run are made from it", old.Train.Seed, now.Train.Seed)
	}
	for i, l := range old.Layers {
		if d := difference(l, now.Layers[i]); d != "" {
			return nil, fmt.Errorf("layer %s: %s: %s", l.Name, d, another)
		}
	}
	for _, s := range settings {
		if from, to := s.of(old), s.of(now); !reflect.DeepEqual(from, to) {
			changes = append(changes, fmt.Sprintf("%s=%s (before: %s)", s.name, written(to), written(from)))
		}
	}
	return changes, nil
}

// difference names the first field in which two layers differ, or returns "".
func difference(a, b *model.Layer) string {
	switch {
	case a.Name != b.Name:
		return fmt.Sprintf("its name is %s now", b.Name)
	case a.Spec.Kind() != b.Spec.Kind():
		return fmt.Sprintf("it was a %s, and now it is a %s", a.Spec.Kind(), b.Spec.Kind())
	case !slices.Equal(a.From, b.From):
		return "it reads other layers now"
	case a.Across != b.Across:
		return "only one of the two is across"
	}
	return differentField("", reflect.ValueOf(a.Spec), reflect.ValueOf(b.Spec))
}

// differentField compares two structs of one type, field by field.
func differentField(of string, a, b reflect.Value) string {
	for i := range a.NumField() {
		name := strings.TrimSpace(of + " " + strings.ToLower(a.Type().Field(i).Name))
		x, y := a.Field(i), b.Field(i)
		switch {
		case x.Kind() == reflect.Struct:
			if d := differentField(name, x, y); d != "" {
				return d
			}
		case !x.Equal(y):
			return fmt.Sprintf("its %s was %v, and now it is %v", name, x, y)
		}
	}
	return ""
}

// written returns a value of a setting as a network's file has it.
func written(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case [2]any: // colour noise
		if v[0] == 0.0 {
			return "none"
		}
		if v[1] == 0 {
			return fmt.Sprintf("pca %v", v[0])
		}
		return fmt.Sprintf("pca %v until %v", v[0], v[1])
	case []model.At:
		if len(v) == 0 {
			return "none"
		}
		var list []string
		for _, a := range v {
			list = append(list, a.String())
		}
		return strings.Join(list, "; ")
	}
	return fmt.Sprint(v)
}
