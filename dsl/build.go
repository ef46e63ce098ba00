// Builder: a parsed file to a model.Net, and the model's problems back to
// places in the text.

package dsl

import (
	"slices"
	"strconv"

	"alexnet/model"
)

// Parse reads the text of a network and writes the settings into it. file names
// it in errors. The error is of type [Errors], holds everything that is wrong,
// and comes without a network.
func Parse(file string, src []byte, set ...Setting) (*model.Net, error) {
	f, errs := read(file, src, set)
	if f == nil {
		return nil, errs.result()
	}
	b := builder{file: f, errs: errs, net: &model.Net{
		Columns: 1,
		Data:    model.DefaultData(),
		Train:   model.DefaultTrain(),
	}}
	b.header()
	b.layers()
	b.data()
	b.train()
	b.check()
	if err := b.errs.result(); err != nil {
		return nil, err
	}
	return b.net, nil
}

type builder struct {
	file  *file
	net   *model.Net
	stmts []*stmt // of the layers
	errs  Errors
}

// header returns the sound statement of a line of the header, or nil.
func (f *file) header(word string) *stmt { return sound(f.find(headerLine, nil, word)) }

// statement returns a sound statement of a block, or nil.
func (f *file) statement(block, word string) *stmt {
	return sound(f.find(statementLine, findBlock(block), word))
}

func sound(l *line) *stmt {
	if l == nil || l.stmt.broken {
		return nil
	}
	return l.stmt
}

func (b *builder) header() {
	if s := b.file.header("net"); s != nil {
		b.net.Name = s.sizes[0].text
	}
	if s := b.file.header("input"); s != nil {
		b.net.Input = model.Shape{C: s.sizes[0].ints[0], H: s.sizes[0].ints[1], W: s.sizes[0].ints[2]}
	}
	if s := b.file.header("columns"); s != nil {
		b.net.Columns = s.sizes[0].ints[0]
	}
}

// layerNames returns the name of each layer. One that has none on its line is
// called after the nearest named one above it, or else after the input, and its
// kind: conv1.relu, then conv1.relu2. No name that is written has a dot.
func layerNames(layers []*stmt) []string {
	names := make([]string, len(layers))
	above, count := "input", map[string]int{}
	for i, s := range layers {
		if s.name.text != "" {
			above = s.name.text
			names[i] = above
			clear(count)
			continue
		}
		kind := s.head.text
		names[i] = above + "." + kind
		if count[kind]++; count[kind] > 1 {
			names[i] += strconv.Itoa(count[kind])
		}
	}
	return names
}

// layers builds the layers. A broken one gets no spec and reads nothing, so
// that the model makes nothing of it and of what follows from it.
func (b *builder) layers() {
	b.stmts = b.file.statements(layerLine, nil)
	names := layerNames(b.stmts)
	index := map[string]int{"input": model.InputIndex}
	for i, s := range b.stmts {
		if s.name.text != "" {
			index[s.name.text] = i
		}
	}
	for i, s := range b.stmts {
		l := &model.Layer{Name: names[i]}
		b.net.Layers = append(b.net.Layers, l)
		if s.broken {
			continue
		}
		l.From = []int{i - 1} // which is model.InputIndex for the first
		if c := s.clause("from"); c != nil {
			l.From = b.sources(i, c.values, index) // nil if that has been told
		}
		l.Spec = s.spec()
		l.Across = s.has("across")
	}
}

// sources looks up what layer i reads; nil if something is wrong with it.
func (b *builder) sources(i int, names []value, index map[string]int) []int {
	from := make([]int, 0, len(names))
	for _, v := range names {
		if b.errs.full() {
			return nil
		}
		switch j, ok := index[v.text]; {
		case !ok:
			b.errs.at(v.token, "no layer is named %s%s", quote(v.text), b.hint(i, v.text))
		case j == i:
			b.errs.at(v.token, "a layer cannot read from itself")
		case j > i:
			b.errs.at(v.token, "%s is below, on line %d; a layer can only read from layers above it", v.text, b.stmts[j].head.line)
		default:
			from = append(from, j)
		}
	}
	if len(from) < len(names) {
		return nil
	}
	return from
}

// hint returns which layer above layer i may have been meant by name. Looking
// for it takes a while in a large file, so it is done only for errors that are
// going to be printed.
func (b *builder) hint(i int, name string) string {
	var above []string
	if len(b.errs) < maxPrinted {
		for _, s := range b.stmts[:i] {
			above = append(above, s.name.text)
		}
	}
	if near := nearest(name, above); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; only layers with a name of their own can be read from"
}

// spec returns what a sound statement says that its layer computes.
func (s *stmt) spec() model.Spec {
	switch s.form.word {
	case "conv":
		return model.Conv{Kernels: s.sizes[0].ints[0], Window: s.window(s.sizes[1]), Groups: s.int("groups", 1), Params: s.params()}
	case "local":
		return model.Local{Kernels: s.sizes[0].ints[0], Window: s.window(s.sizes[1]), Groups: s.int("groups", 1), Params: s.params()}
	case "full":
		return model.Full{Outputs: s.sizes[0].ints[0], Params: s.params()}
	case string(model.Max), string(model.Avg):
		return model.Pool{Mode: model.PoolMode(s.form.word), Window: s.window(s.sizes[0])}
	case "lrn": // the defaults are section 3.3's
		return model.LRN{Size: s.int("size", 5), Alpha: s.number("alpha", 1e-4), Beta: s.number("beta", 0.75), K: s.number("k", 2), Within: s.has("within")}
	case "dropout":
		return model.Dropout{Rate: s.sizes[0].number}
	case "softmax":
		return model.Softmax{}
	}
	return model.Activation{Func: model.Func(s.form.word)}
}

func (s *stmt) window(size value) model.Window {
	return model.Window{H: size.ints[0], W: size.ints[1], Stride: s.int("stride", 1), Pad: s.int("pad", 0), Ceil: s.has("ceil")}
}

func (s *stmt) params() model.Params {
	p := model.DefaultParams()
	p.Deviation = s.number("init", p.Deviation)
	p.Bias = s.number("bias", p.Bias)
	p.Rate = s.number("rate", p.Rate)
	p.BiasRate = s.number("bias-rate", p.Rate)
	p.Decay = s.number("decay", p.Decay)
	p.BiasDecay = s.number("bias-decay", p.Decay)
	return p
}

func (s *stmt) has(word string) bool { return s.clause(word) != nil }

func (s *stmt) int(word string, otherwise int) int {
	if c := s.clause(word); c != nil {
		return c.values[0].ints[0]
	}
	return otherwise
}

func (s *stmt) number(word string, otherwise float64) float64 {
	if c := s.clause(word); c != nil {
		return c.values[0].number
	}
	return otherwise
}

func (b *builder) data() {
	d := &b.net.Data
	if s := b.file.statement("data", "crop"); s != nil {
		if d.Crop = s.sizes[0].ints[0]; d.Crop == 0 { // which would stand for the input's side
			b.errs.at(s.sizes[0].token, "crop 0, want the side of the patches")
		}
	}
	d.Mirror = b.file.statement("data", "mirror") != nil
	if s := b.file.statement("data", "mean"); s != nil {
		d.Mean = model.Mean(s.sizes[0].text)
	}
	if s := b.file.statement("data", "color"); s != nil {
		d.Color = s.number("pca", 0)
		if d.Until = s.int("until", 0); s.has("until") && d.Until == 0 { // which would stand for never
			b.errs.at(s.clause("until").head, "until pass 0, want at least 1; without noise, leave the line out")
		}
	}
	if s := b.file.statement("data", "views"); s != nil {
		d.Views = s.sizes[0].ints[0]
	}
}

func (b *builder) train() {
	t := &b.net.Train
	for word, to := range map[string]*int{"batch": &t.Batch, "passes": &t.Passes} {
		if s := b.file.statement("train", word); s != nil {
			*to = s.sizes[0].ints[0]
		}
	}
	for word, to := range map[string]*float64{"rate": &t.Rate, "momentum": &t.Momentum, "decay": &t.Decay} {
		if s := b.file.statement("train", word); s != nil {
			*to = s.sizes[0].number
		}
	}
	if s := b.file.statement("train", "seed"); s != nil {
		t.Seed = s.sizes[0].seed
	}
	if s := b.file.statement("train", "divide"); s != nil {
		b.divide(s)
	}
	for _, s := range b.at() {
		a := model.At{Passes: s.sizes[0].ints[0], Rate: s.number("rate", 0)}
		if c := s.clause("layer"); c != nil {
			a.Layer = c.values[0].text
		}
		t.At = append(t.At, a)
	}
}

// at returns the sound at statements.
func (b *builder) at() []*stmt {
	return slices.DeleteFunc(b.file.statements(statementLine, findBlock("train")), func(s *stmt) bool {
		return s.head.text != "at" || s.broken
	})
}

func (b *builder) divide(s *stmt) {
	d := &b.net.Train.Divide
	at, plateau, times := s.clause("at"), s.has("plateau"), s.has("times")
	switch {
	case s.sizes[0].number == 0: // which would stand for never
		b.errs.at(s.sizes[0].token, "the rate is divided by 0, want more than 1")
		return
	case at != nil && (plateau || times):
		b.errs.at(at.head, "the rate is divided either at given passes or on a plateau, not both")
		return
	case at == nil && !(plateau && times):
		b.errs.at(s.head, "expected when to divide: at and passes, as in divide 10 at 25 51, or plateau and times, as in divide 10 plateau 5 times 3")
		return
	case at != nil:
		for _, v := range at.values {
			d.At = append(d.At, v.ints[0])
		}
	default:
		d.Plateau, d.Times = s.int("plateau", 0), s.int("times", 0)
	}
	d.By = s.sizes[0].number
}

// check lets the model judge the network and reports its problems where they
// are. Those that follow from what has been reported are left out.
func (b *builder) check() {
	for _, p := range b.net.Infer() {
		if p.Layer >= 0 {
			if p.Field != "from" || b.net.Layers[p.Layer].From != nil {
				b.locate(b.stmts[p.Layer], p)
			}
			continue
		}
		l, word := (*line)(nil), p.Field
		switch p.Layer {
		case model.NetProblem:
			if word == "" {
				word = "net"
			}
			l = b.file.find(headerLine, nil, word)
		case model.DataProblem:
			l = b.file.find(statementLine, findBlock("data"), word)
		case model.TrainProblem:
			if word == "at" {
				b.locate(b.at()[p.Index], p)
				continue
			}
			l = b.file.find(statementLine, findBlock("train"), word)
		}
		if l != nil { // a default is sound in itself; what is missing has been told
			b.locate(l.stmt, p)
		}
	}
}

// locate reports a problem of a statement at the part that its field names, or
// else at the statement's word.
func (b *builder) locate(s *stmt, p model.Problem) {
	switch {
	case s.broken:
	case s.form.size(p.Field) >= 0:
		b.errs.at(s.sizes[s.form.size(p.Field)].token, "%s", p.Text)
	case s.has(p.Field):
		c := s.clause(p.Field)
		last := c.head
		if len(c.values) > 0 {
			last = c.values[len(c.values)-1].token
		}
		b.errs.report(c.head, c.head.to(last), "%s", p.Text)
	case p.Field == "bias-rate" || p.Field == "bias-decay": // not written, so it is rate's or decay's, where it is told
	default:
		b.errs.at(s.head, "%s", p.Text)
	}
}
