package native

import (
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// linkMap is the beginning of struct link_map in glibc's and musl's link.h.
type linkMap struct {
	_    uintptr // l_addr
	name *byte   // l_name, which ends with a zero byte
}

// dlinfo is the loader's function, or nil if it has none.
var dlinfo = sync.OnceValue(func() (f func(handle uintptr, request int32, info **linkMap) int32) {
	if address, err := purego.Dlsym(purego.RTLD_DEFAULT, "dlinfo"); err == nil {
		Func3(&f, "int dlinfo(void *handle, int request, void *info)").bind(address)
	}
	return f
})

// located returns the file that the loader took for name, links resolved, since
// a file's own name often has the whole version; where that cannot be told, name.
func located(handle uintptr, name string) string {
	const linkMapRequest = 2 // RTLD_DI_LINKMAP
	var m *linkMap
	if f := dlinfo(); f == nil || f(handle, linkMapRequest, &m) != 0 || m == nil || m.name == nil {
		return name
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(m.name), n)) != 0 {
		n++
	}
	path, err := filepath.EvalSymlinks(string(unsafe.Slice(m.name, n)))
	if err != nil {
		return name
	}
	if path, err = filepath.Abs(path); err != nil {
		return name
	}
	return path
}
