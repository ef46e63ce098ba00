//go:build !amd64 && !arm64

package tile

func kernels() map[string]func(*Block) { return map[string]func(*Block){"go": (*Block).run} }
