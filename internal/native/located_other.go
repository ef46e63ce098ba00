//go:build !linux

package native

func located(_ uintptr, name string) string { return name }
