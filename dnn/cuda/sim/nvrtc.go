package sim

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"alexnet/dnn/cuda/internal/cstring"
	"alexnet/dnn/cuda/nvrtc"
)

// NVRTC returns the functions of libnvrtc. The compiler looks for what a program
// is likely to do wrong; of the code it takes the names of the kernels.
func (m *Machine) NVRTC() *nvrtc.Functions {
	return &nvrtc.Functions{
		GetErrorString: nvrtcErrorString, Version: m.nvrtcVersion,
		CreateProgram: m.createProgram, DestroyProgram: m.destroyProgram, CompileProgram: m.compileProgram,
		GetProgramLogSize: func(p nvrtc.RawProgram, n *uintptr) nvrtc.Result { return m.programSize(p, n, (*program).text) },
		GetProgramLog:     func(p nvrtc.RawProgram, to *byte) nvrtc.Result { return m.programCopy(p, to, (*program).text) },
		GetCUBINSize:      func(p nvrtc.RawProgram, n *uintptr) nvrtc.Result { return m.programSize(p, n, (*program).code) },
		GetCUBIN:          func(p nvrtc.RawProgram, to *byte) nvrtc.Result { return m.programCopy(p, to, (*program).code) },
	}
}

// Results that package nvrtc does not name.
const (
	nvrtcInvalidProgram nvrtc.Result = 4
	nvrtcInvalidOption  nvrtc.Result = 5
)

func nvrtcErrorString(r nvrtc.Result) *byte {
	names := map[nvrtc.Result]string{
		nvrtc.Success: "NVRTC_SUCCESS", nvrtc.ErrorOutOfMemory: "NVRTC_ERROR_OUT_OF_MEMORY", nvrtc.ErrorInvalidInput: "NVRTC_ERROR_INVALID_INPUT",
		nvrtcInvalidProgram: "NVRTC_ERROR_INVALID_PROGRAM", nvrtcInvalidOption: "NVRTC_ERROR_INVALID_OPTION", nvrtc.ErrorCompilation: "NVRTC_ERROR_COMPILATION"}
	if name := names[r]; name != "" {
		return text(name)
	}
	return text("NVRTC_ERROR unknown")
}

func (m *Machine) nvrtcVersion(major, minor *int32) nvrtc.Result {
	if major == nil || minor == nil {
		return nvrtc.ErrorInvalidInput
	}
	*major, *minor = 12, 4
	if m.isOld(nameNVRTC) {
		*major, *minor = 11, 8
	}
	return nvrtc.Success
}

// program is a program for the GPU.
type program struct {
	source, name string
	headers      []string // their names
	log          string
	cubin        []byte
}

func (p *program) text() []byte { return append([]byte(p.log), 0) }
func (p *program) code() []byte { return p.cubin }

func (m *Machine) createProgram(p *nvrtc.RawProgram, source, name *byte, count int32, headers, names **byte) nvrtc.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == nil || source == nil || count < 0 || count > 0 && (headers == nil || names == nil) {
		return nvrtc.ErrorInvalidInput
	}
	prog := &program{source: cstring.Copy(source), name: cstring.Copy(name)}
	if prog.name == "" {
		prog.name = "default_program"
	}
	if count > 0 {
		for _, n := range unsafe.Slice(names, count) {
			prog.headers = append(prog.headers, cstring.Copy(n))
		}
	}
	*p = nvrtc.RawProgram(m.issue(prog, "NVRTC program %s", prog.name))
	return nvrtc.Success
}

func (m *Machine) destroyProgram(p *nvrtc.RawProgram) nvrtc.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == nil || !drop[*program](m, uintptr(*p)) {
		return nvrtcInvalidProgram
	}
	*p = 0
	return nvrtc.Success
}

func (m *Machine) programSize(raw nvrtc.RawProgram, bytes *uintptr, of func(*program) []byte) nvrtc.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := find[*program](m, uintptr(raw))
	switch {
	case !ok:
		return nvrtcInvalidProgram
	case bytes == nil:
		return nvrtc.ErrorInvalidInput
	}
	*bytes = uintptr(len(of(p)))
	return nvrtc.Success
}

func (m *Machine) programCopy(raw nvrtc.RawProgram, to *byte, of func(*program) []byte) nvrtc.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := find[*program](m, uintptr(raw))
	switch {
	case !ok:
		return nvrtcInvalidProgram
	case to == nil || len(of(p)) == 0:
		return nvrtc.ErrorInvalidInput
	}
	copy(unsafe.Slice(to, len(of(p))), of(p))
	return nvrtc.Success
}

// architecture is what code must be compiled for to run on the GPUs.
var architecture = fmt.Sprintf("sm_%d%d", computeMajor, computeMinor)

// architectures are what NVRTC 12.4 compiles for.
var architectures = []string{"50", "52", "53", "60", "61", "62", "70", "72", "75", "80", "86", "87", "89", "90", "90a"}

// Options of NVRTC: those that have a value, and those that have none or one of
// true and false.
var (
	valueOptions = []string{"--gpu-architecture", "-arch", "--std", "-std", "--fmad", "-fmad", "--maxrregcount", "-maxrregcount",
		"--include-path", "-I", "--define-macro", "-D", "--undefine-macro", "-U", "--pre-include", "-include", "--diag-suppress", "-diag-suppress"}
	plainOptions = []string{"--use_fast_math", "-use_fast_math", "--ftz", "-ftz", "--prec-sqrt", "-prec-sqrt", "--prec-div", "-prec-div",
		"--device-debug", "-G", "--generate-line-info", "-lineinfo", "--device-as-default-execution-space", "-default-device",
		"--restrict", "-restrict", "--extra-device-vectorization", "-extra-device-vectorization", "--disable-warnings", "-w",
		"--relocatable-device-code", "-rdc", "--minimal", "-minimal"}
)

// option reads an option and returns the architecture that it names, if any. The
// error is NVRTC's words.
func option(s string) (arch string, err error) {
	name, value, hasValue := strings.Cut(s, "=")
	for _, short := range []string{"-I", "-D", "-U"} { // whose value may follow at once
		if strings.HasPrefix(s, short) && len(s) > len(short) {
			return "", nil
		}
	}
	switch {
	case slices.Contains(valueOptions, name) && !hasValue,
		slices.Contains(plainOptions, name) && hasValue && value != "true" && value != "false",
		!slices.Contains(valueOptions, name) && !slices.Contains(plainOptions, name):
		return "", fmt.Errorf("nvrtc: error: unrecognized option %s found", s)
	case name == "--gpu-architecture" || name == "-arch":
		kind, number, _ := strings.Cut(value, "_")
		if kind != "sm" && kind != "compute" || !slices.Contains(architectures, number) {
			return "", fmt.Errorf("nvrtc: error: invalid value for --gpu-architecture (-arch)")
		}
		return value, nil
	case (name == "--std" || name == "-std") && !slices.Contains([]string{"c++03", "c++11", "c++14", "c++17", "c++20"}, value):
		return "", fmt.Errorf("nvrtc: error: invalid value for --std (-std)")
	}
	return "", nil
}

func (m *Machine) compileProgram(raw nvrtc.RawProgram, count int32, options **byte) nvrtc.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := find[*program](m, uintptr(raw))
	switch {
	case !ok:
		return nvrtcInvalidProgram
	case count < 0 || count > 0 && options == nil:
		return nvrtc.ErrorInvalidInput
	}
	p.log, p.cubin = "", nil
	arch := "compute_52"
	if count > 0 {
		for _, o := range unsafe.Slice(options, count) {
			a, err := option(cstring.Copy(o))
			if err != nil {
				p.log = err.Error() + "\n"
				return nvrtcInvalidOption
			}
			if a != "" {
				arch = a
			}
		}
	}
	c := compilation{program: p, file: p.name}
	code := c.read()
	if c.errors > 0 {
		fmt.Fprintf(&c.log, "\n%d error%s detected in the compilation of %q.\n", c.errors, map[bool]string{true: "", false: "s"}[c.errors == 1], p.name)
		p.log = c.log.String()
		return nvrtc.ErrorCompilation
	}
	var kernels []string
	for _, match := range kernelPattern.FindAllStringSubmatch(code, -1) {
		kernels = append(kernels, match[1])
	}
	if strings.HasPrefix(arch, "sm_") { // there is no machine code for others
		p.cubin = newCubin(arch, kernels)
	}
	return nvrtc.Success
}

// kernelPattern finds kernels that go by their own names.
var kernelPattern = regexp.MustCompile(`extern\s*"C"\s*__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(`)

// compilation reads a program.
type compilation struct {
	*program
	file   string
	line   int
	errors int
	log    strings.Builder
}

func (c *compilation) fail(format string, args ...any) {
	c.errors++
	fmt.Fprintf(&c.log, "%s(%d): error: %s\n", c.file, c.line, fmt.Sprintf(format, args...))
}

var linePattern = regexp.MustCompile(`^(\d+)(?:\s+"([^"]*)")?`)

// read returns the code without comments, and notes what is wrong with it: #error,
// #include of what there is not, and brackets that do not match.
func (c *compilation) read() string {
	type bracket struct {
		r    rune
		line int
	}
	var open []bracket
	var code strings.Builder
	for line := range strings.SplitSeq(withoutComments(c.source), "\n") {
		c.line++
		code.WriteString(line + "\n")
		if word, rest, ok := directive(line); ok {
			switch word {
			case "error":
				c.fail("#error directive: %s", rest)
			case "include":
				if name := strings.Trim(rest, `<>"`); !slices.Contains(c.headers, name) {
					c.fail("cannot open source file %q", name)
				}
			case "line":
				if m := linePattern.FindStringSubmatch(rest); m != nil {
					if n, err := strconv.Atoi(m[1]); err == nil {
						c.line = n - 1
					}
					if m[2] != "" {
						c.file = filepath.ToSlash(m[2])
					}
				}
			}
			continue
		}
		for _, r := range withoutText(line) {
			switch r {
			case '(', '[', '{':
				open = append(open, bracket{r, c.line})
			case ')', ']', '}':
				if len(open) == 0 || !strings.ContainsRune("()[]{}", r) || open[len(open)-1].r != map[rune]rune{')': '(', ']': '[', '}': '{'}[r] {
					c.fail("expected a declaration before %q", r)
					return code.String()
				}
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) > 0 {
		last := open[len(open)-1]
		c.line = last.line
		c.fail("%q has no partner", last.r)
	}
	return code.String()
}

// directive splits a line for the preprocessor.
func directive(line string) (word, rest string, ok bool) {
	line, ok = strings.CutPrefix(strings.TrimSpace(line), "#")
	if !ok {
		return "", "", false
	}
	word, rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	return word, strings.TrimSpace(rest), true
}

var (
	commentPattern = regexp.MustCompile(`(?s)"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/`)
	textPattern    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)+'`)
)

// withoutComments keeps the ends of lines.
func withoutComments(source string) string {
	return commentPattern.ReplaceAllStringFunc(source, func(s string) string {
		if s[0] == '"' {
			return s
		}
		return " " + strings.Repeat("\n", strings.Count(s, "\n"))
	})
}

func withoutText(line string) string { return textPattern.ReplaceAllString(line, `""`) }
