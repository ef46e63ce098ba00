// Errors: where something is wrong in a text, shown with the line and a caret.

package dsl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	maxErrors  = 1000 // collected; what is wrong beyond that is not looked for
	maxPrinted = 50
	maxExcerpt = 120 // characters of a line that are printed
)

// Position is a place in a text. Line and Column count from 1; Column counts
// characters, not bytes.
type Position struct {
	File         string
	Line, Column int
}

// String returns file:line:column.
func (p Position) String() string {
	return fmt.Sprintf("%s:%d:%d", printable(p.File), p.Line, p.Column)
}

// Error is one thing that is wrong with a text.
type Error struct {
	Pos   Position
	Line  string // the whole line, or "" where there is none to show
	Width int    // of the trouble, in characters
	Text  string // what happened, and what was expected

	order int // of the text among those that were read together
}

// Error returns the position and the text and, below, the line with a caret
// under the trouble. What cannot be printed is replaced, and only the part of a
// long line around the trouble is shown.
func (e Error) Error() string {
	s := e.Pos.String() + ": " + e.Text
	if e.Line == "" {
		return s
	}
	line, column := []rune(e.Line), e.Pos.Column-1
	var before, after string
	if first := column - maxExcerpt/3; len(line) > maxExcerpt && first > 0 {
		line, column, before = line[first:], column-first, "..."
	}
	if len(line) > maxExcerpt {
		line, after = line[:maxExcerpt], "..."
	}
	shown := []rune(printable(string(line)))
	var caret strings.Builder
	caret.WriteString(strings.Repeat(" ", len(before)))
	for i := range column { // tabs stay tabs, so that the caret stands under its character
		if i < len(shown) && shown[i] == '\t' {
			caret.WriteByte('\t')
		} else {
			caret.WriteByte(' ')
		}
	}
	caret.WriteByte('^')
	caret.WriteString(strings.Repeat("~", max(0, min(e.Width, len(shown)-column)-1)))
	return fmt.Sprintf("%s\n    %s%s%s\n    %s", s, before, string(shown), after, caret.String())
}

// Errors are all errors of a text, in the order of their positions: those of
// the file first, then those of each setting.
type Errors []Error

// Error returns the first errors one below the other, and the count of those
// left out.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e[:min(len(e), maxPrinted)] {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(err.Error())
	}
	if left := len(e) - maxPrinted; left > 0 {
		more := ""
		if len(e) >= maxErrors {
			more = " or more"
		}
		fmt.Fprintf(&b, "\nand %d%s", left, more)
	}
	return b.String()
}

// report adds an error about width characters from t on.
func (e *Errors) report(t token, width int, format string, args ...any) {
	if e.full() {
		return
	}
	*e = append(*e, Error{
		Pos:   t.position(),
		Line:  t.src.line(t.line),
		Width: max(width, 1),
		Text:  fmt.Sprintf(format, args...),
		order: t.src.order,
	})
}

// at adds an error about the token t.
func (e *Errors) at(t token, format string, args ...any) {
	e.report(t, t.width(), format, args...)
}

func (e Errors) full() bool { return len(e) >= maxErrors }

// result returns the errors sorted, or nil if there are none.
func (e Errors) result() error {
	if len(e) == 0 {
		return nil
	}
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return e
}

// printable replaces characters that could do something to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// quote returns s in quotes and short enough to stand in a message.
func quote(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

// didYouMean returns "; did you mean X?" for the word nearest to s, or else what
// was expected.
func didYouMean(s string, words []string) string {
	if best := nearest(s, words); best != "" {
		return "; did you mean " + best + "?"
	}
	if len(words) == 0 {
		return ""
	}
	return "; expected " + either(words)
}

// either returns "a, b or c".
func either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest returns the word that the fewest slips of the keyboard turn into s,
// if they are few, else "".
func nearest(s string, words []string) string {
	limit := 2
	if len(s) <= 3 {
		limit = 1
	}
	best := ""
	for _, w := range words {
		if abs(len(w)-len(s)) > limit {
			continue
		}
		if d := distance(s, w); d <= limit && d < len(w) {
			best, limit = w, d-1
		}
	}
	return best
}

// distance is Levenshtein's: single letters put in, left out or exchanged.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(d, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

func abs(n int) int { return max(n, -n) }
