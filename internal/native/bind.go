package native

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Binding is a Go function variable and the C function that it stands for.
type Binding struct {
	Prototype string // as the library's header has it, without macros
	Func      any    // pointer to the variable
	bind      func(address uintptr)
}

// Name returns the C function's name.
func (b Binding) Name() string {
	head, _, _ := strings.Cut(b.Prototype, "(")
	return head[strings.LastIndexAny(head, " *")+1:]
}

// Bind makes every function variable call the library.
func (l *Library) Bind(list []Binding) error {
	for _, b := range list {
		address, err := l.Symbol(b.Name())
		if err != nil {
			return err
		}
		b.bind(address)
	}
	return nil
}

// The C calling conventions that Go programs meet pass integers and pointers in
// whole words, whatever their width, and so do the functions below. They are
// one for each count of arguments because a variadic function, or reflection,
// would take memory at each call. Arguments that are floating-point numbers
// need [FuncFloat].

// most is the largest count of arguments.
const most = 18

// call holds the arguments of one call, on the heap, where they stay.
type call struct{ args [most]uintptr }

var calls = sync.Pool{New: func() any { return new(call) }}

func (c *call) to(address uintptr, count int) uintptr {
	r, _, _ := purego.SyscallN(address, c.args[:count]...)
	calls.Put(c)
	return r
}

// word returns an integer or a pointer as it goes into a register.
func word[T any](v T) uintptr {
	switch unsafe.Sizeof(v) {
	case 8:
		return uintptr(*(*uint64)(unsafe.Pointer(&v)))
	case 4:
		return uintptr(*(*uint32)(unsafe.Pointer(&v)))
	case 1:
		return uintptr(*(*uint8)(unsafe.Pointer(&v)))
	}
	panic(fmt.Sprintf("native: a %T is no integer and no pointer", v))
}

// result is the reverse of word.
func result[R any](w uintptr) (r R) {
	switch unsafe.Sizeof(r) {
	case 8:
		*(*uint64)(unsafe.Pointer(&r)) = uint64(w)
	case 4:
		*(*uint32)(unsafe.Pointer(&r)) = uint32(w)
	case 0:
	default:
		panic(fmt.Sprintf("native: a %T is no integer and no pointer", r))
	}
	return r
}

// None is the result of a function that has none.
type None struct{}

// FuncFloat binds a function with floating-point arguments. Its calls take
// memory.
func FuncFloat[F any](f *F, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) { purego.RegisterFunc(f, address) }}
}

// Func0 binds a function of 0 arguments.
func Func0[R any](f *func() R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func() R {
			c := calls.Get().(*call)
			r := result[R](c.to(address, 0))
			return r
		}
	}}
}

// Func1 binds a function of 1 argument.
func Func1[A0, R any](f *func(A0) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0) R {
			c := calls.Get().(*call)
			c.args[0] = word(a0)
			r := result[R](c.to(address, 1))
			runtime.KeepAlive(a0)
			return r
		}
	}}
}

// Func2 binds a function of 2 arguments.
func Func2[A0, A1, R any](f *func(A0, A1) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1] = word(a0), word(a1)
			r := result[R](c.to(address, 2))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			return r
		}
	}}
}

// Func3 binds a function of 3 arguments.
func Func3[A0, A1, A2, R any](f *func(A0, A1, A2) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2] = word(a0), word(a1), word(a2)
			r := result[R](c.to(address, 3))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			return r
		}
	}}
}

// Func4 binds a function of 4 arguments.
func Func4[A0, A1, A2, A3, R any](f *func(A0, A1, A2, A3) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3] = word(a0), word(a1), word(a2), word(a3)
			r := result[R](c.to(address, 4))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			return r
		}
	}}
}

// Func5 binds a function of 5 arguments.
func Func5[A0, A1, A2, A3, A4, R any](f *func(A0, A1, A2, A3, A4) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4] = word(a0), word(a1), word(a2), word(a3), word(a4)
			r := result[R](c.to(address, 5))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			return r
		}
	}}
}

// Func6 binds a function of 6 arguments.
func Func6[A0, A1, A2, A3, A4, A5, R any](f *func(A0, A1, A2, A3, A4, A5) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5)
			r := result[R](c.to(address, 6))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			return r
		}
	}}
}

// Func7 binds a function of 7 arguments.
func Func7[A0, A1, A2, A3, A4, A5, A6, R any](f *func(A0, A1, A2, A3, A4, A5, A6) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6)
			r := result[R](c.to(address, 7))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			return r
		}
	}}
}

// Func8 binds a function of 8 arguments.
func Func8[A0, A1, A2, A3, A4, A5, A6, A7, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7)
			r := result[R](c.to(address, 8))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			return r
		}
	}}
}

// Func9 binds a function of 9 arguments.
func Func9[A0, A1, A2, A3, A4, A5, A6, A7, A8, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8)
			r := result[R](c.to(address, 9))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			return r
		}
	}}
}

// Func10 binds a function of 10 arguments.
func Func10[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9)
			r := result[R](c.to(address, 10))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			return r
		}
	}}
}

// Func11 binds a function of 11 arguments.
func Func11[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10)
			r := result[R](c.to(address, 11))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			return r
		}
	}}
}

// Func12 binds a function of 12 arguments.
func Func12[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10, a11 A11) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10], c.args[11] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10), word(a11)
			r := result[R](c.to(address, 12))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			runtime.KeepAlive(a11)
			return r
		}
	}}
}

// Func13 binds a function of 13 arguments.
func Func13[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10, a11 A11, a12 A12) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10], c.args[11], c.args[12] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10), word(a11), word(a12)
			r := result[R](c.to(address, 13))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			runtime.KeepAlive(a11)
			runtime.KeepAlive(a12)
			return r
		}
	}}
}

// Func14 binds a function of 14 arguments.
func Func14[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10, a11 A11, a12 A12, a13 A13) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10], c.args[11], c.args[12], c.args[13] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10), word(a11), word(a12), word(a13)
			r := result[R](c.to(address, 14))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			runtime.KeepAlive(a11)
			runtime.KeepAlive(a12)
			runtime.KeepAlive(a13)
			return r
		}
	}}
}

// Func16 binds a function of 16 arguments.
func Func16[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10, a11 A11, a12 A12, a13 A13, a14 A14, a15 A15) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10], c.args[11], c.args[12], c.args[13], c.args[14], c.args[15] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10), word(a11), word(a12), word(a13), word(a14), word(a15)
			r := result[R](c.to(address, 16))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			runtime.KeepAlive(a11)
			runtime.KeepAlive(a12)
			runtime.KeepAlive(a13)
			runtime.KeepAlive(a14)
			runtime.KeepAlive(a15)
			return r
		}
	}}
}

// Func18 binds a function of 18 arguments.
func Func18[A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, R any](f *func(A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17) R, prototype string) Binding {
	return Binding{prototype, f, func(address uintptr) {
		*f = func(a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5, a6 A6, a7 A7, a8 A8, a9 A9, a10 A10, a11 A11, a12 A12, a13 A13, a14 A14, a15 A15, a16 A16, a17 A17) R {
			c := calls.Get().(*call)
			c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5], c.args[6], c.args[7], c.args[8], c.args[9], c.args[10], c.args[11], c.args[12], c.args[13], c.args[14], c.args[15], c.args[16], c.args[17] = word(a0), word(a1), word(a2), word(a3), word(a4), word(a5), word(a6), word(a7), word(a8), word(a9), word(a10), word(a11), word(a12), word(a13), word(a14), word(a15), word(a16), word(a17)
			r := result[R](c.to(address, 18))
			runtime.KeepAlive(a0)
			runtime.KeepAlive(a1)
			runtime.KeepAlive(a2)
			runtime.KeepAlive(a3)
			runtime.KeepAlive(a4)
			runtime.KeepAlive(a5)
			runtime.KeepAlive(a6)
			runtime.KeepAlive(a7)
			runtime.KeepAlive(a8)
			runtime.KeepAlive(a9)
			runtime.KeepAlive(a10)
			runtime.KeepAlive(a11)
			runtime.KeepAlive(a12)
			runtime.KeepAlive(a13)
			runtime.KeepAlive(a14)
			runtime.KeepAlive(a15)
			runtime.KeepAlive(a16)
			runtime.KeepAlive(a17)
			return r
		}
	}}
}
