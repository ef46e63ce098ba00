// Parser: tokens to statements, line by line. It checks everything that can be
// seen on a line and in the order of the lines; package model judges the rest.

package dsl

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	maxLayers = 10_000
	maxName   = 64 // characters
)

// file is a parsed text. Every line of the source is in it, except for blank
// lines after blank lines.
type file struct {
	lines []*line
}

type role int

const (
	blankLine     role = iota // with or without a comment
	headerLine                // a line of header
	layerLine                 //
	openLine                  // a block and {
	statementLine             // in a block
	closeLine                 // }
)

type line struct {
	role    role
	block   *block // of openLine, statementLine and closeLine
	stmt    *stmt  // nil where a line has none, or is too broken
	comment string // with its #
}

// stmt is a line's content.
type stmt struct {
	form    *form // nil if the line is too broken to know
	name    token // of a layer that has one
	head    token // the word that form is the form of
	sizes   []value
	clauses []clause // in the order of the form
	broken  bool     // an error was reported, so that nothing more should be
}

type clause struct {
	*param
	head   token
	values []value
}

// value is a token with what it says, as far as its kind has it.
type value struct {
	token
	ints   []int // a count; height and width; channels, height and width
	seed   uint64
	number float64
}

// clause returns the clause of a word, or nil.
func (s *stmt) clause(word string) *clause {
	if i := slices.IndexFunc(s.clauses, func(c clause) bool { return c.word == word }); i >= 0 {
		return &s.clauses[i]
	}
	return nil
}

// set puts a clause in its place, or in the place of the one it repeats.
func (s *stmt) set(c clause) {
	s.remove(c.word)
	s.clauses = append(s.clauses, c)
	order := words(s.form.clauses)
	slices.SortFunc(s.clauses, func(a, b clause) int { return slices.Index(order, a.word) - slices.Index(order, b.word) })
}

func (s *stmt) remove(word string) {
	s.clauses = slices.DeleteFunc(s.clauses, func(c clause) bool { return c.word == word })
}

// statements returns the statements of a role and, if not nil, a block.
func (f *file) statements(r role, b *block) []*stmt {
	var list []*stmt
	for _, l := range f.lines {
		if l.role == r && l.stmt != nil && (b == nil || l.block.word == b.word) {
			list = append(list, l.stmt)
		}
	}
	return list
}

// find returns the line that a statement of a role and block, known by a word,
// is on, or nil.
func (f *file) find(r role, b *block, word string) *line {
	for _, l := range f.lines {
		if l.role == r && (b == nil || l.block.word == b.word) && l.stmt != nil && l.stmt.head.text == word {
			return l
		}
	}
	return nil
}

// parser is the state between lines.
type parser struct {
	errs   Errors
	src    *source
	file   file
	block  *block // that the line is in, or nil
	open   token  // the word that opened it
	header int    // how many of the lines of header there were, or were left out
	seen   map[string]token
	layers int
	names  map[string]token // of layers
	told   bool             // that the file does not begin as it should
}

// parseFile parses src. With errors the file holds what could be read, and is nil
// if that ends before the end of src.
func parseFile(src *source) (*file, Errors) {
	p := &parser{src: src, seen: map[string]token{}, names: map[string]token{}}
	blank := true // whether the line before is blank; none is wanted at the start
	for n := range src.lines {
		tokens, comment := scan(src, n+1, 0, &p.errs)
		l := &line{comment: comment, block: p.block}
		if len(tokens) > 1 {
			p.line(l, tokens)
		}
		if empty := len(tokens) == 1 && comment == ""; !empty || !blank {
			p.file.lines = append(p.file.lines, l)
			blank = empty
		}
		if p.errs.full() || p.layers > maxLayers {
			return nil, p.errs
		}
	}
	last := token{src: src, line: len(src.lines), column: 1}
	p.headerUpTo(2, last)
	if p.block != nil {
		p.unclosed("the end of the file")
	}
	return &p.file, p.errs
}

func (p *parser) unclosed(before string) {
	p.errs.at(p.open, "the %s block is not closed: expected } on a line of its own before %s", p.open.text, before)
	p.block = nil
}

// line parses a line that has at least one token before its end.
func (p *parser) line(l *line, tokens []token) {
	first, second := tokens[0], tokens[1]
	if p.block != nil {
		// What cannot stand in a block shows that its end is missing.
		statement := p.block.statements.find(first.text) != nil
		if isKind(first) || isKind(second) && !statement || findBlock(first.text) != nil && second.is("{") {
			p.unclosed(fmt.Sprintf("line %d", first.line))
		} else {
			p.inBlock(l, tokens)
			return
		}
	}
	if first.kind == badToken && len(tokens) == 2 {
		return
	}
	switch {
	case isKind(second) && !first.is("net"): // a name, right or wrong
		p.layer(l, first, second, tokens[2:])
	case isKind(first):
		p.layer(l, token{}, first, tokens[1:])
	case findBlock(first.text) != nil:
		p.openBlock(l, first, tokens[1:])
	case header.find(first.text) != nil:
		p.headerLine(l, tokens)
	case first.kind == wordToken && second.kind == wordToken && !reserved[second.text] && nearest(first.text, topWords) == "":
		p.errs.at(second, "unknown kind of layer %s%s", quote(second.text), didYouMean(second.text, kinds.words()))
		p.layer(l, first, second, tokens[2:])
	case first.kind == wordToken && !reserved[first.text] && second.kind == badToken:
		p.layer(l, first, second, nil) // the kind is what is wrong, and has been told
	case first.kind == wordToken:
		p.errs.at(first, "unknown kind of layer %s%s", quote(first.text), didYouMean(first.text, topWords))
		p.layer(l, token{}, first, tokens[1:])
	case first.is("}"):
		p.errs.at(first, "no block is open here")
	case first.kind == badToken:
		p.layer(l, token{}, first, nil)
	default:
		p.errs.at(first, "expected a layer, such as conv1 conv 96 11x11, or data { or train {; found %s", first.found())
	}
}

func isKind(t token) bool { return t.kind == wordToken && kinds.find(t.text) != nil }

// layer parses what follows name and kind; the kind may be unknown.
func (p *parser) layer(l *line, name, kind token, rest []token) {
	p.headerUpTo(len(header), name.or(kind))
	p.layers++
	if p.layers > maxLayers {
		p.errs.at(kind, "more than %d layers", maxLayers)
		return
	}
	l.role = layerLine
	l.stmt = p.stmt(kinds.find(kind.text), kind, rest)
	if name.kind == endOfLine || !p.name(name) {
		return
	}
	if other, ok := p.names[name.text]; ok {
		p.errs.at(name, "%s is already the name of the layer on line %d", name.text, other.line)
		return
	}
	p.names[name.text] = name
	l.stmt.name = name
}

// or returns t, or other if t is not there.
func (t token) or(other token) token {
	if t.src == nil {
		return other
	}
	return t
}

// name reports whether t can be a name, and tells if not.
func (p *parser) name(t token) bool {
	if t.kind == badToken { // told
		return false
	}
	if t.kind != wordToken {
		p.errs.at(t, "expected a name, which begins with a letter; found %s", t.found())
		return false
	}
	if err := checkName(t.text); err != nil {
		p.errs.at(t, "%v", err)
		return false
	}
	return true
}

// checkName says why a word cannot be a name.
func checkName(word string) error {
	if reserved[word] {
		return fmt.Errorf("%s is a word of the language and cannot be a name", word)
	}
	if len(word) > maxName {
		return fmt.Errorf("the name has %d characters, more than %d", len(word), maxName)
	}
	return nil
}

// headerLine parses net, input or columns.
func (p *parser) headerLine(l *line, tokens []token) {
	word := tokens[0]
	stmt := p.stmt(header.find(word.text), word, tokens[1:])
	if other, ok := p.seen[word.text]; ok {
		p.errs.at(word, "%s is already given on line %d", word.text, other.line)
		return
	}
	p.seen[word.text] = word
	l.role, l.stmt = headerLine, stmt
	i := slices.Index(header.words(), word.text)
	if i < p.header {
		if !p.told || i >= 2 { // else it is what was missed
			p.errs.at(word, "%s is too late: a file begins with net, input and, if it has any, columns, in this order", word.text)
		}
		return
	}
	p.headerUpTo(i, word)
	p.header = i + 1
}

// headerUpTo checks that the first n lines of the header that must be there are.
func (p *parser) headerUpTo(n int, here token) {
	for i := p.header; i < min(n, 2); i++ {
		if !p.told {
			p.errs.at(here, "expected %s first, as in %s: a file begins with net and input", header[i].word, header[i].example)
			p.told = true
		}
	}
	p.header = max(p.header, n)
}

// openBlock parses data { or train {.
func (p *parser) openBlock(l *line, word token, rest []token) {
	p.headerUpTo(len(header), word)
	b := findBlock(word.text)
	if other, ok := p.seen[word.text]; ok {
		p.errs.at(word, "there is already a %s block on line %d", word.text, other.line)
		b = &block{b.word + " (again)", b.statements} // its statements are checked, but not used
	}
	p.seen[b.word] = word
	p.block, p.open = b, word
	l.role, l.block, l.stmt = openLine, b, &stmt{head: word}
	if rest[0].kind == badToken {
		return
	}
	if !rest[0].is("{") {
		p.errs.at(rest[0], "expected { after %s; found %s", word.text, rest[0].found())
		return
	}
	p.endOfLine(rest[1], "{")
	if rest[max(0, len(rest)-2)].is("}") { // all on one line
		p.block = nil
	}
}

func (p *parser) endOfLine(t token, after string) {
	if t.kind != endOfLine && t.kind != badToken {
		p.errs.at(t, "expected the end of the line after %s: each statement stands on a line of its own; found %s", after, t.found())
	}
}

// inBlock parses a line in a block.
func (p *parser) inBlock(l *line, tokens []token) {
	b, first := p.block, tokens[0]
	switch form := b.statements.find(first.text); {
	case first.is("}"):
		l.role = closeLine
		p.block = nil
		p.endOfLine(tokens[1], "}")
	case form != nil:
		l.role, l.stmt = statementLine, p.stmt(form, first, tokens[1:])
		key := b.word + "." + form.word
		if other, ok := p.seen[key]; ok && !form.many {
			p.errs.at(first, "%s is already given on line %d", form.word, other.line)
			l.role, l.stmt = blankLine, nil
			return
		}
		p.seen[key] = first
	case first.kind == badToken:
	case first.kind == wordToken:
		p.errs.at(first, "unknown statement %s in the %s block%s", quote(first.text), p.open.text, didYouMean(first.text, b.statements.words()))
	default:
		p.errs.at(first, "expected %s, or }; found %s", either(b.statements.words()), first.found())
	}
}

// stmt parses what follows the word of a form: sizes, then clauses. A nil form
// gives a broken statement.
func (p *parser) stmt(f *form, head token, rest []token) *stmt {
	s := &stmt{form: f, head: head}
	before := len(p.errs)
	c := cursor{tokens: rest, stmt: s, errs: &p.errs}
	if f != nil {
		c.all()
	}
	s.broken = f == nil || c.bad || len(p.errs) > before || p.errs.full()
	return s
}

// cursor walks over the tokens of a statement.
type cursor struct {
	tokens []token // the last one is the end of the line, if there is any
	stmt   *stmt
	errs   *Errors
	bad    bool // met a token whose error has been told: what is missing may have been meant by it
}

func (c *cursor) peek() token { return c.tokens[0] }

func (c *cursor) all() {
	f := c.stmt.form
	for i := range f.sizes {
		v, ok := c.value(&f.sizes[i], "")
		if !ok {
			c.skip()
			break
		}
		c.stmt.sizes = append(c.stmt.sizes, v...)
	}
	c.clauses()
	for _, p := range f.clauses {
		if p.required && c.stmt.clause(p.word) == nil && !c.bad {
			c.errs.at(c.peek(), "expected %s, as in %s; found %s", p.word, f.example, c.peek().found())
			c.bad = true
		}
	}
}

func (c *cursor) clauses() {
	f := c.stmt.form
	for {
		t := c.peek()
		param := f.clause(t.text)
		switch {
		case t.kind == endOfLine:
			return
		case t.kind == badToken:
			c.bad = true
			c.next()
			continue
		case param == nil:
			c.unexpected(t)
			continue
		}
		c.next()
		if c.stmt.clause(t.text) != nil {
			c.errs.at(t, "%s is given twice", t.text)
		}
		if v, ok := c.value(param, " after "+t.text); !ok {
			c.skip()
		} else if c.stmt.clause(t.text) == nil {
			c.stmt.set(clause{param, t, v})
		}
	}
}

// unexpected tells that no clause begins with t, and skips to one that does.
func (c *cursor) unexpected(t token) {
	f := c.stmt.form
	switch known := words(f.clauses); {
	case t.kind == wordToken && isKind(t):
		c.errs.at(t, "unexpected %s: each layer stands on a line of its own, and %s cannot be a name", t.text, c.stmt.head.text)
	case t.kind == wordToken && reserved[t.text]:
		c.errs.at(t, "%s takes no %s%s", f.word, t.text, didYouMean("", known))
	case t.kind == wordToken && len(known) > 0:
		c.errs.at(t, "unknown keyword %s%s", quote(t.text), didYouMean(t.text, known))
	default:
		c.errs.at(t, "expected %s; found %s", either(append(known, "the end of the line")), t.found())
	}
	c.bad = true
	c.next()
	c.skip()
}

// skip goes on to the next clause or the end.
func (c *cursor) skip() {
	for c.peek().kind != endOfLine && c.stmt.form.clause(c.peek().text) == nil {
		c.next()
	}
}

func (c *cursor) next() {
	if c.peek().kind != endOfLine {
		c.tokens = c.tokens[1:]
	}
}

// value reads what a param takes. Where it is not there, that is told unless it
// may follow from what has been told, and ok is false.
func (c *cursor) value(p *param, after string) (values []value, ok bool) {
	switch p.value {
	case flagValue:
		return nil, true
	case countsValue:
		for len(values) == 0 || c.peek().kind == numToken {
			v, ok := c.one(p, after)
			if !ok {
				return nil, false
			}
			values = append(values, v)
		}
	case sourcesValue:
		for len(values) == 0 || c.peek().is(",") {
			if len(values) > 0 {
				c.next()
				after = " after the comma"
			}
			v, ok := c.one(p, after)
			if !ok {
				return nil, false
			}
			values = append(values, v)
		}
		if t := c.peek(); t.kind == wordToken && !reserved[t.text] && nearest(t.text, words(c.stmt.form.clauses)) == "" {
			c.errs.at(t, "names are separated by commas, as in from %s, %s", values[0].text, t.text)
			c.bad = true
			c.next()
		}
	default:
		v, ok := c.one(p, after)
		return []value{v}, ok
	}
	return values, true
}

// one reads one value.
func (c *cursor) one(p *param, after string) (value, bool) {
	t := c.peek()
	v := value{token: t}
	if t.kind == badToken {
		c.bad = true
		c.next()
		return v, false
	}
	why := v.read(p.value)
	if why == nil {
		c.next()
		return v, true
	}
	if c.bad && t.kind == endOfLine {
		return v, false
	}
	switch {
	case why != errKind:
		c.errs.at(t, "%s: %v", p.word, why)
	case after != "":
		c.errs.at(t, "expected %v%s; found %s", p.value, after, t.found())
	case p.word == c.stmt.form.word:
		c.errs.at(t, "expected %v, as in %s; found %s", p.value, c.stmt.form.example, t.found())
	default:
		c.errs.at(t, "expected the %s, %v, as in %s; found %s", p.word, p.value, c.stmt.form.example, t.found())
	}
	c.bad = true
	if c.stmt.form.clause(t.text) == nil { // a keyword is not what was meant to be the value
		c.next()
	}
	return v, false
}

// errKind says that a token is not of the kind that is wanted.
var errKind = errors.New("another kind of value is wanted")

// read sets what the token says as a value of the kind. The error is errKind,
// or says what is wrong with a token of the right kind.
func (v *value) read(kind valueKind) error {
	switch kind {
	case countValue, countsValue:
		if v.kind != numToken || strings.ContainsAny(v.text, ".eE") {
			return errKind
		}
		return v.readInts(v.text)
	case windowValue:
		if v.kind != dimsToken && (v.kind != numToken || strings.ContainsAny(v.text, ".eE-")) {
			return errKind
		}
		sides := strings.Split(v.text, "x")
		if len(sides) > 2 {
			return fmt.Errorf("a window has height and width, as in 3x3, and %s has %d sides", quote(v.text), len(sides))
		}
		return v.readInts(sides[0], sides[len(sides)-1])
	case shapeValue:
		if v.kind != dimsToken {
			return errKind
		}
		sides := strings.Split(v.text, "x")
		if len(sides) != 3 {
			return fmt.Errorf("a shape has channels, height and width, as in 3x224x224, and %s has %d sides", quote(v.text), len(sides))
		}
		return v.readInts(sides...)
	case seedValue:
		n, err := strconv.ParseUint(v.text, 10, 64)
		if v.kind != numToken || err != nil {
			return errKind
		}
		v.seed = n
	case numberValue:
		if v.kind != numToken {
			return errKind
		}
		n, err := strconv.ParseFloat(v.text, 64)
		mantissa, _, _ := strings.Cut(strings.ToLower(v.text), "e")
		switch {
		case err != nil:
			return fmt.Errorf("%s is too large, the largest number is %g", quote(v.text), math.MaxFloat64)
		case n == 0 && strings.ContainsAny(mantissa, "123456789"):
			return fmt.Errorf("%s is too small to be told from 0", quote(v.text))
		}
		v.number = n
	case nameValue:
		if v.kind != wordToken {
			return errKind
		}
		return checkName(v.text)
	case sourcesValue:
		if v.kind != wordToken || reserved[v.text] && v.text != "input" {
			return errKind
		}
	case meanValue:
		if !slices.Contains(means, v.text) {
			return errKind
		}
	}
	return nil
}

func (v *value) readInts(texts ...string) error {
	for _, s := range texts {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%s is too large, the largest whole number is %d", quote(s), math.MaxInt)
		}
		v.ints = append(v.ints, n)
	}
	return nil
}
