package mysql

import "strings"

// token is a word, a quoted name, a string, a number or one sign of a statement.
type token struct {
	text string
	kind tokenKind
}

type tokenKind uint8

const (
	wordToken   tokenKind = iota // a keyword or a name
	quotedToken                  // a name for sure
	stringToken
	signToken
)

// lex takes a statement apart as far as telling names from text needs it. Comments are left
// out, but for those whose content MySQL or MariaDB runs: /*!80000 ... */ and /*M!100000 ... */.
// With ansi, double quotes hold names.
func lex(sql string, ansi bool) []token {
	var all []token
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			i++
		case c == '#' || strings.HasPrefix(sql[i:], "--") && (i+2 == len(sql) || sql[i+2] <= ' '):
			i = behind(sql, i, "\n")
		case strings.HasPrefix(sql[i:], "/*!"), strings.HasPrefix(sql[i:], "/*M!"):
			i += strings.IndexByte(sql[i:], '!') + 1
			for i < len(sql) && sql[i] >= '0' && sql[i] <= '9' {
				i++
			}
		case strings.HasPrefix(sql[i:], "/*"):
			i = behind(sql, i+2, "*/")
		case strings.HasPrefix(sql[i:], "*/"): // of a comment that is run
			i += 2
		case c == '`' || c == '"' || c == '\'':
			kind := stringToken
			if c == '`' || ansi && c == '"' {
				kind = quotedToken
			}
			text, next := unquote(sql, i, kind == stringToken)
			all, i = append(all, token{text, kind}), next
		case isWord(c):
			next := i + 1
			for next < len(sql) && isWord(sql[next]) {
				next++
			}
			all, i = append(all, token{sql[i:next], wordToken}), next
		default:
			all, i = append(all, token{sql[i : i+1], signToken}), i+1
		}
	}
	return all
}

// isWord knows the bytes of names without quotes; all of UTF-8 beyond ASCII is allowed in them.
func isWord(c byte) bool {
	return c >= 0x80 || c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// behind is where the text goes on after an end, or its own.
func behind(sql string, at int, end string) int {
	if n := strings.Index(sql[at:], end); n >= 0 {
		return at + n + len(end)
	}
	return len(sql)
}

// unquote reads what begins with a quote. A doubled quote stands for one; in a string, a backslash
// takes the next byte's meaning.
func unquote(sql string, at int, backslash bool) (text string, next int) {
	quote := sql[at]
	var b strings.Builder
	for i := at + 1; i < len(sql); i++ {
		switch {
		case backslash && sql[i] == '\\' && i+1 < len(sql):
			i++
			b.WriteByte(unescape(sql[i]))
		case sql[i] != quote:
			b.WriteByte(sql[i])
		case i+1 < len(sql) && sql[i+1] == quote:
			i++
			b.WriteByte(quote)
		default:
			return b.String(), i + 1
		}
	}
	return b.String(), len(sql)
}

// unescape is what a byte behind a backslash stands for.
func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
