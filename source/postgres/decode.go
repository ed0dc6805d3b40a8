package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// catalog answers what the log does not say. It is asked once per schema change.
type catalog interface {
	primaryKey(ctx context.Context, table uint32) ([]string, error)
	// textual reports whether the binary form of a user's type is its text.
	textual(ctx context.Context, oid uint32) (bool, error)
}

// pgoutput decodes the messages of the plugin pgoutput, protocol version 1
// (PostgreSQL manual, "Logical Replication Message Formats"), into a batch. It
// looks only at the columns that are wanted and allocates nothing per row.
type pgoutput struct {
	selector  source.Selector
	catalog   catalog
	relations map[uint32]*relation
	types     map[uint32]typeName // of users and extensions
	binary    bool                // the server was asked for binary output
	textOnly  *atomic.Bool        // set when that was in vain
	keys      *keyOrders          // of tables that the catalog may not know any more

	open      bool // between Begin and Commit
	committed time.Time
	commitLSN pglogrepl.LSN
	place     string        // of the transaction, made when its first change needs it
	end       pglogrepl.LSN // of the last complete transaction
}

// decode adds one message to the batch.
func (d *pgoutput) decode(ctx context.Context, b *source.Batch, message []byte) error {
	r := &reader{rest: message}
	var err error
	kind := r.byte()
	switch kind {
	case 'B':
		d.begin(r)
	case 'C':
		d.commit(r)
	case 'I':
		err = d.insert(b, r)
	case 'U':
		err = d.update(b, r)
	case 'D':
		err = d.delete(b, r)
	case 'T':
		err = d.truncate(b, r)
	case 'R':
		err = d.relation(ctx, r)
	case 'Y':
		d.typeName(r)
	case 'M', 'O': // a logical message, the origin: nothing for us
	default:
		return fmt.Errorf("decoding the log: unknown message %q", kind)
	}
	if err != nil {
		return err
	}
	if r.broken {
		return fmt.Errorf("decoding the log: message %q of %d bytes is cut short", kind, len(message))
	}
	return nil
}

func (d *pgoutput) begin(r *reader) {
	d.commitLSN = pglogrepl.LSN(r.uint64())
	d.committed = pgTime(r.uint64())
	d.open, d.place = true, ""
}

func (d *pgoutput) commit(r *reader) {
	r.byte()   // flags
	r.uint64() // LSN of the commit record
	d.end = pglogrepl.LSN(r.uint64())
	d.open = false
}

func (d *pgoutput) insert(b *source.Batch, r *reader) error {
	rel, err := d.rowOf(r)
	if rel == nil || err != nil {
		return err
	}
	if err := want(r, 'N'); err != nil {
		return err
	}
	row, err := rel.row(b, r, false)
	d.change(b, rel, kafkasync.Created, row, nil)
	return err
}

func (d *pgoutput) update(b *source.Batch, r *reader) error {
	rel, err := d.rowOf(r)
	if rel == nil || err != nil {
		return err
	}
	var old []source.Value
	kind := r.byte()
	if kind == 'K' || kind == 'O' {
		if old, err = rel.oldRow(b, r, kind); err != nil {
			return err
		}
		kind = r.byte()
	}
	if kind != 'N' {
		return fmt.Errorf("decoding the log: an update with a tuple %q", kind)
	}
	row, err := rel.row(b, r, false)
	d.change(b, rel, kafkasync.Updated, row, old)
	return err
}

func (d *pgoutput) delete(b *source.Batch, r *reader) error {
	rel, err := d.rowOf(r)
	if rel == nil || err != nil {
		return err
	}
	kind := r.byte()
	if kind != 'K' && kind != 'O' {
		return fmt.Errorf("decoding the log: a delete with a tuple %q", kind)
	}
	old, err := rel.oldRow(b, r, kind)
	d.change(b, rel, kafkasync.Deleted, nil, old)
	return err
}

func (d *pgoutput) truncate(b *source.Batch, r *reader) error {
	n := int(r.uint32())
	r.byte() // options: cascade, restart identity
	for range n {
		rel, err := d.rowOf(r)
		if err != nil || r.broken {
			return err
		}
		if rel != nil {
			d.change(b, rel, kafkasync.Truncated, nil, nil)
		}
	}
	return nil
}

func (d *pgoutput) relation(ctx context.Context, r *reader) error {
	m := parseRelation(r)
	if r.broken {
		return nil // decode says so
	}
	rel, err := d.resolve(ctx, m)
	if err != nil {
		return err
	}
	d.relations[m.oid] = rel
	return nil
}

// rowOf returns the relation that a row message begins with, nil if it is not captured.
func (d *pgoutput) rowOf(r *reader) (*relation, error) {
	oid := r.uint32()
	if r.broken {
		return nil, nil
	}
	if !d.open {
		return nil, fmt.Errorf("decoding the log: a row outside of a transaction")
	}
	rel, known := d.relations[oid]
	if !known {
		return nil, fmt.Errorf("decoding the log: a row of table %d, which was not described", oid)
	}
	if rel.table == nil {
		return nil, nil
	}
	return rel, nil
}

func (d *pgoutput) change(b *source.Batch, rel *relation, op kafkasync.Op, row, old []source.Value) {
	if d.place == "" {
		d.place = d.commitLSN.String()
	}
	b.Changes = append(b.Changes, source.Change{
		Table: rel.table, Op: op, New: row, Old: old, Committed: d.committed, Place: d.place,
	})
}

// oldRow decodes the row before the change. Kind K holds only the replica
// identity: its other columns are sent as nulls that mean nothing.
func (rel *relation) oldRow(b *source.Batch, r *reader, kind byte) ([]source.Value, error) {
	row, err := rel.row(b, r, true)
	if err != nil || kind == 'O' {
		return row, err
	}
	for i := range rel.columns {
		if c := &rel.columns[i]; c.slot >= 0 && !c.identity {
			row[c.slot] = source.Value{}
		}
	}
	return row, nil
}

// row decodes the wanted columns of a tuple. With whole, it reads to the
// tuple's end, because another one may follow.
func (rel *relation) row(b *source.Batch, r *reader, whole bool) ([]source.Value, error) {
	n := int(r.uint16())
	if n != len(rel.columns) {
		if r.broken {
			return nil, nil
		}
		return nil, fmt.Errorf("decoding the log: a row of %s has %d columns, %d were described", rel.table.Name, n, len(rel.columns))
	}
	row := b.Row(len(rel.table.Columns))
	for i := range rel.columns {
		if i > rel.last && !whole {
			return row, nil
		}
		c := &rel.columns[i]
		value, err := c.value(b, r)
		if err != nil {
			return nil, fmt.Errorf("decoding the log: column %q of %s: %w", c.name, rel.table.Name, err)
		}
		if c.slot >= 0 {
			row[c.slot] = value
		}
	}
	return row, nil
}

// value reads one column of a tuple, and decodes it if it is wanted.
func (c *column) value(b *source.Batch, r *reader) (source.Value, error) {
	switch kind := r.byte(); kind {
	case 'n':
		return source.Value{Kind: source.Null}, nil
	case 'u': // unchanged TOAST
		return source.Value{}, nil
	case 't':
		text := r.take(int(r.uint32()))
		if c.slot < 0 || r.broken {
			return source.Value{}, nil
		}
		return c.text(b, text)
	case 'b':
		wire := r.take(int(r.uint32()))
		if c.slot < 0 || r.broken {
			return source.Value{}, nil
		}
		return c.binary(b, wire)
	default:
		if r.broken {
			return source.Value{}, nil
		}
		return source.Value{}, fmt.Errorf("unknown form %q", kind)
	}
}

// want reads the kind of the tuple that must follow.
func want(r *reader, kind byte) error {
	if got := r.byte(); got != kind && !r.broken {
		return fmt.Errorf("decoding the log: got a tuple %q, want %q", got, kind)
	}
	return nil
}

// pgEpoch is 2000-01-01 UTC, from where Postgres counts, in microseconds since 1970.
const pgEpoch = 946_684_800_000_000

// pgTime turns the server's microseconds into a time.
func pgTime(micros uint64) time.Time { return time.UnixMicro(int64(micros) + pgEpoch).UTC() }
