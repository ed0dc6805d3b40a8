// Package source defines what a database's log looks like to the rest of the
// program: changes in batches, and positions at which reading can start again.
//
// It promises that a Batch with a Pos may be forgotten by the database once it
// and all before it is durable elsewhere. It never compares positions: only the
// source that made one can read it. What a Source must do is defined by the
// suite in source/sourcetest.
package source

import (
	"context"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Position is an opaque place in a source's log at which reading can start
// again. Equal positions are equal strings; the zero Position means none yet.
type Position string

// Table is a captured table as the log describes it between two schema changes.
// It is immutable; a schema change makes a new one.
type Table struct {
	Name       string   // as the source names it: "public.products"
	Columns    []string // what the rows of a Change hold, in this order
	PrimaryKey []string // in the order of the key; empty if the table has none
}

// Selector says what of a database is wanted. It is implemented by the rules.
type Selector interface {
	// Captures reports whether changes of the table are wanted.
	Captures(table string) bool
	// Columns names the columns of a captured table whose values are wanted, given all its
	// columns and its primary key in key order. It fails if a rule names a column that the table does
	// not have, or if there is no key.
	Columns(table string, columns, primaryKey []string) ([]string, error)
	// Key names the columns of the message's key, given the primary key in key
	// order. A source refuses a table whose log would not hold them of a row that is deleted or moved.
	Key(table string, primaryKey []string) []string
}

// Kind says how the bytes of a Value are to be read.
type Kind uint8

// The kinds of a value.
const (
	Absent Kind = iota // the log does not hold it: unchanged TOAST, not part of the replica identity
	Null
	Int    // decimal digits with sign, fits 32 bits
	BigInt // decimal digits with sign, 64 bits, signed or unsigned
	Float  // the shortest decimal that reads back equal, or NaN, Infinity, -Infinity
	Bool   // "true" or "false"
	Text   // UTF-8
	Binary // raw bytes
)

// Value is one column of a row. Bytes belongs to the Batch it came in.
type Value struct {
	Kind  Kind
	Bytes []byte
}

// Change is one row changed by a committed transaction, or a truncated table.
type Change struct {
	Table *Table
	Op    kafkasync.Op // Created, Updated, Deleted or Truncated
	// New is the row after the change, Old before it, each with the values of
	// Table.Columns. New is nil for Deleted, Old is nil where the log holds
	// nothing of it (an update that left the replica identity alone), both are
	// nil for Truncated.
	New, Old  []Value
	Committed time.Time
	Place     string // of the transaction, as the header "pos" shows it
}

// Source is a database whose log can be followed.
type Source interface {
	// Head makes the server ready for the first reading (Postgres: publication,
	// then slot) and returns the position at which it starts. While the intent is
	// not declared, finding there what Head would make is a Fault of class Stop:
	// it is somebody else's. Head then declares the intent, and only after that makes
	// anything; so what it finds under a declared one is ours, left by a run that was cut short.
	// What it covers is registered before anything is made.
	Head(ctx context.Context, memory Memory) (Position, error)
	// Open follows the log from a position that Head or a Batch returned, and that is
	// durable: the server may forget its log before it, so a run that was cut short
	// between committing a position and confirming it leaves nothing behind. Only
	// the source knows how (not on another timeline), so the caller does not
	// confirm it. The end of ctx does not end the stream once it is open. While it is
	// open, the stream registers tables that come and go, and what is missing of them.
	Open(ctx context.Context, from Position, memory Memory) (Stream, error)
}

// Repairable is a source that an operator can put right by hand. Its methods are
// called under the pipeline's lease, while nothing else runs under it.
type Repairable interface {
	// Seek returns nil if the server can be read from `to` on, and reports whether
	// that skips changes which reading from `from` would have published.
	Seek(ctx context.Context, from, to Position) (skips bool, err error)
	// Release makes the server let go of the log that it keeps for the pipeline. Releasing
	// what is not there is no error; what somebody else made, or reads, is refused.
	Release(ctx context.Context) error
	// Dismantle is Release, and removes what else was made on the server. It returns
	// the statements that the role may not run, for somebody who may.
	Dismantle(ctx context.Context) (left []string, err error)
}

// Stream is one open log. Next and Close are for one goroutine; Confirm may run
// beside Next.
type Stream interface {
	// Next resets b and fills it with what has arrived, up to the stream's
	// limit; it blocks only when that is nothing. b belongs to the caller.
	Next(ctx context.Context, b *Batch) error
	// Confirm lets the server forget its log before p. It may return before the server knows.
	Confirm(ctx context.Context, p Position) error
	// Close ends the stream, telling the server of the last Confirm.
	Close() error
}

// Watched is a stream that knows of what nobody has read.
type Watched interface {
	// Behind returns how many bytes of log are known to follow what Next has returned, also while nobody calls it,
	// and since when there have been any, at most; -1 while that is not known. It waits for nothing.
	Behind() (bytes int64, since time.Time)
}
