package measure

import (
	"fmt"
	"math"
	"strings"
)

// Cell writes a value so that it does not end its cell.
func Cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
			return fmt.Sprint(v)
		case math.Abs(v) >= 1000:
			return fmt.Sprintf("%.0f", v)
		}
		return fmt.Sprintf("%.4g", v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	}
	return strings.ReplaceAll(OneLine(fmt.Sprint(v)), "|", `\|`)
}

// OneLine returns s with each run of white space as one space.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Slug returns s as a part of a file's name: small letters and digits of ASCII,
// with a hyphen for whatever is between them.
func Slug(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	}), "-")
}
