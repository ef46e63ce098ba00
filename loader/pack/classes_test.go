package pack

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/loader/record"
)

// The same word, written in three ways.
const (
	cafeNFC    = "caf\u00e9"
	cafeNFD    = "cafe\u0301"
	cafeLatin1 = "caf\xe9"
)

// pictures returns files of three images in each folder.
func pictures(t *testing.T, folders ...string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for i, folder := range folders {
		for n := range 3 {
			files[folder+"/"+string(rune('a'+3*i+n))+".png"] = encoded(t, 3*i+n, 10, 9)
		}
	}
	return files
}

// packed packs a source and returns the description of the data set, read back.
func packed(t *testing.T, source string, classes ...string) (*record.Dataset, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "set")
	if _, err := Folder(t.Context(), Options{Source: source, Out: out, Size: 8, TestFraction: 0.3, Classes: classes}); err != nil {
		for _, left := range []string{out, out + ending} {
			if _, err := os.Stat(left); err == nil {
				t.Errorf("%s is left of a packing that failed", left)
			}
		}
		return nil, err
	}
	f, err := record.OpenFolder(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	return f.Dataset, nil
}

// A class whose name is not UTF-8 is refused before anything is packed. The error names
// a file of it, with the bytes shown.
func TestClassNotUTF8(t *testing.T) {
	dir := t.TempDir()
	for _, folders := range [][]string{
		{cafeLatin1, "dog"},
		{"train/" + cafeLatin1, "train/dog", "test/dog"},
		{"train/cat", "train/dog", "test/" + cafeLatin1},
	} {
		files := pictures(t, folders...)
		for _, source := range []string{
			writeDir(t, filepath.Join(t.TempDir(), "folder"), files),
			writeTar(t, filepath.Join(dir, "a.tar"), files),
			write1(t, filepath.Join(dir, "a.zip"), zipOf(t, files)),
		} {
			_, err := packed(t, source)
			if err == nil || !strings.Contains(err.Error(), `caf\xe9/`) || !strings.Contains(err.Error(), "not UTF-8") {
				t.Errorf("%s with %q: error %v", source, folders, err)
			}
		}
	}
}

// A folder in form NFC and one in form NFD are one class, in form NFC, from every kind
// of source. -classes finds it in either form.
func TestFormsOfUnicodeAreOneClass(t *testing.T) {
	dir := t.TempDir()
	files := pictures(t, cafeNFC, cafeNFD, "dog")
	for _, source := range []string{
		writeDir(t, filepath.Join(dir, "folder"), files),
		writeTar(t, filepath.Join(dir, "a.tar"), files),
		write1(t, filepath.Join(dir, "a.zip"), zipOf(t, files)),
	} {
		for _, wanted := range [][]string{nil, {cafeNFD, "dog"}, {cafeNFC, "dog"}} {
			d, err := packed(t, source, wanted...)
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			if len(d.Classes) != 2 || d.Classes[0].Name != cafeNFC || d.Splits["train"].Images+d.Splits["test"].Images != 9 {
				t.Errorf("%s: classes %q, splits %+v", source, d.Classes, d.Splits)
			}
		}
	}
	// Training images in one form, test images in the other.
	d, err := packed(t, writeDir(t, filepath.Join(dir, "split"), pictures(t, "train/"+cafeNFD, "train/dog", "test/"+cafeNFC)))
	if err != nil || len(d.Classes) != 2 || d.Splits["test"].Images != 3 {
		t.Errorf("%+v, error %v", d, err)
	}
}

// A zip may give a name in a code page and, in an extra field, in UTF-8. That holds as
// long as its checksum is of the name.
func TestZippedNamesInUTF8(t *testing.T) {
	const gbk, name = "\xc3\xa8/", "\u732b/" // a cat; as bytes not UTF-8 with the file's name
	raw := "x" + "\xb1" + gbk
	for _, c := range []struct {
		of    string // the name whose checksum the field has
		extra []byte // before the field
		works bool
	}{
		{raw, nil, true},
		{raw, []byte{0x55, 0x54, 1, 0, 7}, true},        // another field comes first
		{raw, []byte{0x55, 0x54, 0xff, 0xff, 7}, false}, // one that is longer than all there is
		{"renamed/", nil, false},                        // by a program that does not know the field
	} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		add := func(name string, extra, data []byte) {
			f, err := w.CreateHeader(&zip.FileHeader{Name: name, NonUTF8: true, Extra: extra, Method: zip.Deflate})
			if err == nil {
				_, err = f.Write(data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for file, data := range pictures(t, "in") {
			image := file[len("in/"):]
			field := binary.LittleEndian.AppendUint16(append([]byte{}, c.extra...), unicodePath)
			field = binary.LittleEndian.AppendUint16(field, uint16(5+len(name)+len(image)))
			field = binary.LittleEndian.AppendUint32(append(field, 1), crc32.ChecksumIEEE([]byte(c.of+image)))
			add(raw+image, append(field, name+image...), data)
		}
		for file, data := range pictures(t, "dog") {
			add(file, nil, data)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d, err := packed(t, write1(t, filepath.Join(t.TempDir(), "a.zip"), b.Bytes()))
		switch {
		case c.works && (err != nil || len(d.Classes) != 2 || d.Classes[1].Name+"/" != name):
			t.Errorf("%+v: %+v, error %v", c, d, err)
		case !c.works && (err == nil || !strings.Contains(err.Error(), "unzip -O")):
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// A list of classes that is not UTF-8 is refused, too, wherever it comes from.
func TestNamesOfCIFARNotUTF8(t *testing.T) {
	files := cifar100Files()
	const list = "cifar-100-binary/fine_label_names.txt"
	files[list] = bytes.Replace(files[list], []byte("fine_14"), []byte(cafeLatin1), 1)
	dir := t.TempDir()
	_, err := CIFAR100(t.Context(), Options{Source: writeDir(t, filepath.Join(dir, "s"), files), Out: filepath.Join(dir, "out")})
	if err == nil || !strings.Contains(err.Error(), `"caf\xe9" is not UTF-8`) {
		t.Errorf("error %v", err)
	}
}
