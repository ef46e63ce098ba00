package pack

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The classes of a small ILSVRC, by the numbers of its development kit, whose
// meta.mat is a fixture of the reader of MAT-files.
var smallIDs = []string{"", "n02119789", "n01440764", "n03126707", "n02012849", "n07930864"}

// Their order as labels.
var smallClasses = []string{"n01440764", "n02012849", "n02119789", "n03126707", "n07930864"}

var smallTruth = []int{3, 1, 5, 2, 4, 1, 2, 3, 4, 5} // of each validation image

func smallMeta(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash("../../internal/matfile/testdata/compressed.mat"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallTrain returns the training images by class. An image is its class and number.
func smallTrain() map[string]map[string][]byte {
	classes := make(map[string]map[string][]byte)
	for _, class := range smallClasses {
		classes[class] = make(map[string][]byte)
		for n := range 4 {
			classes[class][fmt.Sprintf("%s_%d.JPEG", class, n)] = fmt.Appendf(nil, "%s train %d", class, n)
		}
	}
	return classes
}

// smallVal returns the validation images, by a name with %d for the number and
// %s, which may be absent, for the class.
func smallVal(format string) map[string][]byte {
	files := make(map[string][]byte)
	for i, id := range smallTruth {
		name := strings.ReplaceAll(strings.ReplaceAll(format, "%d", fmt.Sprintf("%08d", i+1)), "%s", smallIDs[id])
		files[name] = fmt.Appendf(nil, "%s val %d", smallIDs[id], i+1)
	}
	return files
}

const flatVal, sortedVal = "ILSVRC2012_val_%d.JPEG", "%s/ILSVRC2012_val_%d.JPEG"

// truthText returns a line for each validation image, of its number, synset and
// label.
func truthText(line func(n int, id int, synset string, label int) string) []byte {
	var b strings.Builder
	for i, id := range smallTruth {
		fmt.Fprintln(&b, line(i+1, id, smallIDs[id], slices.Index(smallClasses, smallIDs[id])))
	}
	return []byte(b.String())
}

func idsText() []byte {
	return truthText(func(_, id int, _ string, _ int) string { return fmt.Sprint(id) })
}

func csvText() []byte {
	return append([]byte("ImageId,PredictionString\n"), truthText(func(n, _ int, s string, _ int) string {
		return fmt.Sprintf("ILSVRC2012_val_%08d,%s 85 1 499 272 %s 1 2 3 4 ", n, s, s)
	})...)
}

func caffeText() []byte {
	return truthText(func(n, _ int, _ string, label int) string {
		return fmt.Sprintf("ILSVRC2012_val_%08d.JPEG %d", n, label)
	})
}

func under(folder string, files map[string][]byte) map[string][]byte {
	moved := make(map[string][]byte)
	for name, b := range files {
		moved[path.Join(folder, name)] = b
	}
	return moved
}

func joined(parts ...map[string][]byte) map[string][]byte {
	all := make(map[string][]byte)
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

func one(name string, b []byte) map[string][]byte { return map[string][]byte{name: b} }

// classTars are a tar for each class, classFolders a folder.
func classTars(t testing.TB) map[string][]byte {
	files := make(map[string][]byte)
	for class, images := range smallTrain() {
		files[class+".tar"] = tarOf(t, images)
	}
	return files
}

func classFolders() map[string][]byte {
	files := make(map[string][]byte)
	for class, images := range smallTrain() {
		maps.Copy(files, under(class, images))
	}
	return files
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func kitFiles(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"ILSVRC2012_devkit_t12/readme.txt":                                    []byte("hello"),
		"ILSVRC2012_devkit_t12/data/meta.mat":                                 smallMeta(t),
		"ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt":   idsText(),
		"ILSVRC2012_devkit_t12/evaluation/demo.val.pred.txt":                  []byte("771 778"),
		"ILSVRC2012_devkit_t12/data/ILSVRC2012_clsloc_validation_blacklist.t": []byte("36"),
	}
}

// zipOf returns a zip of files, of which every second is stored and not deflated.
func zipOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.Create("folder/"); err != nil {
		t.Fatal(err)
	}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: []uint16{zip.Store, zip.Deflate}[i%2]})
		if err == nil {
			_, err = f.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkListing reads every image and compares what it is with its label.
func checkListing(t *testing.T, l *listing, train, test int) {
	t.Helper()
	if len(l.train) != train || len(l.test) != test {
		t.Fatalf("%d training and %d test images, want %d and %d", len(l.train), len(l.test), train, test)
	}
	for i, c := range l.classes {
		if c.Synset != smallClasses[i] {
			t.Errorf("class %d is %+v", i, c)
		}
	}
	seen := make(map[string]bool)
	for _, m := range slices.Concat(l.train, l.test) {
		b, err := m.from.read(m.member, nil)
		if err != nil {
			t.Fatalf("%s: %v", m.from.where(m.member), err)
		}
		if class, _, _ := strings.Cut(string(b), " "); seen[string(b)] || class != l.classes[m.label].Synset {
			t.Errorf("%s: image %q has label %d, %+v", m.from.where(m.member), b, m.label, l.classes[m.label])
		}
		seen[string(b)] = true
	}
}

// small is a source's files, and the flags beside it.
type small struct {
	files map[string][]byte
	s     ILSVRCSource // paths from the folder of files; Source "" is it
}

func (c small) list(t *testing.T, fraction float64) (*listing, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "temp"), 0o777); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "source")
	if err := os.Mkdir(root, 0o777); err != nil {
		t.Fatal(err)
	}
	writeDir(t, root, c.files)
	s := c.s
	s.Source = filepath.Join(root, s.Source)
	for _, p := range []*string{&s.Train, &s.Val, &s.Truth, &s.Names} {
		if *p != "" {
			*p = filepath.Join(root, *p)
		}
	}
	l, err := ilsvrcListing(t.Context(), s, scratch{dir: filepath.Join(dir, "temp")}, fraction)
	if err == nil && strings.Contains(l.source, dir) {
		t.Errorf("the source, for people, has a path of this computer: %s", l.source)
	}
	return l, err
}

// Every way that the images and their truth lie about gives the same labels.
func TestILSVRC(t *testing.T) {
	kit := kitFiles(t)
	trainTar := one("ILSVRC2012_img_train.tar", tarOf(t, classTars(t)))
	valTar := one("ILSVRC2012_img_val.tar", tarOf(t, smallVal(flatVal)))
	synsets := truthText(func(_, _ int, s string, _ int) string { return s })
	named := truthText(func(n, _ int, s string, _ int) string { return fmt.Sprintf("val/ILSVRC2012_val_%08d.JPEG\t%s", n, s) })
	kaggle := joined(
		under("ILSVRC/Data/CLS-LOC/train", classFolders()), under("ILSVRC/Data/CLS-LOC/val", smallVal(flatVal)),
		one("ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_00000001.JPEG", []byte("x")),
		one("ILSVRC/ImageSets/CLS-LOC/val.txt", []byte("ILSVRC2012_val_00000001 1\n")),
		one("ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml", []byte("x")),
		one("LOC_val_solution.csv", csvText()), one("LOC_train_solution.csv", []byte("x")),
		one("LOC_synset_mapping.txt", []byte("n02012849 crane\nn03126707 crane\n")),
	)
	for name, c := range map[string]small{
		"as downloaded":         {files: joined(trainTar, valTar, one("ILSVRC2012_devkit_t12.tar.gz", gzipped(t, tarOf(t, kit))))},
		"kit twice":             {files: joined(trainTar, valTar, kit, one("ILSVRC2012_devkit_t12.tar.gz", gzipped(t, tarOf(t, kit))))},
		"kit unpacked":          {files: joined(trainTar, valTar, kit)},
		"kit's files":           {files: joined(trainTar, valTar, one("ILSVRC2012_validation_ground_truth.txt", idsText()), one("meta.mat", smallMeta(t)))},
		"other tasks' archives": {files: joined(trainTar, valTar, kit, one("ILSVRC2012_img_train_t3.tar", nil), one("ILSVRC2012_bbox_train_v2.tar.gz", nil), one("ILSVRC2012_bbox_val_v3.tgz", nil))},
		"kit given": {joined(trainTar, valTar, one("val.txt", []byte("wrong")), under("x", kit)),
			ILSVRCSource{Truth: "x/ILSVRC2012_devkit_t12"}},
		"kit's tar given": {joined(trainTar, valTar, one("val.txt", []byte("wrong")), one("x", gzipped(t, tarOf(t, kit)))),
			ILSVRCSource{Truth: "x"}},
		"kit's list given": {joined(trainTar, valTar, under("x", kit)),
			ILSVRCSource{Truth: "x/ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"}},
		"list given, table found": {joined(trainTar, valTar, one("x/truth", idsText()), kit), ILSVRCSource{Truth: "x/truth"}},
		"synsets":                 {files: joined(trainTar, valTar, one("imagenet_2012_validation_synset_labels.txt", synsets))},
		"Windows' line ends":      {files: joined(trainTar, valTar, one("validation.txt", []byte("\xef\xbb\xbf"+strings.ReplaceAll(string(synsets), "\n", "\r\n"))))},
		"Caffe":                   {files: joined(trainTar, valTar, one("val.txt", caffeText()))},
		"names and synsets":       {files: joined(trainTar, valTar, one("val.txt", named))},
		"folders of 2012":         {files: joined(under("ILSVRC2012_img_train", classFolders()), under("ILSVRC2012_img_val", smallVal(flatVal)), kit)},
		"folder of class tars":    {files: joined(under("train", classTars(t)), valTar, kit)},
		"tars and folders":        {files: joined(under("train", classFolders()), valTar, kit)},
		"sorted as for PyTorch":   {files: joined(under("train", classFolders()), under("val", smallVal(sortedVal)))},
		"sorted in a tar":         {files: joined(under("train", classFolders()), one("val.tar", tarOf(t, under("val", smallVal(sortedVal)))))},
		"sorted, kit unused":      {files: joined(under("train", classFolders()), under("val", smallVal(sortedVal)), kit, one("val.txt", caffeText()))},
		"Kaggle":                  {files: kaggle},
		"Kaggle's zip":            {one("k.zip", zipOf(t, kaggle)), ILSVRCSource{Source: "k.zip"}},
		"in a tar.gz":             {one("x", gzipped(t, tarOf(t, under("imagenet", kaggle)))), ILSVRCSource{Source: "x"}},
		"a folder around":         {files: under("imagenet", kaggle)},
		"train and val in a tar":  {one("x.tar", tarOf(t, joined(under("train", classTars(t)), valTar, kit))), ILSVRCSource{Source: "x.tar"}},
		"each part given": {joined(under("a", classTars(t)), one("b", tarOf(t, smallVal("val/"+flatVal))), one("c", caffeText()), under("train", classFolders()), under("val", smallVal(sortedVal))),
			ILSVRCSource{Train: "a", Val: "b", Truth: "c"}},
		"training tar itself":    {joined(trainTar, valTar, kit), ILSVRCSource{Source: "ILSVRC2012_img_train.tar", Val: "ILSVRC2012_img_val.tar", Truth: "ILSVRC2012_devkit_t12"}},
		"class tars beside":      {files: joined(classTars(t), valTar, kit)},
		"training folder itself": {joined(under("t", classFolders()), valTar, kit), ILSVRCSource{Source: "t", Val: "ILSVRC2012_img_val.tar", Truth: "ILSVRC2012_devkit_t12"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := c.list(t, 0.25)
			if err != nil {
				t.Fatal(err)
			}
			checkListing(t, l, 20, 10)
			if err := l.close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// ILSVRC-2010's test images are what the paper reports on. Its kit has the
// validation truth, and the test truth lies beside.
func TestILSVRC2010Test(t *testing.T) {
	kit := map[string][]byte{
		"devkit-1.0/data/meta.mat":                               smallMeta(t),
		"devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt": []byte("1\n2\n"),
	}
	c := small{files: joined(
		one("ILSVRC2010_images_train.tar", tarOf(t, classTars(t))),
		one("ILSVRC2010_images_val.tar", tarOf(t, map[string][]byte{"val/ILSVRC2010_val_00000001.JPEG": []byte("n02119789 a"), "val/ILSVRC2010_val_00000002.JPEG": []byte("n01440764 b")})),
		one("ILSVRC2010_images_test.tar", tarOf(t, smallVal("test/ILSVRC2010_test_%d.JPEG"))),
		one("ILSVRC2010_devkit-1.0.tar.gz", gzipped(t, tarOf(t, kit))),
		one("ILSVRC2010_test_ground_truth.txt", idsText()),
	)}
	for val, images := range map[string]int{"": 2, "ILSVRC2010_images_test.tar": 10} {
		c.s.Val = val
		l, err := c.list(t, 0.25)
		if err != nil {
			t.Fatal(err)
		}
		checkListing(t, l, 20, images)
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
}

// Without validation images a part of each class is for testing, the same one
// as of a plain folder.
func TestILSVRCWithoutValidation(t *testing.T) {
	var want string
	for name, c := range map[string]small{
		"fall11_whole.tar": {one("fall11_whole.tar", tarOf(t, classTars(t))), ILSVRCSource{Source: "fall11_whole.tar"}},
		"train":            {files: under("train", classFolders())},
		"source":           {files: joined(classFolders(), one("readme.txt", []byte("hello")))},
	} {
		l, err := c.list(t, 0.25)
		if err != nil {
			t.Fatal(err)
		}
		checkListing(t, l, 15, 5)
		if !strings.Contains(l.source, name+", of which 0.25 of each class") {
			t.Errorf("source %q", l.source)
		}
		got := ""
		for _, m := range slices.Concat(l.train, l.test) {
			got += m.name + " "
		}
		if want == "" {
			dir := t.TempDir()
			f, err := folderListing(t.Context(), writeDir(t, dir, classFolders()), scratch{dir: dir}, 0.25, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range slices.Concat(f.train, f.test) {
				want += m.name + " "
			}
		}
		if got != want {
			t.Errorf("%s: images\n%s\nwant\n%s", name, got, want)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestILSVRCNames(t *testing.T) {
	images := joined(under("train", classFolders()), under("val", smallVal(sortedVal)))
	fromKit := "[{tench, Tinca tinca n01440764} {crane n02012849} {kit fox, Vulpes macrotis n02119789} {crane n03126707} {décor — cup n07930864}]"
	some := "[{fish n01440764} {n02012849 n02012849} {n02119789 n02119789} {n03126707 n03126707} {n07930864 n07930864}]"
	list := []byte("n00000001\tx\n\nn01440764\tfish\nn01440764 fish\n")
	for name, c := range map[string]struct {
		small
		want, source string
	}{
		"kit":      {small{files: joined(images, kitFiles(t))}, fromKit, "names of meta.mat"},
		"list":     {small{files: joined(images, one("words.txt", list), kitFiles(t))}, some, "names of words.txt"},
		"best":     {small{files: joined(images, one("words.txt", []byte("bad")), one("synset_words.txt", list))}, some, "names of synset_words.txt"},
		"given":    {small{joined(images, one("x", list), kitFiles(t)), ILSVRCSource{Names: "x"}}, some, "names of x"},
		"meta.mat": {small{joined(images, one("x", smallMeta(t))), ILSVRCSource{Names: "x"}}, fromKit, "names of x"},
		"none":     {small{files: images}, strings.ReplaceAll(some, "fish", "n01440764"), "labelled by its folders"},
	} {
		l, err := c.list(t, 0.25)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fmt.Sprint(l.classes); got != c.want || !strings.HasSuffix(l.source, c.source) {
			t.Errorf("%s: classes %s, source %q", name, got, l.source)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestILSVRCErrors(t *testing.T) {
	train, val := under("train", classFolders()), under("val", smallVal(flatVal))
	ids := string(idsText()) // 3 1 5 2 4 1 2 3 4 5
	with := func(truth string) small {
		return small{files: joined(train, val, one("ILSVRC2012_validation_ground_truth.txt", []byte(truth)), one("meta.mat", smallMeta(t)))}
	}
	list := func(name, text string) small { return small{files: joined(train, val, one(name, []byte(text)))} }
	but := func(files map[string][]byte, name string) map[string][]byte {
		files = maps.Clone(files)
		delete(files, name)
		return files
	}
	caffe := string(caffeText())
	for name, c := range map[string]struct {
		small
		want []string
	}{
		"nothing":             {small{files: one("x", nil)}, []string{"no training images", "ILSVRC2012_img_train.tar", "-train"}},
		"empty":               {small{files: one("train/.x", nil)}, []string{"train: there are no images", "<class>/<image>"}},
		"no source":           {small{s: ILSVRCSource{Source: "x"}}, []string{"source/x", "no such file"}},
		"one class":           {small{files: one("train/n01440764/1", nil)}, []string{"1 classes", "at least 2"}},
		"flat training":       {small{files: joined(train, one("train/x.JPEG", nil))}, []string{"train/x.JPEG", "layout", "<class>/<image>"}},
		"empty validation":    {small{files: joined(train, one("val/.x", nil))}, []string{"val: there are no images"}},
		"two training":        {small{files: joined(train, one("ILSVRC2012_img_train.tar", nil))}, []string{"ILSVRC2012_img_train.tar and ", "source/train: ", "-train"}},
		"two validations":     {small{files: joined(train, val, one("ILSVRC/Data/CLS-LOC/val/x", nil))}, []string{"source/val and ", "ILSVRC/Data/CLS-LOC/val: ", "-val"}},
		"two truths":          {small{files: joined(train, val, one("val.txt", caffeText()), kitFiles(t))}, []string{"ground_truth.txt and ", "val.txt: ", "-truth"}},
		"no truth":            {small{files: joined(train, val)}, []string{"source/val: nothing says", "devkit", "-truth"}},
		"no test truth":       {small{files: joined(train, under("val", smallVal("ILSVRC2010_test_%d.JPEG")), kitFiles(t))}, []string{"nothing says", "test images", "-truth"}},
		"truth for nothing":   {small{joined(train, one("x", []byte(ids))), ILSVRCSource{Truth: "x"}}, []string{"no validation images", "-val"}},
		"no kit there":        {small{joined(train, val), ILSVRCSource{Truth: "x"}}, []string{"source/x", "no such file"}},
		"kit without truth":   {small{joined(train, val, one("x/y", nil)), ILSVRCSource{Truth: "x"}}, []string{"nothing says"}},
		"no meta.mat":         {list("ILSVRC2012_validation_ground_truth.txt", ids), []string{"ground_truth.txt: its numbers", "meta.mat", "devkit", "-truth"}},
		"two meta.mats":       {small{files: joined(with(ids).files, one("data/meta.mat", []byte("x")))}, []string{"data/meta.mat and ", "differ", "-truth"}},
		"two tables of names": {small{files: joined(train, one("meta.mat", smallMeta(t)), one("data/meta.mat", []byte("x")))}, []string{"data/meta.mat and ", "differ", "-names"}},
		"bad meta.mat":        {small{files: joined(with(ids).files, one("meta.mat", []byte("x")))}, []string{"meta.mat: this is no MAT-file"}},
		"number 0":            {with(strings.Replace(ids, "3", "0", 1)), []string{"ground_truth.txt: line 1: number 0 is out of range"}},
		"number 6":            {with(strings.Replace(ids, "4", "6", 1)), []string{"line 5: number 6 is out of range"}},
		"inner node":          {with(strings.Replace(ids, "4", "1001", 1)), []string{"line 5: synset n00001740 has no training images"}},
		"no number":           {with(strings.Replace(ids, "4", "four", 1)), []string{"line 5: \"four\" is no ground truth"}},
		"empty line":          {with(strings.Replace(ids, "4", "", 1)), []string{"line 5: \"\" is no ground truth"}},
		"empty list":          {with("\n"), []string{"it is empty"}},
		"no text":             {with("\x00"), []string{"no text"}},
		"other kind":          {with(strings.Replace(ids, "4", "n01440764", 1)), []string{"line 5: \"n01440764\" is of another kind"}},
		"few lines":           {with(ids[:len(ids)-2]), []string{"ILSVRC2012_val_00000010.JPEG: this image is not in", "9 lines", "-truth"}},
		"many lines":          {with(ids + "1\n"), []string{"line 11: its image is not in", "source/val", "10 images"}},
		"image missing":       {small{files: but(with(ids).files, "val/ILSVRC2012_val_00000004.JPEG")}, []string{"line 4: its image is not in", "9 images"}},
		"image twice":         {small{files: joined(with(ids).files, one("val/ILSVRC2012_val_4.png", nil))}, []string{"val_4.png: line 4 of", "remove one"}},
		"image unnumbered":    {small{files: joined(with(ids).files, one("val/valprep.sh", nil))}, []string{"valprep.sh: its name does not end in a number"}},
		"label 5":             {list("val.txt", strings.Replace(caffe, " 4", " 5", 1)), []string{"val.txt: line 3: label 5 is out of range", "5 classes"}},
		"labels of others":    {list("val.txt", strings.ReplaceAll(caffe, " 4", " 3")), []string{"from 0 to 3", "5 classes"}},
		"image listed twice":  {list("val.txt", caffe+strings.SplitAfter(caffe, "\n")[0]), []string{"line 11: image ILSVRC2012_val_00000001 is in line 1 already"}},
		"image not listed":    {small{files: joined(list("val.txt", caffe).files, one("val/x.JPEG", nil))}, []string{"val/x.JPEG: this image is not in"}},
		"listed, not there":   {list("val.txt", caffe+"ILSVRC2012_val_00000011.JPEG 0\n"), []string{"line 11: its image is not in"}},
		"header alone":        {list("LOC_val_solution.csv", "ImageId,PredictionString\n"), []string{"nothing in it but a header"}},
		"stray synset":        {list("LOC_val_solution.csv", strings.Replace(string(csvText()), "n07930864", "n00000002", 1)), []string{"LOC_val_solution.csv: line 4: synset n00000002 has no training images"}},
		"stray folder":        {small{files: joined(train, under("val", smallVal(sortedVal)), one("val/n00000002/x", nil))}, []string{"val/n00000002/x: it is not in the folder of a class"}},
		"half sorted":         {small{files: joined(train, val, under("val", smallVal(sortedVal)))}, []string{"val/ILSVRC2012_val_00000001.JPEG: it is not in the folder of a class", "one folder"}},
		"bad names":           {small{files: joined(train, one("synset_words.txt", []byte("n01440764 tench\ntench\n")))}, []string{"synset_words.txt: line 2: \"tench\" is no synset", "n01440764 tench"}},
		"two names":           {small{files: joined(train, one("synset_words.txt", []byte("n01440764 tench\nn01440764 fish\n")))}, []string{"line 2: synset n01440764 is \"fish\" here, and \"tench\" before"}},
		"no names":            {small{train, ILSVRCSource{Names: "x"}}, []string{"source/x", "no such file"}},
		"names are a folder":  {small{joined(train, one("x/y", nil)), ILSVRCSource{Names: "x"}}, []string{"source/x: this is no plain file"}},
		"classes too small":   {small{files: map[string][]byte{"train/n01440764/1": nil, "train/n01440765/1": nil}}, []string{"source/train: the classes are too small"}},
		"damaged kit":         {small{files: joined(train, val, one("ILSVRC2012_devkit_t12.tar.gz", gzipped(t, tarOf(t, kitFiles(t)))[:100]))}, []string{"devkit_t12.tar.gz: unpacking"}},
		"tars in tars in tar": {small{one("x.tar", tarOf(t, one("ILSVRC2012_img_train.tar", tarOf(t, classTars(t))))), ILSVRCSource{Source: "x.tar"}}, []string{"x.tar: ILSVRC2012_img_train.tar: at byte", "is a tar in a tar", "unpack"}},
	} {
		l, err := c.list(t, 0.25)
		if err == nil {
			t.Errorf("%s: no error, but %q", name, l.source)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want one with %q", name, err, w)
			}
		}
	}
}

// People link to images on another disk.
func TestILSVRCLinks(t *testing.T) {
	dir := t.TempDir()
	writeDir(t, dir, joined(under("disk/a", classFolders()), one("disk/b", tarOf(t, smallVal(flatVal))), one("source/val.txt", caffeText())))
	if err := errors.Join(os.Symlink(filepath.Join(dir, "disk/a"), filepath.Join(dir, "source/train")),
		os.Symlink("../disk/b", filepath.Join(dir, "source/ILSVRC2012_img_val.tar"))); err != nil {
		t.Skip(err)
	}
	l, err := ilsvrcListing(t.Context(), ILSVRCSource{Source: filepath.Join(dir, "source")}, scratch{dir: dir}, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	checkListing(t, l, 20, 10)
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "disk/a")); err != nil {
		t.Fatal(err)
	}
	if _, err := ilsvrcListing(t.Context(), ILSVRCSource{Source: filepath.Join(dir, "source")}, scratch{dir: dir}, 0.1); err == nil || !strings.Contains(err.Error(), "source/train: no such file") {
		t.Errorf("a link to nothing: %v", err)
	}
}

// A list that cannot be one is not read into memory.
func TestILSVRCLongList(t *testing.T) {
	files := joined(under("train", classFolders()), under("val", smallVal(flatVal)), one("val.txt", make([]byte, maxText+1)))
	for name, c := range map[string]small{"folder": {files: files}, "zip": {one("z", zipOf(t, files)), ILSVRCSource{Source: "z"}}} {
		if _, err := c.list(t, 0.1); err == nil || !strings.Contains(err.Error(), "val.txt: the file has 16777217 bytes; a list has at most") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListingStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"folder/train.tar": tarOf(t, classTars(t)), "tar": tarOf(t, classTars(t)), "zip": zipOf(t, classFolders()), "tar.gz": gzipped(t, tarOf(t, classTars(t)))} {
		writeDir(t, dir, one(name, b))
		source, _, _ := strings.Cut(name, "/")
		if _, err := ilsvrcListing(ctx, ILSVRCSource{Source: filepath.Join(dir, source)}, scratch{dir: dir}, 0.1); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Archives are closed where the listing fails.
func TestILSVRCClosesOnError(t *testing.T) {
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	writeDir(t, dir, joined(one("train.tar", tarOf(t, classTars(t))), one("val.tar", tarOf(t, smallVal(flatVal))), one("val.txt", []byte("x 1\n"))))
	before := len(names(t, "/proc/self/fd"))
	if _, err := ilsvrcListing(t.Context(), ILSVRCSource{Source: dir}, scratch{dir: dir}, 0.1); err == nil {
		t.Fatal("no error")
	}
	if after := len(names(t, "/proc/self/fd")); after > before {
		t.Errorf("%d files are open, and %d were before", after, before)
	}
}
