// Scanner: a line of text to tokens with positions.

package dsl

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is a text whose lines can be shown in errors.
type source struct {
	name  string
	lines []string
	order int // among the sources that are read together
}

// maxFile is the largest file that is read. It is some hundred times the
// largest network that anyone has written by hand.
const maxFile = 1 << 20

// newSource divides a file into lines. A byte order mark at its start, which
// some editors write, is no part of them.
func newSource(name string, src []byte) (*source, Errors) {
	if len(src) > maxFile {
		return nil, Errors{{
			Pos:  Position{name, 1, 1},
			Text: fmt.Sprintf("the file has %d bytes, more than the %d that a network may take: it is something else", len(src), maxFile),
		}}
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	lines := strings.Split(string(src), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return &source{name: name, lines: lines}, nil
}

// line returns line n, counted from 1.
func (s *source) line(n int) string { return s.lines[n-1] }

type tokenKind int

const (
	endOfLine  tokenKind = iota // also what a token is called that is not there
	wordToken                   // letters, digits, _ and -; begins with a letter or _
	numToken                    // 96, 0.5, -1, 1e-4
	dimsToken                   // 3x224x224
	punctToken                  // , { }
	badToken                    // none of these; its error has been told
)

// token is a word of the text and where it stands.
type token struct {
	kind   tokenKind
	text   string
	src    *source
	line   int // from 1
	column int // from 1, in characters
}

func (t token) width() int { return utf8.RuneCountInString(t.text) }

func (t token) is(text string) bool { return t.kind != endOfLine && t.text == text }

// to returns the width from the start of t to the end of last, which stands on
// the same line or, after a setting, elsewhere.
func (t token) to(last token) int {
	if last.src != t.src || last.line != t.line {
		return t.width()
	}
	return last.column + last.width() - t.column
}

func (t token) position() Position { return Position{t.src.name, t.line, t.column} }

// found returns how an error message calls t.
func (t token) found() string {
	if t.kind == endOfLine {
		return "the end of the line"
	}
	return quote(t.text)
}

// scan returns the tokens of a line from character number skip on, the last of
// which is its end, and the comment with its #, or "". What is wrong is reported
// and becomes a badToken.
func scan(src *source, line, skip int, errs *Errors) (tokens []token, comment string) {
	text, column := src.line(line), 1
	next := func(kind tokenKind, size int) token {
		t := token{kind, text[:size], src, line, column}
		text, column = text[size:], column+t.width()
		return t
	}
	text, rest := text[:textLength(text)], text
	for skip > 0 && text != "" {
		_, size := utf8.DecodeRuneInString(text)
		next(badToken, size)
		skip--
	}
	end := next(endOfLine, 0)
	for text != "" {
		switch text[0] {
		case ' ', '\t':
			next(endOfLine, 1)
			continue
		case '#':
			comment = strings.TrimRight(text, " \t")
			next(endOfLine, len(text))
			continue
		case ',', '{', '}':
			tokens = append(tokens, next(punctToken, 1))
		default:
			size := strings.IndexAny(text, " \t#,{}")
			if size < 0 {
				size = len(text)
			}
			t := next(classify(text[:size]), size)
			if t.kind == badToken {
				errs.at(t, "%s", malformed(t.text))
			}
			tokens = append(tokens, t)
		}
		end = next(endOfLine, 0)
	}
	if n := textLength(rest); n < len(rest) { // one error; the rest of the line is not read
		r, size := utf8.DecodeRuneInString(rest[n:])
		text = rest[n:]
		bad := next(badToken, size)
		if r == utf8.RuneError {
			errs.at(bad, "byte %#02x is not UTF-8: save the file as UTF-8 text", rest[n])
		} else {
			errs.at(bad, "control character %U", r)
		}
		tokens = append(tokens, bad)
	}
	return append(tokens, end), comment
}

// textLength returns how many bytes of s come before the first that is not
// UTF-8 or a control character.
func textLength(s string) int {
	for i, r := range s {
		if unicode.IsControl(r) && r != '\t' {
			return i
		}
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return len(s)
}

// classify says what kind of token s is.
func classify(s string) tokenKind {
	switch {
	case isWord(s):
		return wordToken
	case isNumber(s):
		return numToken
	case isDims(s):
		return dimsToken
	}
	return badToken
}

func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (i == 0 || !isDigit(c) && c != '-') {
			return false
		}
	}
	return s != ""
}

// isNumber reports whether s is [-]digits[.digits][e[+|-]digits].
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	s, ok := digits(s)
	if rest, point := strings.CutPrefix(s, "."); ok && point {
		s, ok = digits(rest)
	}
	if ok && s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		s, ok = digits(s)
	}
	return ok && s == ""
}

// isDims reports whether s is whole numbers with an x between them.
func isDims(s string) bool {
	for part := range strings.SplitSeq(s, "x") {
		if rest, ok := digits(part); !ok || rest != "" {
			return false
		}
	}
	return true
}

// digits returns what follows the digits that s begins with; ok is false if
// there are none.
func digits(s string) (rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789")
	return rest, len(rest) < len(s)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

// malformed says why s is no token.
func malformed(s string) string {
	if c := s[0]; isDigit(c) || c == '.' || c == '-' || c == '+' {
		return fmt.Sprintf("malformed number %s; numbers are written 128, 0.5 or 1e-4, and sizes 11x11", quote(s))
	}
	i := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf || !isLetter(byte(r)) && !isDigit(byte(r)) && r != '-' })
	r, _ := utf8.DecodeRuneInString(s[i:])
	return fmt.Sprintf("unexpected character %q in %s; words are letters, digits, _ and -", r, quote(s))
}
