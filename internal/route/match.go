package route

import (
	"errors"
	"strings"

	"github.com/kafkasync/kafkasync/internal/glob"
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
	return dot && !strings.Contains(table, ".") && glob.Match(p.schema, schema) && glob.Match(p.table, table)
}

// literal reports whether the pattern is the name of one table.
func (p pattern) literal() bool { return !strings.ContainsAny(p.schema+p.table, "*?") }
