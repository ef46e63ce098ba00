//go:build linux || darwin || freebsd || netbsd

package native

import (
	"runtime"

	"github.com/ebitengine/purego"
)

func open(path string) (uintptr, error) {
	runtime.LockOSThread() // the loader keeps the last error for each thread
	defer runtime.UnlockOSThread()
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbol(handle uintptr, name string) (uintptr, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return purego.Dlsym(handle, name)
}
