package tile

// kernels returns every kernel that this machine can run.
func kernels() map[string]func(*Block) {
	list := map[string]func(*Block){"go": (*Block).run}
	with := func(wide, narrow bool) func(*Block) {
		return func(t *Block) {
			defer func(a, b bool) { has512, has256 = a, b }(has512, has256)
			has512, has256 = wide, narrow
			t.Run()
		}
	}
	if has512 {
		list["avx512"] = with(true, false)
	}
	if has256 {
		list["avx2"] = with(false, true)
	}
	return list
}
