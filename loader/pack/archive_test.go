package pack

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/testenv"
)

// everything is an archive's files, read.
func everything(t *testing.T, a *archive) string {
	t.Helper()
	var b strings.Builder
	for _, m := range a.members {
		file, err := a.read(m, nil)
		if err != nil {
			t.Fatalf("%s: %v", a.where(m), err)
		}
		fmt.Fprintf(&b, "%s=%s ", m.name, file)
	}
	return b.String()
}

func write1(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A tar.gz of few bytes may unpack to many: what is allowed bounds what is written.
func TestUnpackedIsBounded(t *testing.T) {
	source := tarOf(t, map[string][]byte{"a/1.jpg": bytes.Repeat([]byte("x"), 100_000)})
	path := write1(t, filepath.Join(t.TempDir(), "s.tar.gz"), gzipped(t, source))
	for most, want := range map[int64]string{
		0: "", int64(len(source)): "", int64(len(source)) - 1: "unpacks to more than", 1000: "-unpacked GIB",
	} {
		dir := t.TempDir()
		a, err := openArchive(t.Context(), path, scratch{dir, most})
		if want == "" {
			if err != nil {
				t.Errorf("%d bytes are allowed: %v", most, err)
			} else if err := a.close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes are allowed: %v, want an error with %q", most, err, want)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if info, err := files[0].Info(); err != nil || info.Size() > most+1 {
			t.Errorf("%d bytes are allowed, and %d written: %v", most, info.Size(), err)
		}
	}
}

// The bound is for every source that may be an archive.
func TestUnpackedIsBoundedForEverySource(t *testing.T) {
	path := write1(t, filepath.Join(t.TempDir(), "s.tar.gz"), gzipped(t, tarOf(t, map[string][]byte{"a/1.jpg": make([]byte, 5000)})))
	for name, pack := range map[string]func(Options) error{
		"folder":   func(o Options) error { o.Size = 8; return second(Folder(t.Context(), o)) },
		"ilsvrc":   func(o Options) error { o.Size = 8; return second(ILSVRC(t.Context(), o, ILSVRCSource{})) },
		"cifar10":  func(o Options) error { return second(CIFAR10(t.Context(), o)) },
		"cifar100": func(o Options) error { return second(CIFAR100(t.Context(), o)) },
	} {
		dir := t.TempDir()
		err := pack(Options{Source: path, Out: filepath.Join(dir, "set"), Unpacked: 1000})
		if err == nil || !strings.Contains(err.Error(), "s.tar.gz: it unpacks to more than 1000 bytes") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A folder, a tar, a tar of tars and so on are one to their reader.
func TestArchivesAreAlike(t *testing.T) {
	inner := map[string][]byte{"1.jpg": []byte("one"), "x/2.jpg": []byte("two"), "._1.jpg": []byte("x"), "empty": nil}
	plain := map[string][]byte{"a/1.jpg": []byte("one"), "a/x/2.jpg": []byte("two"), "a/empty": nil, "b.jpg": bytes.Repeat([]byte("b"), 100), "__MACOSX/y": []byte("x")}
	nested := map[string][]byte{"a.tar": tarOf(t, inner), "b.jpg": plain["b.jpg"], "._c.tar": []byte("x")}
	again := map[string][]byte{"a.TAR": tarOf(t, under("a", inner)), "b.jpg": plain["b.jpg"]} // each class tar with a folder in it
	want := "a/1.jpg=one a/empty= a/x/2.jpg=two b.jpg=" + string(plain["b.jpg"]) + " "
	dir := t.TempDir()
	for name, path := range map[string]string{
		"folder":                 writeDir(t, filepath.Join(dir, "folder"), plain),
		"tar":                    writeTar(t, filepath.Join(dir, "tar"), plain),
		"tar.gz":                 writeTar(t, filepath.Join(dir, "z"), plain),
		"zip":                    write1(t, filepath.Join(dir, "zip"), zipOf(t, plain)),
		"folder of tars":         writeDir(t, filepath.Join(dir, "tars"), nested),
		"tar of tars":            writeTar(t, filepath.Join(dir, "tar2"), nested),
		"tar.gz of tars":         writeTar(t, filepath.Join(dir, "2z"), nested),
		"tar of tars of folders": writeTar(t, filepath.Join(dir, "tar3"), again),
	} {
		a, err := openArchive(t.Context(), path, scratch{dir: dir})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := everything(t, a); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "folder"), link); err != nil {
		t.Skip(err)
	}
	a, err := openArchive(t.Context(), link, scratch{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := everything(t, a); got != want {
		t.Errorf("link to a folder: %s", got)
	}
}

// A class tar that is damaged is named, with the one around it and the place.
func TestBadInnerTars(t *testing.T) {
	whole := tarOf(t, map[string][]byte{"1.jpg": []byte("one"), "2.jpg": []byte("two")})
	dir := t.TempDir()
	twice := tarOf(t, map[string][]byte{"a/1": nil, "a.tar": tarOf(t, map[string][]byte{"1": nil})})
	if _, err := openArchive(t.Context(), write1(t, filepath.Join(dir, "twice"), twice), scratch{dir: dir}); err == nil || !strings.Contains(err.Error(), "twice: a") || !strings.Contains(err.Error(), "is there twice") {
		t.Errorf("a tar and a folder of one class: %v", err)
	}
	for n := 0; n < len(whole)-1024; n += 256 {
		cut := map[string][]byte{"a.tar": whole[:n]}
		for _, path := range []string{writeTar(t, filepath.Join(dir, "tar"), cut), writeDir(t, filepath.Join(dir, "folder"), cut)} {
			_, err := openArchive(t.Context(), path, scratch{dir: dir})
			if err == nil || !strings.Contains(err.Error(), "a.tar: at byte ") || !strings.Contains(err.Error(), path) {
				t.Fatalf("class tar cut to %d of %d bytes: %v", n, len(whole), err)
			}
		}
	}
}

// rawZip returns a zip of one file of the given header and packed content.
func rawZip(t *testing.T, h zip.FileHeader, packed []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&h)
	if err == nil {
		_, err = f.Write(packed)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadZips(t *testing.T) {
	good := zipOf(t, map[string][]byte{"a/1": []byte("stored one"), "b/2": []byte("deflated, deflated")})
	flip := func(text string) []byte {
		b := bytes.Clone(good)
		b[bytes.Index(b, []byte(text))]++
		return b
	}
	link := zip.FileHeader{Name: "a/1"}
	link.SetMode(os.ModeSymlink | 0o777)
	for name, c := range map[string]struct {
		zip  []byte
		want string
	}{
		"encrypted": {rawZip(t, zip.FileHeader{Name: "a/1", Flags: 1}, nil), "z: a/1: the file is encrypted; unpack the zip"},
		"method":    {rawZip(t, zip.FileHeader{Name: "a/1", Method: 12}, nil), "z: a/1: the file is compressed by method 12"},
		"link":      {rawZip(t, link, nil), "a/1: this is no plain file"},
		"tar":       {rawZip(t, zip.FileHeader{Name: "a.tar"}, nil), "a.tar: a tar inside a zip"},
		"bomb":      {rawZip(t, zip.FileHeader{Name: "a/1", Method: zip.Deflate, CompressedSize64: 4, UncompressedSize64: 1 << 40}, []byte("1234")), "4 bytes cannot become"},
		"sizes":     {rawZip(t, zip.FileHeader{Name: "a/1", CompressedSize64: 4, UncompressedSize64: 5}, []byte("1234")), "4 bytes cannot become 5"},
		"outside":   {rawZip(t, zip.FileHeader{Name: "a/1", CompressedSize64: 1 << 40, UncompressedSize64: 1 << 40}, nil), "cannot become"},
		"cut":       {good[:len(good)-30], "not a valid zip file; give a folder"},
		"checksum":  {flip("stored one"), "a/1: zip: checksum error"},
		"short":     {rawZip(t, zip.FileHeader{Name: "a/1", Method: zip.Deflate, CompressedSize64: 5, UncompressedSize64: 9}, []byte{1, 0, 0, 0xff, 0xff}), "a/1: unexpected EOF"},
		"long":      {rawZip(t, zip.FileHeader{Name: "a/1", Method: zip.Deflate, CompressedSize64: 7, UncompressedSize64: 1}, []byte{1, 2, 0, 0xfd, 0xff, 'x', 'y'}), "a/1: zip: not a valid zip file"},
		"large":     {rawZip(t, zip.FileHeader{Name: "a/1", Method: zip.Deflate, CompressedSize64: 1 << 20, UncompressedSize64: maxFile + 1}, make([]byte, 1<<20)), "at most"},
	} {
		dir := t.TempDir()
		a, err := openArchive(t.Context(), write1(t, filepath.Join(dir, "z"), c.zip), scratch{dir: dir})
		if err == nil {
			for _, m := range a.members {
				if _, e := a.read(m, nil); e != nil {
					err = fmt.Errorf("%s: %w", a.where(m), e)
				}
			}
			a.close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	dir := t.TempDir()
	a, err := openArchive(t.Context(), write1(t, filepath.Join(dir, "z"), zipOf(t, nil)), scratch{dir: dir})
	if err != nil || len(a.members) != 0 {
		t.Errorf("a zip without files: %v", err)
	}
}

// A zip whose sizes and places stand in the fields of 64 bits, as beyond 4 GiB.
func TestZip64(t *testing.T) {
	b := rawZip(t, zip.FileHeader{Name: "a/1", CRC32: crc32.ChecksumIEEE([]byte("one")), CompressedSize64: 3, UncompressedSize64: 3}, []byte("one"))
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	at := binary.LittleEndian.Uint32(b[end+16:])
	directory := bytes.Clone(b[at:end])
	binary.LittleEndian.PutUint32(directory[20:], 0xffffffff) // packed
	binary.LittleEndian.PutUint32(directory[24:], 0xffffffff) // whole
	binary.LittleEndian.PutUint16(directory[30:], 20)         // bytes of extra fields
	name := 46 + int(binary.LittleEndian.Uint16(directory[28:]))
	extra := binary.LittleEndian.AppendUint16(nil, 1)
	extra = binary.LittleEndian.AppendUint16(extra, 16)
	extra = binary.LittleEndian.AppendUint64(extra, 3)
	extra = binary.LittleEndian.AppendUint64(extra, 3)
	out := append(bytes.Clone(b[:at]), directory[:name]...)
	out = append(append(out, extra...), directory[name:]...)
	size := len(out) - int(at)
	record := len(out)
	out = append(out, "PK\x06\x06"...)
	out = binary.LittleEndian.AppendUint64(out, 44)
	out = append(out, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, v := range []int{1, 1, size, int(at)} {
		out = binary.LittleEndian.AppendUint64(out, uint64(v))
	}
	out = append(out, "PK\x06\x07\x00\x00\x00\x00"...)
	out = binary.LittleEndian.AppendUint64(out, uint64(record))
	out = append(out, "\x01\x00\x00\x00PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"...)
	dir := t.TempDir()
	a, err := openArchive(t.Context(), write1(t, filepath.Join(dir, "z"), out), scratch{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if got := everything(t, a); got != "a/1=one " {
		t.Errorf("%s", got)
	}
}

// All of ImageNet: 22,000 class tars in a tar, listed in little memory.
func TestManyClasses(t *testing.T) {
	classes, each := 22_000, 4
	if testenv.Race {
		classes = 2000
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "fall11_whole.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	outer := tar.NewWriter(buffered)
	for c := range classes {
		var b bytes.Buffer
		inner := tar.NewWriter(&b)
		for i := range each {
			if err := inner.WriteHeader(&tar.Header{Name: fmt.Sprintf("n%08d_%06d.JPEG", c, i), Mode: 0o666}); err != nil {
				t.Fatal(err)
			}
		}
		err := errors.Join(inner.Close(), outer.WriteHeader(&tar.Header{Name: fmt.Sprintf("n%08d.tar", c), Mode: 0o666, Size: int64(b.Len())}))
		if err == nil {
			_, err = outer.Write(b.Bytes())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(outer.Close(), buffered.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := ilsvrcListing(t.Context(), ILSVRCSource{Source: path}, scratch{dir: dir}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(l.classes) != classes || len(l.train) != classes*each/2 || len(l.test) != len(l.train) {
		t.Fatalf("%d classes, %d and %d images", len(l.classes), len(l.train), len(l.test))
	}
	for i, m := range l.train {
		if want := fmt.Sprintf("n%08d", m.label); i/(each/2) != m.label || !strings.HasPrefix(m.name, want+"/"+want+"_") || l.classes[m.label].Synset != want {
			t.Fatalf("image %d is %s, label %d, %+v", i, m.name, m.label, l.classes[m.label])
		}
	}
	// 88 for an image, 28 more where half of them move to the test split, and 100
	// for a class of 4 images.
	if got := int(after.HeapAlloc-before.HeapAlloc) / (classes * each); got > 160 {
		t.Errorf("%d bytes an image", got)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

// 22,000 class tars in a folder, and a process that may open 64 files.
func TestManyTarsFewHandles(t *testing.T) {
	if !testenv.InOwnProcess(t) {
		return
	}
	dir := t.TempDir()
	first := write1(t, filepath.Join(dir, "first"), tarOf(t, map[string][]byte{"1.JPEG": []byte("one"), "2.JPEG": []byte("two")}))
	folder := filepath.Join(dir, "train")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	classes := 22_000
	if testenv.Race {
		classes = 2000
	}
	for c := range classes {
		if err := os.Link(first, filepath.Join(folder, fmt.Sprintf("n%08d.tar", c))); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	l, err := ilsvrcListing(t.Context(), ILSVRCSource{Source: dir}, scratch{dir: dir}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.train) != classes || len(l.test) != classes {
		t.Errorf("%d and %d images", len(l.train), len(l.test))
	}
	var b []byte
	for _, m := range l.test[:1000] {
		if b, err = m.from.read(m.member, b); err != nil || len(b) != 3 {
			t.Fatalf("%s: %q, error %v", m.from.where(m.member), b, err)
		}
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

// A file that has become shorter since it was listed is an error.
func TestShrunkFile(t *testing.T) {
	dir := t.TempDir()
	a, err := openArchive(t.Context(), writeDir(t, filepath.Join(dir, "s"), map[string][]byte{"a": []byte("one")}), scratch{dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	write1(t, filepath.Join(dir, "s", "a"), []byte("o"))
	if _, err := a.read(a.members[0], nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}
