package mysql

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// query reads a statement in the log: what begins and ends a transaction, what changes tables, and what
// should not be there.
func (j *journal) query(ctx context.Context, b *source.Batch, e *event) error {
	var q replication.QueryEvent
	if err := decodeInto(&q, e); err != nil {
		return err
	}
	if e.header.EventType == replication.MARIADB_QUERY_COMPRESSED_EVENT {
		plain, err := mysql.DecompressMariadbData(q.Query)
		if err != nil {
			return fmt.Errorf("decoding the log: decompressing a statement: %w", err)
		}
		q.Query = plain
	}
	sql, schema := string(q.Query), string(q.Schema)
	ansi := ansiQuotes(q.StatusVars)
	s := parseStatement(sql, schema, ansi)
	if !j.tx.open { // an old server names no transactions
		j.tx = transaction{open: true, committed: seconds(e), file: j.file, offset: uint64(e.header.LogPos)}
	}
	switch s.verb {
	case beginVerb:
		j.tx.begun = true
		return nil
	case commitVerb:
		return j.ends(e)
	case innerVerb:
		return nil
	case xaVerb:
		return j.xa(ctx, b, e, sql)
	case rowsVerb:
		if table, found := mentions(sql, schema, ansi, j.captures); found {
			return unread(table, outline(sql, ansi))
		}
	case otherVerb:
	default:
		if err := j.defines(ctx, b, s); err != nil {
			return err
		}
	}
	if j.tx.begun {
		return nil
	}
	return j.ends(e)
}

// loaded reads a LOAD DATA that is in the log as a statement and its file.
func (j *journal) loaded(e *event) error {
	const (
		schemaAt, variablesAt, fixed = 8, 11, 26 // lengths, and where what they are of begins
	)
	body := e.body()
	if len(body) < fixed {
		return fmt.Errorf("decoding the log: %s is cut short", e.header.EventType)
	}
	rest := body[fixed:]
	variables, schema := int(binary.LittleEndian.Uint16(body[variablesAt:])), int(body[schemaAt])
	if len(rest) < variables+schema+1 {
		return fmt.Errorf("decoding the log: %s is cut short", e.header.EventType)
	}
	sql, ansi := string(rest[variables+schema+1:]), ansiQuotes(rest[:variables])
	if table, found := mentions(sql, string(rest[variables:variables+schema]), ansi, j.captures); found {
		return unread(table, outline(sql, ansi))
	}
	return nil
}

// captures is the selector's answer for a name as a statement writes it.
func (j *journal) captures(table string) bool { return j.selector.Captures(j.fold(table)) }

func (j *journal) fold(table string) string {
	if j.folds {
		return strings.ToLower(table)
	}
	return table
}

// defines reads what changes tables.
func (j *journal) defines(ctx context.Context, b *source.Batch, s statement) error {
	if s.verb == truncateVerb {
		if table := j.fold(s.tables[0]); j.selector.Captures(table) {
			return j.truncate(ctx, b, table)
		}
		return nil
	}
	j.tables.forget()
	for _, table := range s.discard {
		if table = j.fold(table); j.selector.Captures(table) {
			if err := j.coverage.discarded(ctx, table, j.at); err != nil {
				return err
			}
		}
	}
	for _, table := range s.tables {
		if table = j.fold(table); j.selector.Captures(table) {
			if err := j.coverage.arrived(ctx, table, j.at, s.proven); err != nil {
				return err
			}
		}
	}
	return nil
}

// truncate adds the change that empties a table.
func (j *journal) truncate(ctx context.Context, b *source.Batch, name string) error {
	table := j.tables.named[name]
	if table == nil {
		schema, short, _ := strings.Cut(name, ".")
		info, err := j.tables.catalog.describe(ctx, schema, short)
		if err != nil {
			return err
		}
		if info == nil {
			// It was dropped since, of which nobody is told either.
			j.log.WarnContext(ctx, "a table was truncated, and dropped since: the truncate is not published", "table", name)
			return nil
		}
		d, _, err := j.tables.define(info, name)
		if err != nil {
			return err
		}
		table = d.table
	}
	b.Changes = append(b.Changes, source.Change{Table: table, Op: kafkasync.Truncated, Committed: j.tx.committed, Place: j.tx.name()})
	return nil
}

// ansiQuotes reports whether the statement was written where double quotes hold names. Its
// variables begin with two that say so: flags, and the mode.
func ansiQuotes(variables []byte) bool {
	const (
		flagsCode, modeCode = 0, 1
		ansi                = 4
	)
	if len(variables) >= 5 && variables[0] == flagsCode {
		variables = variables[5:]
	}
	return len(variables) >= 9 && variables[0] == modeCode && binary.LittleEndian.Uint64(variables[1:])&ansi != 0
}
