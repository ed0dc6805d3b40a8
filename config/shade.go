package config

import (
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/token"

	"github.com/kafkasync/kafkasync/sink/kafka"
)

// class says what of a key's value may be shown in an excerpt.
type class int

const (
	closed  class = iota // nothing: a secret, or a key that we do not know
	branch               // more keys, but no plain value
	open                 // plain values, and more keys
	address              // a URL, if it holds no password
	columns              // everything below it: names of columns
)

func classOf(key string) class {
	switch key {
	case "cluster", "nodes", "tls", "kafka", "config", "topics", "pipelines", "source", "postgres", "mysql", "mariadb", "tables":
		return branch
	case "name", "data_dir", "id", "raft", "http", "raft_listen", "http_listen", "cert", "key", "ca",
		"election_timeout", "listen", "brokers", "create", "partitions", "replication", "slot", "publication", "server_id",
		"bigint", "binary", "match", "skip", "topic", "delay", "truncate", "tombstones":
		return open
	case "url":
		return address
	case "payload":
		return columns
	}
	if kafka.Refused(key) != "" {
		return open
	}
	return closed
}

// shader walks the tokens of a file that parses and reveals what may be shown.
type shader struct {
	view  *view
	depth int // of { and [
	owner class
	scope *scope
}

// scope is the reach of a key whose whole value is hidden or shown alike.
type scope struct {
	class               class
	line, column, depth int
}

func (s *shader) walk(tokens token.Tokens) {
	var before *token.Token
	for i, tk := range tokens {
		if tk.Position == nil {
			continue
		}
		if tk.Type == token.CommentType {
			s.view.drop(tk.Position.Line, tk.Position.Column)
			continue
		}
		var after *token.Token
		for _, next := range tokens[i+1:] {
			if next.Type != token.CommentType {
				after = next
				break
			}
		}
		s.step(before, tk, after)
		before = tk
	}
}

func (s *shader) step(before, tk, after *token.Token) {
	s.nest(tk)
	switch {
	case tk.Type == token.InvalidType:
	case tk.Type == token.MappingKeyType: // "? key", which is not supported
		s.close(tk)
	case after != nil && after.Type == token.MappingValueType:
		if startsEntry(before, tk) {
			s.key(tk)
		} else {
			s.close(tk)
		}
	case s.scope != nil && s.scope.class == closed && !isColonOf(s.scope, before, tk):
		if isReference(tk.Value) {
			s.show(tk)
		}
	case isMark(tk):
		s.show(tk)
	case s.allowed(tk) || isAnchorName(before, tk.Value):
		s.show(tk)
	}
}

// nest follows the brackets, and ends the scope where its value has ended.
func (s *shader) nest(tk *token.Token) {
	if tk.Type == token.MappingEndType || tk.Type == token.SequenceEndType {
		s.depth--
	}
	if s.scope != nil && s.leaves(tk) {
		s.scope, s.owner = nil, closed
	}
	if tk.Type == token.MappingStartType || tk.Type == token.SequenceStartType {
		s.depth++
	}
}

func (s *shader) leaves(tk *token.Token) bool {
	if s.scope.depth > 0 {
		return s.depth < s.scope.depth || tk.Type == token.CollectEntryType && s.depth == s.scope.depth
	}
	if s.depth > 0 || tk.Position.Line <= s.scope.line {
		return false
	}
	if tk.Type == token.SequenceEntryType {
		return tk.Position.Column < s.scope.column // a list may stand below its key without indentation
	}
	return tk.Position.Column <= s.scope.column
}

func (s *shader) key(tk *token.Token) {
	if s.scope != nil && s.scope.class == closed {
		return
	}
	s.show(tk)
	if s.scope != nil { // columns: whatever they are called
		return
	}
	s.owner = classOf(tk.Value)
	if s.owner == closed || s.owner == columns {
		s.scope = &scope{s.owner, tk.Position.Line, tk.Position.Column, s.depth}
	}
}

// close hides what belongs to a key that is not understood.
func (s *shader) close(tk *token.Token) {
	if s.scope == nil || s.scope.class != closed {
		s.scope = &scope{closed, tk.Position.Line, tk.Position.Column, s.depth}
	}
}

// allowed reports whether a plain value may be shown.
func (s *shader) allowed(tk *token.Token) bool {
	switch {
	case isReference(tk.Value):
		return true
	case strings.Contains(tk.Value, "-----BEGIN"): // a key itself, where the name of its file belongs
		return false
	case s.scope != nil:
		return s.scope.class == columns
	case s.owner == address:
		return urlHoldsNoSecret(tk.Value)
	}
	return s.owner == open
}

func (s *shader) show(tk *token.Token) {
	text := tk.Value
	switch tk.Type {
	case token.DoubleQuoteType:
		text = `"` + text + `"`
	case token.SingleQuoteType:
		text = "'" + text + "'"
	default:
	}
	s.view.reveal(tk.Position.Line, tk.Position.Column, text)
}

// startsEntry tells a key from text with a colon in it: "password: a: b".
func startsEntry(before, tk *token.Token) bool {
	if before == nil || before.Position.Line != tk.Position.Line {
		return true
	}
	switch before.Type {
	case token.SequenceEntryType, token.MappingStartType, token.CollectEntryType, token.SequenceStartType:
		return true
	default:
		return false
	}
}

func isColonOf(s *scope, before, tk *token.Token) bool {
	return tk.Type == token.MappingValueType && before != nil &&
		before.Position.Line == s.line && before.Position.Column == s.column
}

// anchorName is what a person calls an anchor. A password that starts with & or *
// is one to YAML too.
var anchorName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,30}$`)

func isAnchorName(before *token.Token, name string) bool {
	return before != nil && (before.Type == token.AliasType || before.Type == token.AnchorType) && anchorName.MatchString(name)
}

// isMark reports whether the token is YAML's own punctuation.
func isMark(tk *token.Token) bool {
	switch tk.Type {
	case token.MappingValueType, token.SequenceEntryType, token.MappingStartType, token.MappingEndType,
		token.SequenceStartType, token.SequenceEndType, token.CollectEntryType, token.LiteralType, token.FoldedType,
		token.AnchorType, token.AliasType, token.MergeKeyType, token.DocumentHeaderType, token.DocumentEndType:
		return true
	default:
		return false
	}
}

// references matches text that holds nothing else. It says where a secret is
// and not what it is, so it may be shown.
var references = regexp.MustCompile(`^(\$\{([A-Za-z_][A-Za-z0-9_]*|file:/[^{}\n]*)\})+$`)

func isReference(text string) bool { return references.MatchString(text) }

// plainLine matches "key: value" where the value has nothing that YAML could read
// in another way.
var plainLine = regexp.MustCompile(`^((?:- )*)([a-z_]+):( [^{}"'#&*!|>%@\x60]*)?$`)

// revealPlainLines is for a file that does not parse: a single wrong quote turns
// its secrets into structure and its structure into text, so only lines that say
// by themselves that they are harmless are shown.
func (v *view) revealPlainLines() {
	for i, line := range v.lines {
		text := strings.TrimLeft(string(line), " \t")
		indent := len(line) - len([]rune(text))
		text, _, _ = strings.Cut(text, " #")
		text = strings.TrimRight(text, " \t")
		m := plainLine.FindStringSubmatch(text)
		switch {
		case strings.HasPrefix(text, "#"):
			v.drop(i+1, indent+1)
		case m != nil && classOf(m[2]) == open && !strings.Contains(m[3], ": "):
			v.reveal(i+1, indent+1, text)
		default:
			key, _, _ := strings.Cut(strings.TrimLeft(text, "- "), ":")
			if isKnown(key) {
				at := strings.Index(text, key)
				v.reveal(i+1, indent+1, text[:at]+key+":")
			}
		}
	}
}

// isKnown reports whether a word is a key of ours, even of a secret.
func isKnown(word string) bool {
	switch word {
	case "token", "read_token", "password":
		return true
	}
	return classOf(word) != closed
}
