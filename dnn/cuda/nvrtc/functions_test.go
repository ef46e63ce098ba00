package nvrtc

import (
	"reflect"
	"testing"

	"alexnet/dnn/cuda/internal/prototype"
)

var rules = prototype.Rules{
	Prefix: "nvrtc",
	Types: map[string]reflect.Type{
		"nvrtcResult":  reflect.TypeFor[Result](),
		"nvrtcProgram": reflect.TypeFor[RawProgram](),
	},
}

func TestFunctionsAreAsTheirPrototypes(t *testing.T) {
	var f Functions
	rules.Test(t, &f, f.Bindings())
}

func TestPrototypesAreAsInTheHeader(t *testing.T) {
	prototype.TestHeader(t, new(Functions).Bindings(), "/usr/include/nvrtc.h", "/usr/local/cuda/include/nvrtc.h")
}
