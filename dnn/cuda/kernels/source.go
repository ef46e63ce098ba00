package kernels

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed common.cuh *.cu
var files embed.FS

// Source returns all kernels as one text of CUDA C++ that includes nothing. Its
// lines tell compilers which file they are of.
var Source = sync.OnceValue(func() string {
	names, err := fs.Glob(files, "*.cu")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	var b strings.Builder
	for _, name := range append([]string{"common.cuh"}, names...) {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // a file inside the program
		}
		fmt.Fprintf(&b, "#line 1 %q\n%s\n", name, text)
	}
	return b.String()
})
