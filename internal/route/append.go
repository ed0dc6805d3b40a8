package route

import (
	"bytes"
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// Append appends the messages of a change to dst: none to three. One is the
// rule; a row that moved to another key is deleted and created, a rule with
// tombstones lets one follow each delete, a truncate may be skipped. Seq is not
// set; a tombstone (nil Value) takes that of the message before it.
//
// The bytes of the messages are buf's, and valid until its Reset. On an error
// dst is returned as it was; a *kafkasync.Fault of class Stop says what of the
// table and its rule do not fit.
func (r *Router) Append(dst []kafkasync.Message, buf *Buffer, c *source.Change) ([]kafkasync.Message, error) {
	p, err := buf.plan(r, c.Table)
	if err != nil {
		return dst, err
	}
	if err := p.fits(c); err != nil {
		return dst, err
	}
	before := len(dst)
	switch c.Op {
	case kafkasync.Created:
		dst, err = p.append(dst, buf, c, c.Op, c.New, nil)
	case kafkasync.Updated:
		if !p.moved(c) {
			dst, err = p.append(dst, buf, c, c.Op, c.New, c.Old)
			break
		}
		if dst, err = p.delete(dst, buf, c); err == nil {
			dst, err = p.append(dst, buf, c, kafkasync.Created, c.New, c.Old)
		}
	case kafkasync.Deleted:
		dst, err = p.delete(dst, buf, c)
	case kafkasync.Truncated:
		dst = p.truncate(dst, buf, c)
	default:
		err = fmt.Errorf("a change of %s has the unknown operation %q", c.Table.Name, byte(c.Op))
	}
	if err != nil {
		return dst[:before], err
	}
	return dst, nil
}

// fits reports a change that lacks the rows of its operation, which only a
// source with a bug makes. Nothing below looks outside of them.
func (p *plan) fits(c *source.Change) error {
	columns := len(p.table.Columns)
	hasNew, hasOld := len(c.New) == columns, len(c.Old) == columns
	var ok bool
	switch c.Op {
	case kafkasync.Created:
		ok = hasNew
	case kafkasync.Updated:
		ok = hasNew && (hasOld || c.Old == nil)
	case kafkasync.Deleted:
		ok = hasOld
	default:
		ok = true
	}
	if !ok {
		return fmt.Errorf("a change of %s with operation %s has rows of %d and %d columns, want %d",
			p.table.Name, c.Op, len(c.New), len(c.Old), columns)
	}
	return nil
}

// moved reports whether an update made another row of it. Where the log holds
// nothing of the row before, or of the column after, that column is unchanged.
func (p *plan) moved(c *source.Change) bool {
	if c.Old == nil {
		return false
	}
	for _, i := range p.identity {
		was, is := &c.Old[i], &c.New[i]
		if was.Kind == source.Absent || is.Kind == source.Absent {
			continue
		}
		if was.Kind != is.Kind || !bytes.Equal(was.Bytes, is.Bytes) {
			return true
		}
	}
	return false
}

func (p *plan) delete(dst []kafkasync.Message, buf *Buffer, c *source.Change) ([]kafkasync.Message, error) {
	dst, err := p.append(dst, buf, c, kafkasync.Deleted, c.Old, nil)
	if err != nil || !p.rule.Tombstones {
		return dst, err
	}
	tombstone := dst[len(dst)-1]
	tombstone.Value = nil
	return append(dst, tombstone), nil
}

func (p *plan) truncate(dst []kafkasync.Message, buf *Buffer, c *source.Change) []kafkasync.Message {
	if p.rule.Truncate == SkipTruncate {
		return dst
	}
	at := len(buf.bytes)
	buf.bytes = append(buf.bytes, p.nulls...)
	dst = append(dst, p.blank)
	m := &dst[len(dst)-1]
	m.Value, m.Op, m.Committed, m.Pos = buf.since(at), c.Op, c.Committed, c.Place
	m.Delay = 0 // by then the table may be full again
	return dst
}

// append appends the message of one row. What row does not hold, rest may.
func (p *plan) append(dst []kafkasync.Message, buf *Buffer, c *source.Change, op kafkasync.Op, row, rest []source.Value) ([]kafkasync.Message, error) {
	at := len(buf.bytes)
	if err := p.appendKey(buf, row, rest); err != nil {
		return dst, err
	}
	middle := len(buf.bytes)
	if err := p.appendValue(buf, row, rest); err != nil {
		return dst, err
	}
	dst = append(dst, p.blank)
	m := &dst[len(dst)-1]
	m.Key, m.Value = buf.bytes[at:middle:middle], buf.since(middle)
	m.Op, m.Committed, m.Pos = op, c.Committed, c.Place
	return dst, nil
}

func (p *plan) appendKey(buf *Buffer, row, rest []source.Value) error {
	if len(p.key) == 1 {
		i := p.key[0]
		v, err := p.keyValue(i, row, rest)
		if err != nil {
			return err
		}
		out, problem := appendBare(buf.bytes, v, p.router.enc)
		if problem != "" {
			return p.valueFault(i, problem)
		}
		buf.bytes = out
		return nil
	}
	open := byte('[')
	for _, i := range p.key {
		v, err := p.keyValue(i, row, rest)
		if err != nil {
			return err
		}
		out, problem := appendJSON(append(buf.bytes, open), v, p.router.enc)
		if problem != "" {
			return p.valueFault(i, problem)
		}
		buf.bytes, open = out, ','
	}
	buf.bytes = append(buf.bytes, ']')
	return nil
}

// appendValue leaves out what the log does not hold.
func (p *plan) appendValue(buf *Buffer, row, rest []source.Value) error {
	out := append(buf.bytes, '{')
	first := true
	for i := range p.payload {
		f := &p.payload[i]
		v := pick(f.column, row, rest)
		if v.Kind == source.Absent {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		var problem string
		if out, problem = appendJSON(append(out, f.name...), v, p.router.enc); problem != "" {
			return p.valueFault(f.column, problem)
		}
	}
	buf.bytes = append(out, '}')
	return nil
}

// pick returns the value of a column. What an update did not write is the same
// in the row before, if that holds it.
func pick(column int, row, rest []source.Value) *source.Value {
	if v := &row[column]; v.Kind != source.Absent || rest == nil {
		return v
	}
	return &rest[column]
}
