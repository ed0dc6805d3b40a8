package route

import (
	"errors"
	"strings"
)

// ValidMatch says why a pattern cannot match any table; nil if it can. A pattern
// is schema.table with exactly one dot; * stands for any text without a dot,
// ? for one character but a dot. Upper and lower case are different.
//
// A schema or table whose own name holds a dot is matched by no pattern: its
// full name could as well be that of another table.
func ValidMatch(pattern string) error {
	schema, table, dot := strings.Cut(pattern, ".")
	switch {
	case !dot:
		return errors.New("it has no dot")
	case schema == "":
		return errors.New("there is no schema before the dot")
	case table == "":
		return errors.New("there is no table after the dot")
	case strings.Contains(table, "."):
		return errors.New("it has more than one dot")
	case strings.TrimSpace(pattern) != pattern:
		return errors.New("it starts or ends with a blank")
	}
	return nil
}

// pattern is a valid Rule.Match.
type pattern struct{ schema, table string }

// covers reports whether the pattern matches a table's full name.
func (p pattern) covers(name string) bool {
	schema, table, dot := strings.Cut(name, ".")
	return dot && !strings.Contains(table, ".") && glob(p.schema, schema) && glob(p.table, table)
}

// literal reports whether the pattern is the name of one table.
func (p pattern) literal() bool { return !strings.ContainsAny(p.schema+p.table, "*?") }

// glob reports whether text, which has no dot, matches. Only the last * is ever
// tried again, so no pattern takes exponential time.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, retry := -1, 0
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, retry = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			retry++
			i, j = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}
