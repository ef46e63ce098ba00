package tile

// kernels returns every kernel that this machine can run.
func kernels() map[string]func(*Block) {
	return map[string]func(*Block){"go": (*Block).run, "neon": (*Block).Run}
}
