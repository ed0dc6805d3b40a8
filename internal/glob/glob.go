// Package glob matches names against patterns: of tables in rules, of topics in
// what the cluster remembers of rules. It does no I/O and knows nothing of either.
package glob

import "strings"

// Match reports whether text matches: * stands for any text, ? for one character. Only the
// last * is ever tried again, so no pattern takes exponential time.
func Match(pattern, text string) bool {
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
