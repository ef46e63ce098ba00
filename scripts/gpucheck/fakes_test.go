package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alexnet/loader/pack"
)

// What the part that is checked would find, as shell scripts. FAKE names what is
// wrong with them.
const (
	fakeStart = "#!/bin/sh\nis() { case \" $FAKE \" in *\" $1 \"*) return 0;; esac; return 1; }\n" +
		// hang tells the test that it is there, and starts a child; both hold the pipe open.
		"hang() { if is \"hang-$1\"; then exec 3>\"$PIPE\"; echo started >&3; sleep 3600 & wait; fi; }\n"

	fakeAlexnet = fakeStart + `
if [ "$1" = devices ]; then
	if is no-gpu; then
		cat <<'END'
{"cpu":{"os":"linux","arch":"amd64","cores":2,"matrix_products":"gonum"},"libraries":[
	{"name":"libcuda","missing":"the CUDA driver was not found\nTo get it: buy a GPU"},{"name":"libcudnn","missing":"nor cuDNN"}],"gpus":[]}
END
		exit
	fi
	if is broken-devices; then echo 'no such command' >&2; exit 2; fi
	model="NVIDIA H100 80GB HBM3"
	if is other-gpu; then model="NVIDIA|H100 80GB HBM3"; fi
	echo '{"cpu":{"os":"linux","arch":"amd64","cores":16,"matrix_products":"gonum"},"libraries":[
		{"name":"libcuda","version":"for CUDA 13.0","path":"/lib/libcuda.so.1"}],"gpus":[
		{"name":"cuda:0","model":"'"$model"'","memory_bytes":85520809984,"compute_capability":"9.0","pci_bus_id":"0000:01:00.0","peers":["cuda:1"]},
		{"name":"cuda:1","model":"'"$model"'","memory_bytes":85520809984,"compute_capability":"9.0","pci_bus_id":"0000:02:00.0","peers":["cuda:0"]}]}'
	exit
fi
all="$*"
while [ $# -gt 1 ]; do
	case "$1" in -batch) batch=$2;; -run) run=$2;; -out) out=$2;; -devices) devices=$2;; -precision) precision=$2;; -steps) steps=$2;; -seed) seed=$2;; esac
	shift
done
line() { echo "{\"kind\":\"$1\",\"step\":$2,\"epoch\":$2,\"loss\":$3,\"top1_error\":$4,\"top5_error\":0,\"rate\":0.01,\"images_per_second\":${5:-100}}" >>"$run/metrics.jsonl"; }
case "$all" in
"bench loader "*)
	if is slow-loader; then echo 'no records here' >&2; exit 1; fi
	if is dull-loader; then echo '{}'; exit; fi
	echo loader >>"$LOG"
	echo '{"batch":128,"cores":16,"images_per_second":50000}'
	;;
"bench "*-whole*)
	hang bench
	if is slow-fp32 && [ "$precision" = fp32 ]; then echo 'it does not fit' >&2; exit 1; fi
	if is mute-bench; then echo 'hello'; exit; fi
	if is dull-bench; then echo '{}'; exit; fi
	echo ours "$precision" >>"$LOG"
	speed=1000
	case "$all" in *-autotune=true*) speed=2000;; esac
	echo '{"batch":'$batch',"images_per_second":'$speed',"forward_ms":3,"backward_ms":7,"update_ms":1.5,"in_use_bytes":4294967296}'
	;;
"bench "*)
	hang operations
	if is no-operations; then echo '{"operations":[]}'; exit; fi
	echo '{"batch":'$batch',"step_ms":3.5,"ceilings":{"gflops":700000,"gbs":2500},"operations":[
		{"layer":"conv1","pass":"forward","what":"ConvForward","median":1,"min":0.9,"max":1.1,"gflop":27,"gb":0.2,"roofline":0.4,"repeats":1},
		{"layer":"fc6","pass":"update","what":"Update","median":3,"min":2.9,"max":3.1,"gb":0.75,"roofline":0.8,"repeats":7}]}'
	;;
pack*) mkdir -p "$out" ;;
dump-filters*) echo picture >"$out" ;;
plot*) # draws the names of what it is given
	all="${all#plot -out $out /}"
	echo "$all" | sed 's/ [/]/\n\//g' | sed 's/.*[/]//' | paste -sd, | sed 's/,/, /g' >"$out"
	;;
*small.net*) ;;
*cifar10-quick.net*)
	mkdir -p "$run"
	line train 100 2.1 0.8
	if is dull-cifar; then line test 100 2.2 0.9; else line test 100 1.1 0.25; fi
	;;
*curves.set*)
	hang curves
	case "$precision" in tf32) loss=6.05;; bf16) loss=6.15;; *) if [ "$seed" = 2 ]; then loss=6.2; else loss=6.0; fi;; esac
	if is no-bf16 && [ "$precision" = bf16 ]; then echo 'bf16 is too coarse' >&2; exit 1; fi
	mkdir -p "$run"
	for step in $(seq "$steps"); do
		if is stray-tf32 && [ "$precision" = tf32 ] && [ "$step" -gt 150 ]; then loss=6.5; fi
		line train "$step" "$loss" 0.9
	done
	if is wrong-graphs; then case "$all" in *-no-graphs*) sed -i 300d "$run/metrics.jsonl"; line train 300 7 0.9;; esac; fi
	if is rare-lines; then sed -i 1d "$run/metrics.jsonl"; fi
	;;
*endurance.set*)
	hang endurance
	if is crash-endurance; then echo 'out of luck' >&2; exit 3; fi
	mkdir -p "$run"
	# A second and a half: the test's seconds are short.
	for step in $(seq 30); do
		speed=2560
		if [ "$step" -eq 9 ]; then speed=1280; fi # a checkpoint
		if is tired && [ "$step" -gt 20 ]; then speed=2450; fi
		line train "$step" 6 0.9 "$speed"
	done
	if is short-endurance; then exit; fi
	trap 'echo the run is saved >&2; exit 1' INT
	if is rude; then trap 'exit 1' INT; fi
	if is broken-end; then trap 'echo the run is saved >&2; exit 2' INT; fi
	if is kind; then trap 'echo the run is saved >&2; exit 0' INT; fi
	while :; do sleep 0.05; done
	;;
*feeding-*.set*)
	hang feeding
	mkdir -p "$run"
	echo training "$precision" >>"$LOG"
	line train 25 6 0.9 100
	line train 50 6 0.9 100
	if is early-feeding; then exit; fi
	line train 51 6 0.9 950 # and three steps faster: 1900 in all
	line train 54 6 0.9 2850
	line train "$steps" 6 0.9 1900
	line test "$steps" 6 0.9 1
	;;
*repeated*)
	mkdir -p "$run"
	line train 200 6.1 0.99
	line test 200 6.0 0.98
	if is dull-learn; then exit; fi
	if is crash-learn; then echo 'out of luck' >&2; exit 3; fi
	line test 400 0.1 0.03
	trap 'echo the run is saved >&2; exit 1' INT
	while :; do sleep 0.05; done
	;;
*)
	hang train
	if is no-bf16 && [ "$precision" = bf16 ]; then echo 'bf16 is too coarse' >&2; exit 1; fi
	end=0
	if [ "$devices" != cpu ]; then
		case "$precision" in tf32) end=0001;; bf16) end=001;; *) end=000001;; esac
		if is same-tf32 && [ "$precision" = tf32 ]; then end=000001; fi
		if is wrong-losses && [ "$devices" = cuda:0,cuda:1 ]; then end=1; fi
	fi
	mkdir -p "$run"
	for step in $(seq "$steps"); do line train "$step" "6.$end" 0.9; done
	if is short-losses; then head -n 9 "$run/metrics.jsonl" >"$run/x"; mv "$run/x" "$run/metrics.jsonl"; fi
	;;
esac
`

	fakeTests = fakeStart + `
hang tests
echo "=== RUN   TestConv
=== RUN   TestConv/conv_sim
=== RUN   TestConv/conv_gpu"
if is failing-tests; then
	echo "    conv_test.go:7: element 3 is 1, want | 2
    --- FAIL: TestConv/conv_gpu (0.10s)
--- FAIL: TestConv (0.20s)"
elif is tests-elsewhere; then
	echo "    conv_test.go:5: needs a GPU
    --- SKIP: TestConv/conv_gpu (0.10s)
--- PASS: TestConv (0.20s)"
else
	echo "    --- PASS: TestConv/conv_gpu (0.10s)
--- PASS: TestConv (0.20s)"
fi
echo "    --- PASS: TestConv/conv_sim (0.10s)
=== RUN   TestPeers
    conv_test.go:9: needs 2 GPUs: there are 1
--- SKIP: TestPeers (0.00s)"
if is crashing-tests; then echo 'SIGSEGV: segmentation violation'; exit 2; fi
if is failing-tests; then exit 1; fi
`

	fakePython = fakeStart + `
all="$*"
if is no-torch; then echo '{"kind":"skipped","why":"cannot import torch"}'; sleep 3600; fi
hang python
echo '{"kind":"torch","version":"2.11.0","cuda":"13.0","cudnn":91900,"python":"python3","device":"H100"}'
if is garbled-python; then echo 'Traceback'; sleep 3600; fi
case "$all" in *--ceilings*)
	for precision in fp32 tf32 bf16; do
		case $precision in fp32) tflops=50;; tf32) tflops=400;; bf16) tflops=798;; esac
		echo "{\"kind\":\"matmul\",\"precision\":\"$precision\",\"size\":8192,\"tflops\":$tflops}"
	done
	if is weak-copy; then echo '{"kind":"failed","bytes":4294967296,"out_of_memory":true,"why":"out of memory"}'; echo '{"kind":"done"}'; exit; fi
	echo '{"kind":"copy","bytes":4294967296,"gb_per_second":3000}'
	echo '{"kind":"done"}'
	exit
	;;
esac
for precision in fp32 tf32 bf16; do
	case="\"mode\":\"eager\",\"precision\":\"$precision\",\"batch\":128"
	if is no-compile || { is no-tf32 && [ $precision = tf32 ]; }; then echo "{\"kind\":\"skipped\",$case,\"why\":\"no tf32 here\"}"; continue; fi
	for round in 1 2 3; do
		echo "{\"kind\":\"ready\",$case,\"round\":$round}"
		read -r _ || exit 4
		echo theirs $precision >>"$LOG"
		if is torch-memory && [ $precision = bf16 ]; then echo "{\"kind\":\"failed\",$case,\"why\":\"CUDA out of memory\"}"; break; fi
		echo "{\"kind\":\"step\",$case,\"round\":$round,\"images_per_second\":${round}000,\"layout\":\"channels_last\",\"peak_memory_bytes\":1048576,\"prepare_seconds\":2}"
	done
	if is dying-python; then echo 'Bus error' >&2; exit 5; fi
done
echo '{"kind":"done"}'
`

	fakeSMI = fakeStart + `
case "$*" in
*driver_version*) echo 580.95.05 ;;
*memory.used*--id=0000:01:00.0*)
	if is broken-smi; then echo 'Failed to initialize NVML' >&2; exit 9; fi
	if is mute-smi; then echo '[N/A]'; exit; fi
	if is gpu-leak; then echo >>"$LOG.smi"; echo $((4096 + 100 * $(wc -l <"$LOG.smi"))); exit; fi
	echo 4096
	;;
*) exit 2 ;;
esac
`

	fakeSanitizer = fakeStart + `
hang sanitizer
if is old-sanitizer; then echo '========= Error: Device not supported. Please refer to the documentation'; exit 1; fi
while [ "${1#/}" = "$1" ]; do shift; done
"$@" || exit
if is invalid-read; then echo '========= Invalid __global__ read of size 4 bytes
========= ERROR SUMMARY: 7 errors'; exit 86; fi
echo '========= ERROR SUMMARY: 0 errors'
`
)

// records is a data set of drawn pictures, which no test changes: enough that some
// passes of alexnet.net are not many thousand links.
var records string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gpucheck-records")
	if err == nil {
		records = filepath.Join(dir, "records")
		_, err = pack.Shapes(context.Background(), pack.Options{Out: records}, 1, 2000, 5)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// newCheck returns a check of fakes, and the file that they log to.
func newCheck(t *testing.T, faults string, only ...string) (*check, string) {
	t.Helper()
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write("alexnet", fakeAlexnet)
	write("dnn/cuda/cuda.test", fakeTests)
	net, err := os.ReadFile("../../alexnet.net")
	if err != nil {
		t.Fatal(err)
	}
	write("alexnet.net", string(net))
	write("path/python3", fakePython)
	write("path/compute-sanitizer", fakeSanitizer)
	write("path/nvidia-smi", fakeSMI)
	log := filepath.Join(dir, "log")
	t.Setenv("PATH", filepath.Join(dir, "path")+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("FAKE", faults)
	t.Setenv("LOG", log)
	return &check{
		folder: dir, data: records, cifar: records, out: filepath.Join(dir, "results"), python: "python3", only: only, log: t.Output(),
		second: 5 * time.Millisecond,
		timeout: func(ctx context.Context, _ time.Duration, _ error) (context.Context, context.CancelFunc) {
			return context.WithCancel(ctx) // no test goes by the clock
		},
	}, log
}

// logged returns the lines of the fakes' log.
func logged(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
