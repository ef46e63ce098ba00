// Package fake fills tables of C functions with ones that do nothing but write
// down how they were called. Only tests import it.
package fake

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"alexnet/dnn/cuda/cu"
	"alexnet/dnn/cuda/internal/prototype"
	"alexnet/internal/native"
)

// Machine is a machine whose functions all succeed, unless Fail says otherwise.
type Machine struct {
	Driver *cu.Driver
	// Calls are the calls so far, as in
	//
	//	cudnnSetStream(handle 1, streamId 2) in 3
	//
	// where 3 is the context that was current, if one was. Functions that make
	// something give it the next number. Those that only tell something are left
	// out, and so is cuCtxSetCurrent.
	Calls   []string
	Current cu.CUContext      // tests may set it back to 0
	Fail    map[string]int32  // result of a function, by its C name
	Texts   map[string]string // result of a function that returns a text
	Hooks   map[string]Hook   // by C name
	Double  bool              // unsafe.Pointers are those of a float64, not of a float32
	made    uintptr           // number of the last thing that was made
	keep    []*byte           // texts that were returned
}

// Hook sees the arguments of a call, and may put results where they point. It
// comes before Fail is looked at.
type Hook func(args []reflect.Value)

// New returns a machine with a driver for CUDA 12.4.
func New(t testing.TB) *Machine {
	t.Helper()
	m := &Machine{Fail: map[string]int32{}, Texts: map[string]string{}, Hooks: map[string]Hook{}}
	m.Hooks["cuDriverGetVersion"] = func(args []reflect.Value) { args[0].Elem().SetInt(12040) }
	m.Hooks["cuCtxSetCurrent"] = func(args []reflect.Value) { m.Current = cu.CUContext(args[0].Uint()) }
	var f cu.Functions
	m.Fill(t, f.Bindings())
	var err error
	if m.Driver, err = cu.New(&f, "libcuda.so.1"); err != nil {
		t.Fatal(err)
	}
	m.Calls = nil
	return m
}

// Context returns a context of device number dev.
func (m *Machine) Context(t testing.TB, dev cu.Device) *cu.Context {
	t.Helper()
	c, err := m.Driver.PrimaryContext(dev)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Fill fills a table.
func (m *Machine) Fill(t testing.TB, bindings []native.Binding) {
	t.Helper()
	for _, b := range bindings {
		p, err := prototype.Parse(b.Prototype)
		if err != nil {
			t.Fatal(err)
		}
		f := reflect.ValueOf(b.Func).Elem()
		f.Set(reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
			return []reflect.Value{m.call(p, args, f.Type().Out(0))}
		}))
	}
}

// quiet are parts of the names of functions that Calls leaves out.
var quiet = []string{"cuCtxSetCurrent", "GetError", "GetLastError", "GetStatus", "GetVersion"}

func (m *Machine) call(p prototype.Prototype, args []reflect.Value, result reflect.Type) reflect.Value {
	if !slices.ContainsFunc(quiet, func(s string) bool { return strings.Contains(p.Name, s) }) {
		m.Calls = append(m.Calls, m.text(p, args))
	}
	if hook := m.Hooks[p.Name]; hook != nil {
		hook(args)
	}
	if code, ok := m.Fail[p.Name]; ok {
		return reflect.ValueOf(code).Convert(result)
	}
	if strings.Contains(p.Name, "Create") || strings.Contains(p.Name, "Retain") {
		m.made++
		args[0].Elem().SetUint(uint64(m.made))
	}
	if text, ok := m.Texts[p.Name]; ok {
		p := &append([]byte(text), 0)[0]
		m.keep = append(m.keep, p)
		return reflect.ValueOf(p)
	}
	return reflect.Zero(result)
}

func (m *Machine) text(p prototype.Prototype, args []reflect.Value) string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = p.Params[i].Name
		switch {
		case a.Kind() == reflect.UnsafePointer && i+1 < len(args) && p.Params[i+1].Name == "sizeInBytes":
			bytes := slices.Clone(unsafe.Slice((*byte)(a.UnsafePointer()), args[i+1].Uint()))
			slices.Reverse(bytes) // so that they read as a number
			list[i] += fmt.Sprintf(" %#x", bytes)
		case a.Kind() == reflect.UnsafePointer && a.IsNil():
			list[i] += " nil"
		case a.Kind() == reflect.UnsafePointer && m.Double:
			list[i] += fmt.Sprintf(" %g", *(*float64)(a.UnsafePointer()))
		case a.Kind() == reflect.UnsafePointer:
			list[i] += fmt.Sprintf(" %g", *(*float32)(a.UnsafePointer()))
		case a.Kind() != reflect.Pointer:
			list[i] += fmt.Sprintf(" %v", number(a))
		}
	}
	s := fmt.Sprintf("%s(%s)", p.Name, strings.Join(list, ", "))
	if m.Current != 0 {
		s += fmt.Sprintf(" in %d", m.Current)
	}
	return s
}

func number(v reflect.Value) any {
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	}
	return v.Interface()
}
