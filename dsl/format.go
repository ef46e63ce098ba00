// Formatter: a parsed file to text in the one canonical layout.

package dsl

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Where things stand in a line, counted in characters from 0.
const (
	blockIndent   = 4
	nameColumn    = 8   // of the kind after a name; more for long names
	kindWidth     = 4   // what follows lrn stands where it would after conv
	commentColumn = 39  // of the comment after a line; more for a paragraph with longer lines
	maxAligned    = 100 // comments after longer lines are not aligned
)

// Format returns the text in canonical layout: kinds in a column and comments
// in another, at most one blank line at a time, the blocks after the layers,
// keywords in one order and numbers in their shortest form. Comments, and what
// is written although it is the default, stay. Formatting what is formatted
// changes nothing, and the network is the same. Errors are as in [Parse], but
// only of the syntax: names and shapes are not looked at.
func Format(file string, src []byte) ([]byte, error) { return Apply(file, src) }

// Apply returns the text, formatted, with the settings written into it: Parse
// makes of it what it makes of the text and the settings.
func Apply(file string, src []byte, set ...Setting) ([]byte, error) {
	f, errs := read(file, src, set)
	if err := errs.result(); err != nil {
		return nil, err
	}
	out := f.format()
	if len(out) > maxFile {
		return nil, Errors{{
			Pos:  Position{file, 1, 1},
			Text: fmt.Sprintf("the formatted text would have %d bytes, more than the %d that a network may take", len(out), maxFile),
		}}
	}
	return out, nil
}

// row is a line of the result.
type row struct{ code, comment string }

func (f *file) format() []byte {
	width := nameColumn
	for _, s := range f.statements(layerLine, nil) {
		if n := len(s.name.text) + 2; n > width {
			width = (n + 3) / 4 * 4
		}
	}
	var rows []row
	above := blankLine
	for _, part := range f.parts() {
		gap := true // a blank line comes before the next, unless that is the first in the file or in a block
		for _, l := range part.lines {
			r := l.row(width)
			if r == (row{}) {
				gap = true
				continue
			}
			if gap && len(rows) > 0 && above != openLine && l.role != closeLine {
				rows = append(rows, row{})
			}
			rows = append(rows, r)
			above, gap = l.role, false
		}
	}
	return layout(rows)
}

// part is a block with the comment above it, or the lines between blocks.
type part struct {
	lines []*line
	rank  int // parts stand in this order
}

// parts divides the file into parts and puts them in canonical order. Comments
// between and after blocks stay after the block that they followed.
func (f *file) parts() []part {
	var parts []part
	lines := f.lines
	rank := 0
	cut := func(n, r int) {
		if n > 0 {
			parts = append(parts, part{lines[:n], r})
			lines, rank = lines[n:], r
		}
	}
	for len(lines) > 0 {
		open := slices.IndexFunc(lines, func(l *line) bool { return l.role == openLine })
		if open < 0 {
			open = len(lines)
		}
		first := open // of the block's own comment
		for open < len(lines) && first > 0 && lines[first-1].role == blankLine && lines[first-1].comment != "" {
			first--
		}
		between := rank
		if slices.ContainsFunc(lines[:first], func(l *line) bool { return l.role != blankLine }) {
			between = 0
		}
		cut(first, between)
		if len(lines) == 0 {
			break
		}
		end := slices.IndexFunc(lines, func(l *line) bool { return l.role == closeLine })
		word := lines[open-first].block.word
		cut(end+1, 1+slices.IndexFunc(blocks, func(b block) bool { return b.word == word }))
	}
	slices.SortStableFunc(parts, func(a, b part) int { return a.rank - b.rank })
	return parts
}

// row lays out a line; width is that of the names.
func (l *line) row(width int) row {
	indent := ""
	if l.block != nil && (l.role == blankLine || l.role == statementLine) {
		indent = strings.Repeat(" ", blockIndent)
	}
	switch {
	case l.role == openLine:
		return row{l.block.word + " {", l.comment}
	case l.role == closeLine:
		return row{"}", l.comment}
	case l.stmt != nil && l.role == layerLine:
		return row{fmt.Sprintf("%-*s%s", width, l.stmt.name.text, l.stmt.format(kindWidth)), l.comment}
	case l.stmt != nil:
		return row{indent + l.stmt.format(0), l.comment}
	case l.comment != "":
		return row{"", indent + l.comment}
	}
	return row{}
}

// format returns the statement without its name; the first word takes at least
// the given width.
func (s *stmt) format(width int) string {
	words := []string{fmt.Sprintf("%-*s", width, s.head.text)}
	for i, v := range s.sizes {
		words = append(words, v.format(s.form.sizes[i].value))
	}
	for _, c := range s.clauses {
		words = append(words, c.head.text)
		for i, v := range c.values {
			text := v.format(c.param.value)
			if c.param.value == sourcesValue && i+1 < len(c.values) {
				text += ","
			}
			words = append(words, text)
		}
	}
	return strings.TrimRight(strings.Join(words, " "), " ")
}

// format returns the value in its shortest form. Whether a number has an
// exponent is the author's choice.
func (v value) format(kind valueKind) string {
	switch kind {
	case countValue, countsValue:
		return strconv.Itoa(v.ints[0])
	case seedValue:
		return strconv.FormatUint(v.seed, 10)
	case windowValue:
		return fmt.Sprintf("%dx%d", v.ints[0], v.ints[1])
	case shapeValue:
		return fmt.Sprintf("%dx%dx%d", v.ints[0], v.ints[1], v.ints[2])
	case numberValue:
		if !strings.ContainsAny(v.text, "eE") {
			return strconv.FormatFloat(v.number, 'f', -1, 64)
		}
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v.number, 'e', -1, 64), "e")
		n, _ := strconv.Atoi(exponent) // which has a sign and two digits or more
		return mantissa + "e" + strconv.Itoa(n)
	}
	return v.text
}

// layout joins the rows and aligns the comments of each paragraph.
func layout(rows []row) []byte {
	var out bytes.Buffer
	for paragraph := range paragraphs(rows) {
		column := commentColumn
		for _, r := range paragraph {
			if n := utf8.RuneCountInString(r.code); r.comment != "" && n <= maxAligned {
				column = max(column, n+2)
			}
		}
		for _, r := range paragraph {
			switch {
			case r.code == "" || r.comment == "":
				out.WriteString(r.code + r.comment)
			case utf8.RuneCountInString(r.code) > maxAligned:
				out.WriteString(r.code + "  " + r.comment)
			default:
				fmt.Fprintf(&out, "%-*s%s", column, r.code, r.comment)
			}
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// paragraphs yields the rows up to each blank one, with it.
func paragraphs(rows []row) iter.Seq[[]row] {
	return func(yield func([]row) bool) {
		for len(rows) > 0 {
			n := slices.Index(rows, row{}) + 1
			if n == 0 {
				n = len(rows)
			}
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}
