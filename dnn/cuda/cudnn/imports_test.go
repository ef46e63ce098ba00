package cudnn

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The bindings are for any program, so that nothing of this one but the packages
// below may come with them.
func TestBindingsImportNothingAboutNetworks(t *testing.T) {
	const module = "alexnet/"
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	todo := []string{"alexnet/dnn/cuda/cu", "alexnet/dnn/cuda/cudnn", "alexnet/dnn/cuda/cublaslt", "alexnet/dnn/cuda/nvrtc"}
	allowed := append(slices.Clone(todo), "alexnet/dnn/cuda/libraries", "alexnet/dnn/cuda/internal/cstring", "alexnet/internal/native", "alexnet/internal/handle")
	seen := map[string]bool{}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		dir := filepath.Join(root, strings.TrimPrefix(path, module))
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, f.Name()), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range parsed.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(imported, module) {
					continue
				}
				if !slices.Contains(allowed, imported) {
					t.Errorf("%s/%s imports %s", path, f.Name(), imported)
				}
				todo = append(todo, imported)
			}
		}
	}
	for _, path := range allowed {
		if !seen[path] {
			t.Errorf("%s is allowed, but not imported", path)
		}
	}
}
