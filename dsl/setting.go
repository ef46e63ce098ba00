// Settings: numbers of a text that are given beside it, as with -set.

package dsl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Setting is a value that takes the place of one in a text, written PATH=VALUE:
//
//	train.batch=64             a statement of a block
//	train.divide=10 at 8 10
//	fc6.rate=0                 a keyword of a layer
//	fc8.outputs=10             a size of a layer: kernels, window, outputs or probability
//	conv1.dropout.probability=0.3   a layer without a name of its own, called as in model.Net
//	columns=1                  net, input or columns
//	data.mirror=yes            yes or no for what has no value
//	train.divide=default       as if it were not in the text
//	train.at=8 rate 1e-4       one more, where a block can hold several
//
// What is not in the text is added to it. The zero Setting sets nothing.
type Setting struct {
	path   []token // the layer or block, unless it is of the header, and the word
	tokens []token // of the value
}

// ParseSetting reads a setting. The error is of type [Errors]; that the text has
// the layer is checked by [Parse] and [Apply].
func ParseSetting(text string) (Setting, error) {
	src := &source{name: "-set " + text, lines: []string{text}}
	var errs Errors
	path, _, found := strings.Cut(text, "=")
	whole := token{badToken, text, src, 1, 1}
	if !found || textLength(path) < len(path) || strings.TrimSpace(path) != path {
		errs.at(whole, "expected PATH=VALUE, as in train.batch=64")
		return Setting{}, errs
	}
	s := Setting{path: []token{{wordToken, path, src, 1, 1}}}
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		column := utf8.RuneCountInString(path[:dot]) + 2
		s.path = []token{{wordToken, path[:dot], src, 1, 1}, {wordToken, path[dot+1:], src, 1, column}}
	}
	tokens, comment := scan(src, 1, utf8.RuneCountInString(path)+1, &errs)
	if comment != "" {
		errs.at(whole, "a setting has no comment")
	}
	if len(tokens) == 1 && len(errs) == 0 {
		errs.at(tokens[0], "expected a value after =")
	}
	if err := errs.result(); err != nil {
		return Setting{}, err
	}
	s.tokens = tokens
	return s, nil
}

// String returns the setting as it was written.
func (s Setting) String() string {
	if s.path == nil {
		return ""
	}
	return s.path[0].src.line(1)
}

// read parses a file and writes the settings into it. A nil file comes with an
// error.
func read(name string, src []byte, set []Setting) (*file, Errors) {
	source, errs := newSource(name, src)
	if source == nil {
		return nil, errs
	}
	f, errs := parseFile(source)
	if f == nil {
		return nil, errs
	}
	for i, s := range set {
		if s.path == nil {
			continue
		}
		a := setter{file: f, parser: parser{errs: errs}}
		from := *s.path[0].src // errors of each stand together
		from.order = i + 1
		a.path, a.tokens = from.moved(s.path), from.moved(s.tokens)
		a.apply()
		errs = a.parser.errs
	}
	return f, errs
}

// moved returns the tokens as tokens of s.
func (s *source) moved(tokens []token) []token {
	tokens = slices.Clone(tokens)
	for i := range tokens {
		tokens[i].src = s
	}
	return tokens
}

// setter writes one setting into a file.
type setter struct {
	Setting
	parser
	file *file
}

func (a *setter) apply() {
	target, word := a.path[0], a.path[len(a.path)-1]
	if len(a.path) == 1 {
		form := header.find(word.text)
		if form == nil {
			a.errs.at(word, "unknown setting %s%s, or BLOCK.WORD or LAYER.WORD", quote(word.text), didYouMean(word.text, header.words()))
			return
		}
		a.statement(headerLine, nil, form, word)
		return
	}
	if b := findBlock(target.text); b != nil {
		form := b.statements.find(word.text)
		if form == nil {
			a.errs.at(word, "unknown statement %s in the %s block%s", quote(word.text), b.word, didYouMean(word.text, b.statements.words()))
			return
		}
		a.statement(statementLine, b, form, word)
		return
	}
	layers := a.file.statements(layerLine, nil)
	names := layerNames(layers)
	i := slices.Index(names, target.text)
	if i < 0 {
		hint := ""
		if near := nearest(target.text, names); near != "" {
			hint = "; did you mean " + near + "?"
		}
		a.errs.at(target, "no layer is named %s%s", quote(target.text), hint)
		return
	}
	if layers[i].form != nil {
		a.layer(layers[i], word)
	}
}

// only reports whether the value is the one word given.
func (a *setter) only(word string) bool { return len(a.tokens) == 2 && a.tokens[0].is(word) }

// flag reads the value of what has none in a text.
func (a *setter) flag() (on, ok bool) {
	on = a.only("yes")
	ok = on || a.only("no") || a.only("default")
	if !ok {
		a.errs.at(a.tokens[0], "expected yes or no; found %s", a.tokens[0].found())
	}
	return on, ok
}

// statement sets a line of the header or of a block.
func (a *setter) statement(r role, b *block, form *form, word token) {
	leave := a.only("default")
	rest := a.tokens
	if len(form.sizes)+len(form.clauses) == 0 {
		on, ok := a.flag()
		if !ok {
			return
		}
		leave, rest = !on, a.tokens[1:]
	}
	l := a.file.find(r, b, form.word)
	if form.many && leave {
		a.file.lines = slices.DeleteFunc(a.file.lines, func(l *line) bool { return l.role == r && l.block == b && l.stmt.head.text == form.word })
		return
	}
	if form.many {
		l = nil // one more
	}
	if leave {
		if l != nil && r == headerLine && form.word != "columns" {
			a.errs.at(word, "%s has no default", form.word)
		} else if l != nil {
			a.file.lines = slices.DeleteFunc(a.file.lines, func(other *line) bool { return other == l })
		}
		return
	}
	stmt := a.stmt(form, word, rest)
	if l != nil {
		l.stmt = stmt
		return
	}
	a.file.insert(&line{role: r, block: b, stmt: stmt})
}

// insert puts a line where it belongs: below the input, or at the end of its
// block, which is made if there is none.
func (f *file) insert(l *line) {
	at := func(r role) int {
		return slices.IndexFunc(f.lines, func(other *line) bool {
			return other.role == r && (l.block == nil && other.stmt != nil && other.stmt.head.text == "input" ||
				l.block != nil && other.block.word == l.block.word)
		})
	}
	if l.block == nil {
		f.lines = slices.Insert(f.lines, at(headerLine)+1, l)
		return
	}
	end := at(closeLine)
	if end < 0 {
		end = len(f.lines) + 1
		f.lines = append(f.lines, &line{role: openLine, block: l.block}, &line{role: closeLine, block: l.block})
	}
	f.lines = slices.Insert(f.lines, end, l)
}

// layer sets a size or a clause of a layer.
func (a *setter) layer(s *stmt, word token) {
	c := cursor{tokens: a.tokens, stmt: s, errs: &a.errs}
	if i := s.form.size(word.text); i >= 0 {
		if v, ok := c.value(&s.form.sizes[i], ""); ok && a.ends(c.peek()) && i < len(s.sizes) {
			s.sizes[i] = v[0]
		}
		return
	}
	param := s.form.clause(word.text)
	if param == nil {
		a.errs.at(word, "%s takes no %s%s", s.form.word, quote(word.text), didYouMean(word.text, slices.Concat(words(s.form.sizes), words(s.form.clauses))))
		return
	}
	if param.value == flagValue {
		on, ok := a.flag()
		if ok && on {
			s.set(clause{param, word, nil})
		} else if ok {
			s.remove(word.text)
		}
		return
	}
	if a.only("default") {
		s.remove(word.text)
		return
	}
	if v, ok := c.value(param, " after ="); ok && a.ends(c.peek()) {
		s.set(clause{param, word, v})
	}
}

func (a *setter) ends(t token) bool {
	if t.kind != endOfLine && t.kind != badToken {
		a.errs.at(t, "expected nothing more; found %s", t.found())
	}
	return t.kind == endOfLine
}
