package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// relation is a table as the last Relation message described it. The server
// sends a new one before the first row that was written under another schema.
type relation struct {
	table   *source.Table // nil: not captured, its rows are skipped
	columns []column      // of a tuple, in its order
	last    int           // index of the last wanted column; decoding stops behind it
}

// column is one column of a relation's tuples.
type column struct {
	name     string
	typeOID  uint32
	identity bool // part of the replica identity
	slot     int  // its place in a row of the table; -1: not wanted
	codec         // complete where the column is wanted
}

// typeName is what the log says of a type that a user or an extension made: its
// name, or, of a domain, the name of the type below. The schema of what is built in is "".
type typeName struct{ schema, name string }

// relationMessage is what the wire says of a table.
type relationMessage struct {
	oid          uint32
	schema, name string
	identity     byte // d default, n nothing, f full, i index
	columns      []column
}

func parseRelation(r *reader) relationMessage {
	m := relationMessage{oid: r.uint32(), schema: r.text(), name: r.text(), identity: r.byte()}
	if m.schema == "" {
		m.schema = "pg_catalog" // the protocol's short form
	}
	n := int(r.uint16())
	for range n {
		flags, name, typeOID := r.byte(), r.text(), r.uint32()
		r.uint32() // type modifier
		if r.broken {
			break
		}
		m.columns = append(m.columns, column{name: name, typeOID: typeOID, identity: flags&1 != 0, slot: -1})
	}
	return m
}

// resolve makes a relation of what the wire says, asking the selector which
// columns are wanted.
func (d *pgoutput) resolve(ctx context.Context, m relationMessage) (*relation, error) {
	rel := &relation{columns: m.columns, last: -1}
	name := m.schema + "." + m.name
	if !d.selector.Captures(name) {
		return rel, nil
	}
	columns := make([]string, len(m.columns))
	for i, c := range m.columns {
		columns[i] = c.name
	}
	primary, orderErr := d.primaryKey(ctx, m)
	wanted, err := d.selector.Columns(name, columns, primary)
	if err != nil {
		if orderErr != nil {
			return nil, orderErr
		}
		return nil, fmt.Errorf("choosing the columns of %s: %w", name, err)
	}
	if err := m.requireIdentity(name, identifying(d.selector.Key(name, primary), primary, wanted)); err != nil {
		return nil, err
	}
	rel.table = &source.Table{Name: name, Columns: wanted, PrimaryKey: primary}
	for slot, want := range wanted {
		i := slices.Index(columns, want)
		if i < 0 {
			return nil, fmt.Errorf("choosing the columns of %s: there is no column %q", name, want)
		}
		c := &rel.columns[i]
		c.slot = slot
		if c.codec, err = d.codecOf(ctx, c.typeOID); err != nil {
			return nil, fmt.Errorf("looking at column %q of %s: %w", want, name, err)
		}
		rel.last = max(rel.last, i)
	}
	return rel, nil
}

// requireIdentity refuses a table whose replica identity was changed while it is
// read, so that the log does not hold these columns of an old row any more.
func (m relationMessage) requireIdentity(name string, columns []string) error {
	if m.identity != 'd' && m.identity != 'i' {
		return nil // all columns, or no old rows at all
	}
	for _, c := range m.columns {
		if !c.identity && slices.Contains(columns, c.name) {
			return &kafkasync.Fault{
				Class: kafkasync.Stop, What: fmt.Sprintf("the replica identity of %s lacks column %q", name, c.name),
				Risk: "the old keys of rows that were moved or deleted",
				Fix:  fmt.Sprintf("take the column out of key and payload of the rule for %s, or skip: true, until these changes are read", name),
			}
		}
	}
	return nil
}

// primaryKey returns the primary key in key order. The log tells which columns
// belong to the replica identity, not their order, nor the primary key behind
// another identity; the catalog tells both, but as of now, while the log may be
// older. So what the log can contradict is checked, and a contradiction is an error that
// counts only if the key is needed.
func (d *pgoutput) primaryKey(ctx context.Context, m relationMessage) ([]string, error) {
	var identity []string
	for _, c := range m.columns {
		if c.identity {
			identity = append(identity, c.name)
		}
	}
	if m.identity == 'd' && len(identity) < 2 {
		return identity, nil
	}
	key, err := d.catalog.primaryKey(ctx, m.oid)
	if err != nil {
		return nil, fmt.Errorf("reading the primary key of %s.%s: %w", m.schema, m.name, err)
	}
	if remembered := d.keys.of(m.oid); len(key) == 0 || m.identity == 'd' && !sameSet(key, identity) {
		key = remembered // the table was dropped, or its key is another one now
	}
	if m.identity == 'd' && !sameSet(key, identity) {
		return nil, &kafkasync.Fault{
			Class: kafkasync.Stop,
			What: fmt.Sprintf("the log holds changes of %s.%s from when its primary key was another (columns %s), and their order in that key is not known any more",
				m.schema, m.name, strings.Join(identity, ", ")),
			Fix: fmt.Sprintf("set key: and payload: of the rule for %s.%s until these changes are published", m.schema, m.name),
		}
	}
	for _, name := range key {
		if !slices.ContainsFunc(m.columns, func(c column) bool { return c.name == name }) {
			return nil, nil // the catalog is of another time; the rule's key decides, or its absence
		}
	}
	return key, nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// typeName notes the name of a type; it comes before the relations that use it.
func (d *pgoutput) typeName(r *reader) {
	oid, name := r.uint32(), typeName{schema: r.text(), name: r.text()}
	if d.types == nil {
		d.types = map[uint32]typeName{}
	}
	d.types[oid] = name
}

// codecOf returns the codec of a column's type; both of its decoders are set.
func (d *pgoutput) codecOf(ctx context.Context, oid uint32) (codec, error) {
	var c codec
	switch name, made := d.types[oid]; {
	case !made:
		c = codecOf(oid)
	case name.schema == "": // a domain
		c = codecNamed(name.name)
	default:
		c = printed()
		if d.binary {
			textual, err := d.catalog.textual(ctx, oid)
			if err != nil {
				return codec{}, err
			}
			if textual {
				c.binary = c.text
			}
		}
	}
	if c.binary == nil {
		c.binary = d.noBinary
	}
	return c, nil
}

// noBinary ends a stream that was opened in binary form: the log is from a time
// when the column's type was another one, or that change has just come. The next is opened in text form.
func (d *pgoutput) noBinary(*source.Batch, []byte) (source.Value, error) {
	if d.textOnly != nil {
		d.textOnly.Store(true)
	}
	return source.Value{}, errNoBinary
}

// errNoBinary is of class Retry.
var errNoBinary = errors.New("its type is read in text form only, and the next attempt reads all columns so")
