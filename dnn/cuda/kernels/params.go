package kernels

import (
	"fmt"
	"reflect"
	"unsafe"
)

// all is one of the arguments of each kernel.
var all = []Args{
	Input{}, Fit{}, LocalForward{}, LocalBackwardData{}, LocalBackwardWeights{}, SumColumns{}, AddBias{},
	MaxPoolForward{}, MaxPoolBackward{}, AvgPoolForward{}, AvgPoolBackward{},
	LRNAcrossForward{}, LRNAcrossBackward{}, LRNWithinForward{}, LRNWithinBackward{},
	Dropout{}, Scale{}, SoftmaxForward{}, SoftmaxStats{}, SoftmaxBackward{}, Slab{}, Update{},
	Convert{}, NarrowWeights{}, ScaleHalf{}, AddBiasHalf{}, DropoutHalf{}, SlabHalf{}, SumColumnsHalf{}, ActivationForwardHalf{}, ActivationBackwardHalf{},
	InputLast{}, FitLast{}, MaxPoolForwardLast{}, MaxPoolBackwardLast{}, AvgPoolForwardLast{}, AvgPoolBackwardLast{}, NormPoolForward{}, NormPoolBackward{},
}

// types are the structs by their kernels' names.
var types = func() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, a := range all {
		name, _, _ := a.Kernel()
		m[name] = reflect.TypeOf(a)
	}
	return m
}()

// Names returns the names of all kernels.
func Names() []string {
	names := make([]string, len(all))
	for i, a := range all {
		names[i], _, _ = a.Kernel()
	}
	return names
}

// New returns a pointer to the zero arguments of the named kernel.
func New(name string) (Args, error) {
	t, ok := types[name]
	if !ok {
		return nil, fmt.Errorf("no kernel is named %q", name)
	}
	return reflect.New(t).Interface().(Args), nil
}

// Params returns the address of each argument, as cuLaunchKernel takes them: of
// copies, which they keep alive.
func Params(a Args) []unsafe.Pointer {
	v := reflect.Indirect(reflect.ValueOf(a))
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	var list []unsafe.Pointer
	for _, f := range fields(own) {
		list = append(list, f.Addr().UnsafePointer())
	}
	return list
}

// Decode is the reverse of Params: it returns the arguments of the named kernel,
// as a struct and no pointer to one, from the addresses of each. There must be as
// many as the kernel has parameters.
func Decode(name string, params *unsafe.Pointer) (Args, error) {
	a, err := New(name)
	if err != nil {
		return nil, err
	}
	v := reflect.ValueOf(a).Elem()
	list := fields(v)
	if params == nil {
		return nil, fmt.Errorf("kernel %s: no arguments, but it has %d parameters", name, len(list))
	}
	for i, p := range unsafe.Slice(params, len(list)) {
		if p == nil {
			return nil, fmt.Errorf("kernel %s: argument %d of %d has no address", name, i, len(list))
		}
		list[i].Set(reflect.NewAt(list[i].Type(), p).Elem())
	}
	return v.Interface().(Args), nil
}

// fields returns the fields of a struct in order, those of structs inside it in
// their place.
func fields(v reflect.Value) []reflect.Value {
	var list []reflect.Value
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Struct {
			list = append(list, fields(f)...)
		} else {
			list = append(list, f)
		}
	}
	return list
}
