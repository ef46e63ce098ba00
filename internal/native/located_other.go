//go:build !linux

package native

func located(name string) string { return name }
