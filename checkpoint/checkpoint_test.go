package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func sample() *Checkpoint {
	return &Checkpoint{
		State: State{
			Net: "net tiny\n\ninput 3x8x8 # \"<é>\"\n", Step: math.MaxInt64, Seed: math.MaxUint64, Batch: 128,
			Schedule: `{"rate":0.01}`, Dataset: "sha256:00ff", Classes: []string{"cat", "a \"dog\""}, Loss: math.NaN(), Top1Error: 0.1,
		},
		Tensors: []Tensor{
			{"conv1.weight", []int{2, 1, 1, 3}, []float32{1, -2.5, 1e-30, -math.MaxFloat32, math.SmallestNonzeroFloat32, math.MaxFloat32}},
			{"conv1.bias", []int{2}, []float32{0, float32(math.Copysign(0, -1))}},
			{"empty", []int{0, 7}, []float32{}},
			{"momentum.conv1.weight", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
			{"scalar", []int{}, []float32{math.Float32frombits(0x00412345)}},
		},
	}
}

// same compares bits: a loss of NaN equals NaN, and 0 is not -0.
func same(a, b *Checkpoint) error {
	sa, sb := a.State, b.State
	if math.Float64bits(sa.Loss) != math.Float64bits(sb.Loss) || math.Float64bits(sa.Top1Error) != math.Float64bits(sb.Top1Error) {
		return fmt.Errorf("loss and error %v %v became %v %v", sa.Loss, sa.Top1Error, sb.Loss, sb.Top1Error)
	}
	sa.Loss, sa.Top1Error, sb.Loss, sb.Top1Error = 0, 0, 0, 0
	if !reflect.DeepEqual(sa, sb) {
		return fmt.Errorf("state\n%+v became\n%+v", sa, sb)
	}
	if len(a.Tensors) != len(b.Tensors) {
		return fmt.Errorf("%d tensors became %d", len(a.Tensors), len(b.Tensors))
	}
	for i, t := range a.Tensors {
		u := b.Tensors[i]
		bitwise := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
		if t.Name != u.Name || !slices.Equal(t.Shape, u.Shape) || !slices.EqualFunc(t.Data, u.Data, bitwise) {
			return fmt.Errorf("tensor %+v became %+v", t, u)
		}
	}
	return nil
}

func mustEncode(t testing.TB, c *Checkpoint) []byte {
	t.Helper()
	h, err := c.header()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := encode(&b, h, c.Tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file puts a header and data together as the format says, sound or not.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func decodeBytes(b []byte) (*Checkpoint, error) {
	return decode(bytes.NewReader(b), int64(len(b)), anything)
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	want := sample()
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(want, got); err != nil {
		t.Error(err)
	}
	s, err := ReadState(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(&Checkpoint{State: want.State}, &Checkpoint{State: s}); err != nil {
		t.Error(err)
	}
	// Written again, from either, it is the same bytes.
	for i, c := range []*Checkpoint{want, got, sample()} {
		if !bytes.Equal(mustEncode(t, c), mustEncode(t, want)) {
			t.Errorf("encoding %d differs", i)
		}
	}
	if names := list(t, dir); !slices.Equal(names, []string{"a.safetensors"}) {
		t.Errorf("the folder holds %v", names)
	}
}

func TestRoundTripOverChunks(t *testing.T) {
	big := make([]float32, 2*chunk+5)
	for i := range big {
		big[i] = float32(i)
	}
	want := &Checkpoint{Tensors: []Tensor{{"a", []int{3}, []float32{7, 8, 9}}, {"b", []int{len(big)}, big}, {"c", []int{chunk}, big[:chunk]}}}
	got, err := decodeBytes(mustEncode(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if err := same(want, got); err != nil {
		t.Error("not the same (too long to print)")
	}
}

// reader is another reading of the published format, as simple as can be.
func reader(t *testing.T, b []byte) (meta map[string]string, tensors map[string][]float32, shapes map[string][]int) {
	t.Helper()
	n := binary.LittleEndian.Uint64(b)
	if n%8 != 0 {
		t.Errorf("the header has %d bytes, want a multiple of 8", n)
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(b[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	data := b[8+n:]
	tensors, shapes = map[string][]float32{}, map[string][]int{}
	for name, raw := range header {
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &meta); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var e struct {
			Dtype       string
			Shape       *[]int
			DataOffsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		if e.Dtype != "F32" || e.Shape == nil {
			t.Fatalf("%s is %s", name, raw)
		}
		tensors[name], shapes[name] = []float32{}, *e.Shape
		for i := e.DataOffsets[0]; i < e.DataOffsets[1]; i += 4 {
			tensors[name] = append(tensors[name], math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
		}
	}
	return meta, tensors, shapes
}

func TestAnotherReaderAgrees(t *testing.T) {
	want := sample()
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	meta, tensors, shapes := reader(t, b)
	wantMeta := map[string]string{
		"alexnet": "2", "net": want.Net, "step": "9223372036854775807", "images": "0", "seed": "18446744073709551615", "batch": "128",
		"schedule": `{"rate":0.01}`, "dataset": "sha256:00ff", "classes": `["cat","a \"dog\""]`, "loss": "NaN", "top1_error": "0.1",
		"crc32c": checksums(b),
	}
	if !reflect.DeepEqual(meta, wantMeta) {
		t.Errorf("metadata is %q\nwant %q", meta, wantMeta)
	}
	if len(tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(tensors), len(want.Tensors))
	}
	got := &Checkpoint{State: want.State}
	for _, u := range want.Tensors {
		got.Tensors = append(got.Tensors, Tensor{u.Name, shapes[u.Name], tensors[u.Name]})
	}
	if err := same(want, got); err != nil {
		t.Error(err)
	}
}

// checksums computes the checksums of a file as the package's documentation says.
func checksums(b []byte) string {
	n := 8 + binary.LittleEndian.Uint64(b)
	crc := func(b []byte) string {
		return fmt.Sprintf("%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	}
	var header struct {
		Metadata struct{ CRC32C string } `json:"__metadata__"`
	}
	if err := json.Unmarshal(b[8:n], &header); err != nil {
		return err.Error()
	}
	own := header.Metadata.CRC32C
	sums := []string{crc(bytes.Replace(b[:n], []byte(own[:8]), []byte("00000000"), 1))}
	spans := regexp.MustCompile(`"data_offsets":\[(\d+),(\d+)\]`).FindAllSubmatch(b[:n], -1)
	for _, s := range spans {
		begin, _ := strconv.Atoi(string(s[1]))
		end, _ := strconv.Atoi(string(s[2]))
		sums = append(sums, crc(b[int(n)+begin:int(n)+end]))
	}
	return strings.Join(sums, " ")
}

// The bytes of a small file, written out by hand.
func TestBytes(t *testing.T) {
	got := mustEncode(t, &Checkpoint{Tensors: []Tensor{{Name: "a", Data: []float32{1}}}})
	want := "\x68\x00\x00\x00\x00\x00\x00\x00" + `{"__metadata__":{"crc32c":"c9a5f9a2 dd54c4ab"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}     ` + "\x00\x00\x80\x3f"
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := mustEncode(t, &Checkpoint{}), "\x28\x00\x00\x00\x00\x00\x00\x00"+`{"__metadata__":{"crc32c":"ba9a1fc6"}}  `; string(got) != want {
		t.Errorf("nothing: got %q, want %q", got, want)
	}
}

func TestLongestHeader(t *testing.T) {
	b := make([]byte, 8+maxHeader+1)
	if _, err := frame(b); err == nil || !strings.Contains(err.Error(), "safetensors allows 100000000") {
		t.Errorf("one byte more than allowed: %v", err)
	}
	if _, err := frame(b[:8+maxHeader]); err != nil || binary.LittleEndian.Uint64(b) != maxHeader {
		t.Errorf("as many bytes as allowed: %v, length %d", err, binary.LittleEndian.Uint64(b))
	}
}

func TestForeignFiles(t *testing.T) {
	// Tensors in any order of the header; metadata of others, or none.
	for _, header := range []string{
		`{"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"__metadata__":{"format":"pt","step":"x"}}`,
		` {"a" : {"data_offsets":[0,4],"shape":[1,1],"dtype":"F32"}, "b" : {"data_offsets":[4,12],"shape":[2],"dtype":"F32","more":1}}` + "\n ",
	} {
		c, err := decodeBytes(file(header, 12))
		if err != nil {
			t.Errorf("%s: %v", header, err)
			continue
		}
		want := &Checkpoint{Tensors: []Tensor{{"a", []int{1, 1}, []float32{0}}, {"b", []int{2}, []float32{0, 0}}}}
		if strings.Contains(header, "__metadata__") {
			want.Notes = map[string]string{"format": "pt", "step": "x"}
			if again, err := decodeBytes(mustEncode(t, c)); err != nil || same(want, again) != nil {
				t.Errorf("%s: written again: %v", header, errors.Join(err, same(want, again)))
			}
		}
		if err := same(want, c); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	ours := func(change func(map[string]string)) string {
		m, err := sample().metadata()
		if err != nil {
			t.Fatal(err)
		}
		m["alexnet"] = "1" // without checksums
		change(m)
		b, _ := json.Marshal(map[string]any{"__metadata__": m})
		return string(b)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string // part of the message
	}{
		{"empty", nil, "byte 0: the file has 0 bytes"},
		{"seven bytes", make([]byte, 7), "byte 0: the file has 7 bytes"},
		{"no header", file("", 0), "byte 8: is not a JSON object"},
		{"header of 2^60", binary.LittleEndian.AppendUint64(nil, 1<<60), "length is given as 1152921504606846976"},
		{"header of 2^64-1", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "length is given as 18446744073709551615"},
		{"header beyond the file", binary.LittleEndian.AppendUint64(nil, 1000), "the file has only 8 bytes"},
		{"PyTorch zip", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), "no safetensors file"},
		{"array", file(`[1]`, 0), "byte 9: is not a JSON object"},
		{"not UTF-8", file("{\"\xff\":1}", 0), "not UTF-8"},
		{"JSON cut short", file(`{`+a, 8), "header: byte "},
		{"JSON cut in a name", file(`{"a`, 8), "header: byte 9"},
		{"after the JSON", file(`{`+a+`} x`, 8), "byte 63: something follows"},
		{"entry no object", file(`{"a":[]}`, 0), `byte 9: "a": json: cannot unmarshal array`},
		{"F16", file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 4), `"a": dtype is "F16", and only F32 is read: convert`},
		{"BF16", file(`{`+a+`,"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}`, 12), `byte 61: "b": dtype is "BF16"`},
		{"no shape", file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "has no shape"},
		{"no offsets", file(`{"a":{"dtype":"F32","shape":[1]}}`, 4), "data_offsets is []"},
		{"three offsets", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4), "data_offsets is [0 4 8]"},
		{"backwards", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "data_offsets is [4 0]"},
		{"before the data", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), "data_offsets is [-4 0]"},
		{"beyond int64", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[9223372036854775803,9223372036854775807]}}`, 4), "beyond any file"},
		{"negative dimension", file(`{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}`, 8), "negative dimension"},
		{"product overflows", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "more elements than this machine can address"},
		{"shape and span differ", file(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "shape [3] needs 12 bytes, and data_offsets [0 8] are 8"},
		{"fractional shape", file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}`, 8), "cannot unmarshal number 1.5"},
		{"name twice", file(`{`+a+`,"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), `byte 61: "a" is there twice`},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "is there twice"},
		{"metadata of numbers", file(`{"__metadata__":{"step":3}}`, 0), "cannot unmarshal number"},
		{"overlap", file(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), `tensor "b": starts at byte 120, inside of what lies before it (up to byte 124)`},
		{"same span", file(`{`+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), "inside of what lies before it"},
		{"gap", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "no gap"},
		{"beyond the file", file(`{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}`, 8), `tensor "a": ends at byte 4000000080, and the file at byte 88`},
		{"trailing bytes", file(`{`+a+`}`, 9), "byte 70: the last tensor ends here, and the file has 71 bytes"},
		{"newer version", file(ours(func(m map[string]string) { m["alexnet"] = "3" }), 0), `version "3"`},
		{"no checksums", file(ours(func(m map[string]string) { m["alexnet"] = "2" }), 0), `no "crc32c"`},
		{"no step", file(ours(func(m map[string]string) { delete(m, "step") }), 0), `no "step"`},
		{"bad seed", file(ours(func(m map[string]string) { m["seed"] = "-1" }), 0), `"seed": strconv.ParseUint`},
		{"bad classes", file(ours(func(m map[string]string) { m["classes"] = "cat" }), 0), `"classes": invalid character`},
		{"checksums of another header", file(ours(func(m map[string]string) { m["crc32c"] = "00000000" }), 0), "header: does not have the checksum that was written with it"},
		{"checksums of other tensors", file(ours(func(m map[string]string) { m["crc32c"] = "00000000 00000000" }), 0), "header: does not have the checksum"},
		{"checksums cut short", file(ours(func(m map[string]string) { m["crc32c"] = "0" }), 0), "header: does not have the checksum"},
		{"empty net", file(ours(func(m map[string]string) { m["net"] = "" }), 0), `"net": is empty`},
	} {
		if got, err := decodeBytes(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v\nwant an error with %q", c.name, got, err, c.want)
		}
	}
}

func TestReadNamesThePath(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), dir+": is not a file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := ReadState(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("absent: %v", err)
	}
	path := filepath.Join(dir, "cut")
	if err := os.WriteFile(path, mustEncode(t, sample())[:100], 0o666); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{second(Read(path)), second(ReadState(path))} {
		if err == nil || !strings.Contains(err.Error(), path+": byte 0: ") {
			t.Errorf("cut short: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Cut at any byte, or with one added, the file is refused.
func TestTruncated(t *testing.T) {
	whole := mustEncode(t, sample())
	for n := range whole {
		if _, err := decodeBytes(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
	if _, err := decodeBytes(append(whole, 0)); err == nil {
		t.Error("a byte too many was accepted")
	}
}

// Any flipped bit is an error, in the header and in the numbers.
func TestFlippedBits(t *testing.T) {
	whole := mustEncode(t, sample())
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeBytes(b); err == nil {
			t.Fatalf("bit %d of byte %d was flipped, and the file was accepted", bit%8, bit/8)
		}
	}
}

// Damage to numbers names the tensor, whoever reads it.
func TestDamageNamesTheTensor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	b := mustEncode(t, sample())
	b[len(b)-5] ^= 1 // the last number but one
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, err := range []error{second(Read(path)), f.Verify(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `tensor "momentum.conv1.weight", bytes `) {
			t.Errorf("the error is %v", err)
		}
	}
	if _, err := ReadState(path); err != nil {
		t.Errorf("the header is sound: %v", err)
	}
}

func TestFilesWithoutChecksumsAreRead(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"of an earlier version", file(`{"__metadata__":{"alexnet":"1","net":"x","step":"1","seed":"1","batch":"1","schedule":"","dataset":"","classes":"null","loss":"1","top1_error":"1"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)},
		{"of others", file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4)},
	} {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, c.file, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(t.Context()); err != nil || f.Summed() {
			t.Errorf("%s: error %v, checksums %v", c.name, err, f.Summed())
		}
		f.Close()
	}
}

// Numbers that are not finite are neither written nor read.
func TestNotFinite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		const want = `tensor "conv1.weight": number 1 is `
		c := &Checkpoint{Tensors: []Tensor{{"conv1.weight", []int{3}, []float32{1, float32(v), 1}}}}
		if err := Write(path, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%g was written: %v", v, err)
		}
		b := file(`{"conv1.weight":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}`, 12)
		binary.LittleEndian.PutUint32(b[len(b)-8:], math.Float32bits(float32(v)))
		if _, err := decodeBytes(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%g was read: %v", v, err)
		}
		w, err := Create(path, nil, c.Tensors)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(0, c.Tensors[0].Data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%g was appended: %v", v, err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	if names := list(t, filepath.Dir(path)); len(names) > 0 {
		t.Errorf("%v is left", names)
	}
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("older"), 0o666); err != nil {
		t.Fatal(err)
	}
	one := []float32{1}
	for _, c := range []struct {
		name string
		c    Checkpoint
		want string
	}{
		{"two of a name", Checkpoint{Tensors: []Tensor{{"w", nil, one}, {"w", nil, one}}}, `tensor "w": there are two`},
		{"no name", Checkpoint{Tensors: []Tensor{{"", nil, one}}}, "cannot be the name"},
		{"the metadata's name", Checkpoint{Tensors: []Tensor{{"__metadata__", nil, one}}}, "cannot be the name"},
		{"name not UTF-8", Checkpoint{Tensors: []Tensor{{"\xff", nil, one}}}, "cannot be the name"},
		{"too few", Checkpoint{Tensors: []Tensor{{"w", []int{2, 2}, one}}}, "shape [2 2] makes 4 elements, and there are 1"},
		{"negative", Checkpoint{Tensors: []Tensor{{"w", []int{-1}, one}}}, "negative"},
		{"overflow", Checkpoint{Tensors: []Tensor{{"w", []int{math.MaxInt, 2}, one}}}, "more elements"},
		{"state without net", Checkpoint{State: State{Step: 3}}, "no network text"},
		{"net not UTF-8", Checkpoint{State: State{Net: "\xff"}}, "state's net is not UTF-8"},
		{"a note named as the checksums", Checkpoint{State: State{Notes: map[string]string{"crc32c": "0"}}}, "holds the file's checksums"},
	} {
		if err := Write(path, &c.c); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
	if b, err := os.ReadFile(path); string(b) != "older" {
		t.Errorf("the older file is now %q, %v", b, err)
	}
	if err := Write(filepath.Join(dir, "absent", "a"), sample()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
	if err := Write(dir, sample()); err == nil {
		t.Error("a folder was replaced")
	}
	if names := list(t, dir); !slices.Equal(names, []string{"a"}) {
		t.Errorf("the folder holds %v", names)
	}
}

// While one checkpoint replaces another, a reader finds one of them, whole.
func TestReplaceIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	versions := [2]*Checkpoint{sample(), {Tensors: []Tensor{{"w", []int{5000}, make([]float32, 5000)}}}}
	if err := Write(path, versions[0]); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	done := make(chan error, 1)
	go func() {
		for i := range 20 {
			if err := Write(path, versions[(i+1)%2]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for writing := true; writing; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			writing = false
		default:
		}
		c, err := Read(path)
		if err != nil {
			t.Error(err)
		} else if same(c, versions[0]) != nil && same(c, versions[1]) != nil {
			t.Error("read neither of the two")
		}
	}
	info, err := held.Stat()
	if err != nil {
		t.Fatal(err)
	}
	c, err := decode(held, info.Size(), anything) // still open from before the first replacement
	if err != nil {
		t.Fatal(err)
	}
	if err := same(versions[0], c); err != nil {
		t.Error(err)
	}
}

// Neither direction makes a second copy of the numbers.
func TestMemory(t *testing.T) {
	const n = 16 << 20 / 4
	path := filepath.Join(t.TempDir(), "a")
	c := &Checkpoint{Tensors: []Tensor{{"w", []int{n}, make([]float32, n)}}}
	if got := allocated(func() {
		if err := Write(path, c); err != nil {
			t.Fatal(err)
		}
	}); got > 3<<20 {
		t.Errorf("Write took %d bytes for 16 MiB of numbers, want 3 MiB at most", got)
	}
	if got := allocated(func() {
		if _, err := Read(path); err != nil {
			t.Fatal(err)
		}
	}); got > 19<<20 {
		t.Errorf("Read took %d bytes for 16 MiB of numbers, want 19 MiB at most", got)
	}
	claim := file(`{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}`, 8)
	if got := allocated(func() {
		if _, err := decodeBytes(claim); err == nil {
			t.Error("4 GB in a file of 88 bytes were accepted")
		}
	}); got > 1<<20 {
		t.Errorf("a false claim took %d bytes", got)
	}
}

// sparse is the head of a file. The rest is a hole.
type sparse []byte

func (s sparse) ReadAt(b []byte, at int64) (int, error) {
	clear(b)
	if at < int64(len(s)) {
		copy(b, s[at:])
	}
	return len(b), nil
}

// What a file claims, and has room for, is held against what is wanted and against the
// machine before memory is taken.
func TestHugeFilesTakeNoMemory(t *testing.T) {
	const n = 1 << 50
	head := file(fmt.Sprintf(`{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}`, n/4, n), 0)
	var many strings.Builder
	for i := range maxTensors + 1 {
		fmt.Fprintf(&many, `,"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
	}
	tooMany := file("{"+many.String()[1:]+"}", 0)
	refused := errors.New("nobody wants it")
	for _, c := range []struct {
		name   string
		b      []byte
		size   int64
		accept error
		want   string
	}{
		{"more than the machine has", head, int64(len(head)) + n, nil, "this machine has memory for"},
		{"not wanted", head, int64(len(head)) + n, refused, refused.Error()},
		{"too many", tooMany, int64(len(tooMany)), nil, "more than 100000 tensors"},
	} {
		got := allocated(func() {
			_, err := decode(sparse(c.b), c.size, func(_ State, tensors []Tensor) error {
				if len(tensors) != 1 || tensors[0].Name != "a" || tensors[0].Data != nil || tensors[0].Shape[0] != n/4 {
					t.Errorf("%s: asked about %v", c.name, tensors)
				}
				return c.accept
			})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
			}
		})
		if most := uint64(200 << 20); got > most {
			t.Errorf("%s: %d bytes were taken, want %d at most", c.name, got, most)
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

// FuzzDecode: what is accepted can be written, and reads the same again.
func FuzzDecode(f *testing.F) {
	f.Add(mustEncode(f, sample()))
	f.Add(mustEncode(f, &Checkpoint{}))
	f.Add(file(`{"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}`, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeBytes(b)
		if err != nil {
			return
		}
		again, err := decodeBytes(mustEncode(t, c))
		if err != nil {
			t.Fatal(err)
		}
		if err := same(c, again); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	const n = 64 << 20 / 4
	path := filepath.Join(b.TempDir(), "a")
	c := &Checkpoint{Tensors: []Tensor{{"w", []int{n}, make([]float32, n)}}}
	b.SetBytes(4 * n)
	for b.Loop() {
		if err := Write(path, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 64 << 20 / 4
	path := filepath.Join(b.TempDir(), "a")
	if err := Write(path, &Checkpoint{Tensors: []Tensor{{"w", []int{n}, make([]float32, n)}}}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4 * n)
	for b.Loop() {
		if _, err := Read(path); err != nil {
			b.Fatal(err)
		}
	}
}
