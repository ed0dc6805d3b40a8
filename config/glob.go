package config

import (
	"strings"

	"github.com/kafkasync/kafkasync/internal/route"
)

func isLiteral(pattern string) bool { return !strings.ContainsAny(pattern, "*?") }

// covers reports whether one pattern certainly matches every table that another
// matches. Between two patterns with wildcards it may say no where it is so.
func covers(wide, narrow string) bool {
	if isLiteral(wide) || wide == narrow {
		return wide == narrow
	}
	if isLiteral(narrow) {
		one, err := route.New("covers", []route.Rule{{Match: wide, Topic: "covers"}}, route.Encoding{})
		return err == nil && one.Captures(narrow)
	}
	wideSchema, wideTable, _ := strings.Cut(wide, ".")
	narrowSchema, narrowTable, _ := strings.Cut(narrow, ".")
	return (wideSchema == "*" || wideSchema == narrowSchema) && (wideTable == "*" || wideTable == narrowTable)
}
