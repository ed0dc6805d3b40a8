package mysql

import (
	"slices"
	"strings"
)

// verb is what a statement in the log means to us.
type verb uint8

const (
	otherVerb  verb = iota // nothing that changes rows or tables
	beginVerb              //
	commitVerb             // also of a rollback: what follows is another transaction
	xaVerb                 // one of XA's, whose text is looked at apart
	innerVerb              // savepoints
	rowsVerb               // rows are changed, and the log holds the statement in place of them
	truncateVerb
	createVerb // a table
	renameVerb // tables, by whatever statement
	alterVerb  // anything else that may change what a table looks like
)

// statement is a query of the log, read as far as it matters.
type statement struct {
	verb    verb
	proven  bool     // of createVerb: there was no such table before
	tables  []string // truncated, created, or the new names of renamed ones; as schema.table
	old     []string // the old names of renamed ones
	discard []string // tables of which it drops rows without a trace, such as those of a partition
}

// parseStatement reads a query. schema is what names without one belong to.
func parseStatement(sql, schema string, ansi bool) statement {
	if plain := strings.ToUpper(strings.TrimSpace(sql[:min(len(sql), 16)])); plain == "BEGIN" || plain == "COMMIT" {
		if plain == "BEGIN" { // by far the most
			return statement{verb: beginVerb}
		}
		return statement{verb: commitVerb}
	}
	r := &tokens{rest: lex(sql, ansi), schema: schema}
	for r.sign("(") {
	}
	switch {
	case r.word("BEGIN"), r.word("START", "TRANSACTION"):
		return statement{verb: beginVerb}
	case r.word("COMMIT"):
		return statement{verb: commitVerb}
	case r.word("ROLLBACK"):
		if r.word("TO") || r.word("WORK", "TO") {
			return statement{verb: innerVerb}
		}
		return statement{verb: commitVerb}
	case r.word("SAVEPOINT"), r.word("RELEASE", "SAVEPOINT"):
		return statement{verb: innerVerb}
	case r.word("XA"):
		return statement{verb: xaVerb}
	}
	for _, w := range []string{"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "WITH", "SELECT", "CALL", "DO", "VALUES"} {
		if r.word(w) {
			return statement{verb: rowsVerb}
		}
	}
	return r.definition()
}

// tokens reads a statement from its beginning.
type tokens struct {
	rest   []token
	schema string
}

// word passes over keywords, if they come next.
func (r *tokens) word(words ...string) bool {
	if len(r.rest) < len(words) {
		return false
	}
	for i, w := range words {
		if r.rest[i].kind != wordToken || !strings.EqualFold(r.rest[i].text, w) {
			return false
		}
	}
	r.rest = r.rest[len(words):]
	return true
}

func (r *tokens) sign(text string) bool {
	if len(r.rest) == 0 || r.rest[0].kind != signToken || r.rest[0].text != text {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// table reads a name, with its schema.
func (r *tokens) table() (string, bool) {
	first, ok := r.name()
	if !ok {
		return "", false
	}
	if !r.sign(".") {
		return r.schema + "." + first, true
	}
	second, ok := r.name()
	return first + "." + second, ok
}

func (r *tokens) name() (string, bool) {
	if len(r.rest) == 0 || r.rest[0].kind != wordToken && r.rest[0].kind != quotedToken {
		return "", false
	}
	name := r.rest[0].text
	r.rest = r.rest[1:]
	return name, true
}

// definition reads what defines tables.
func (r *tokens) definition() statement {
	switch {
	case r.word("TRUNCATE"):
		r.word("TABLE")
		if name, ok := r.table(); ok {
			return statement{verb: truncateVerb, tables: []string{name}}
		}
	case r.word("CREATE"):
		return r.create()
	case r.word("RENAME", "TABLE"), r.word("RENAME", "TABLES"):
		r.word("IF", "EXISTS")
		return r.renames()
	case r.word("ALTER"):
		return r.alter()
	case r.word("DROP", "TEMPORARY"):
		return statement{}
	case r.word("DROP"), r.word("RENAME"), r.word("IMPORT"):
	default:
		return statement{}
	}
	return statement{verb: alterVerb}
}

func (r *tokens) create() statement {
	replaces := r.word("OR", "REPLACE")
	if r.word("TEMPORARY") || !r.word("TABLE") {
		return statement{}
	}
	exists := r.word("IF", "NOT", "EXISTS")
	name, ok := r.table()
	if !ok {
		return statement{verb: alterVerb}
	}
	return statement{verb: createVerb, proven: !exists && !replaces, tables: []string{name}}
}

func (r *tokens) renames() statement {
	s := statement{verb: renameVerb}
	for {
		from, ok := r.table()
		if !ok {
			return s
		}
		if r.word("WAIT") {
			r.name() // the seconds
		}
		r.word("NOWAIT")
		if !r.word("TO") {
			return s
		}
		to, ok := r.table()
		if !ok {
			return s
		}
		s.old, s.tables = append(s.old, from), append(s.tables, to)
		if !r.sign(",") {
			return s
		}
	}
}

// alter reads ALTER TABLE for what it does to names and, unlogged, to rows.
func (r *tokens) alter() statement {
	r.word("ONLINE")
	r.word("IGNORE")
	if !r.word("TABLE") {
		return statement{verb: alterVerb}
	}
	r.word("IF", "EXISTS")
	name, ok := r.table()
	if !ok {
		return statement{verb: alterVerb}
	}
	s := statement{verb: alterVerb}
	for len(r.rest) > 0 {
		switch {
		case r.word("DROP", "PARTITION"), r.word("TRUNCATE", "PARTITION"), r.word("DISCARD", "TABLESPACE"), r.word("IMPORT", "TABLESPACE"),
			r.word("DISCARD", "PARTITION"), r.word("IMPORT", "PARTITION"):
			s.discard = []string{name}
		case r.word("EXCHANGE", "PARTITION"):
			s.discard = []string{name}
			r.name()
			if r.word("WITH", "TABLE") {
				if other, ok := r.table(); ok {
					s.discard = append(s.discard, other)
				}
			}
		case r.word("RENAME", "COLUMN"), r.word("RENAME", "INDEX"), r.word("RENAME", "KEY"):
		case r.word("RENAME"):
			if !r.word("TO") && !r.word("AS") {
				r.sign("=")
			}
			if to, ok := r.table(); ok {
				s.verb, s.old, s.tables = renameVerb, []string{name}, []string{to}
			}
		default:
			r.rest = r.rest[1:]
		}
	}
	return s
}

// mentions returns a table that a statement names, of those that are captured. It looks at every
// name: a statement in place of rows is refused rather than understood.
func mentions(sql, schema string, ansi bool, captures func(string) bool) (table string, found bool) {
	all := lex(sql, ansi)
	for i, t := range all {
		if t.kind != wordToken && t.kind != quotedToken {
			continue
		}
		if name := schema + "." + t.text; captures(name) {
			return name, true
		}
		if i+2 < len(all) && all[i+1] == (token{".", signToken}) && slices.Contains([]tokenKind{wordToken, quotedToken}, all[i+2].kind) {
			if name := t.text + "." + all[i+2].text; captures(name) {
				return name, true
			}
		}
	}
	return "", false
}

// outline is a statement without what it says of anybody's rows.
func outline(sql string, ansi bool) string {
	var words []string
	for _, t := range lex(sql, ansi) {
		switch {
		case t.kind == stringToken, t.kind == wordToken && t.text[0] >= '0' && t.text[0] <= '9':
			words = append(words, "?")
		case t.kind == quotedToken:
			words = append(words, "`"+t.text+"`")
		default:
			words = append(words, t.text)
		}
	}
	const most = 200
	text := []rune(strings.Join(words, " "))
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
