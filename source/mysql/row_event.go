package mysql

import (
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"
)

// rowsEvent is the body of an event with rows, up to its first row.
type rowsEvent struct {
	before, after           []byte // a bit for each column that the images hold; nil: there is no such image
	beforeCount, afterCount int    // how many bits are set
	partial                 bool   // the image after the change may have JSON in parts
	compressed              bool
	rest                    rowReader // the rows
}

// parseRows takes the body of an event apart (MySQL source, binlog_event rows_event.h): the
// table's id in 6 bytes, flags in 2, from version 2 on extra data that begins with its own
// length, the number of columns, and the columns of one or two images.
func parseRows(kind replication.EventType, body []byte, columns int) (e rowsEvent, err error) {
	e = rowsEvent{rest: rowReader{rest: body}}
	before, after, extra := false, false, false
	switch kind {
	case replication.WRITE_ROWS_EVENTv2:
		after, extra = true, true
	case replication.UPDATE_ROWS_EVENTv2:
		before, after, extra = true, true, true
	case replication.PARTIAL_UPDATE_ROWS_EVENT:
		before, after, extra, e.partial = true, true, true, true
	case replication.DELETE_ROWS_EVENTv2:
		before, extra = true, true
	case replication.WRITE_ROWS_EVENTv1:
		after = true
	case replication.UPDATE_ROWS_EVENTv1:
		before, after = true, true
	case replication.DELETE_ROWS_EVENTv1:
		before = true
	case replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1:
		after, e.compressed = true, true
	case replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1:
		before, after, e.compressed = true, true, true
	case replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
		before, e.compressed = true, true
	default:
		return rowsEvent{}, fmt.Errorf("event %s (%d) is not one whose rows can be read", kind, byte(kind))
	}
	r := &e.rest
	r.take(8)
	if extra {
		r.take(int(littleEndian(r.take(2))) - 2)
	}
	width := r.packed()
	if r.broken {
		return rowsEvent{}, errCutShort
	}
	if width != uint64(columns) {
		return rowsEvent{}, fmt.Errorf("the event has %d columns, the table's description in the log has %d", width, columns)
	}
	if before {
		e.before = r.take((columns + 7) / 8)
	}
	if after {
		e.after = r.take((columns + 7) / 8)
	}
	if r.broken {
		return rowsEvent{}, errCutShort
	}
	if before {
		e.beforeCount = countBits(e.before, columns)
	}
	if after {
		e.afterCount = countBits(e.after, columns)
	}
	return e, nil
}

// rowReader takes a body apart. Behind its end it is broken and gives zeros, so a
// caller checks once for several fields.
type rowReader struct {
	rest   []byte
	broken bool
}

func (r *rowReader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.rest, r.broken = nil, true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *rowReader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

// packed takes an integer that says in its first byte how long it is.
func (r *rowReader) packed() uint64 {
	switch first := r.byte(); first {
	case 0xfc:
		return littleEndian(r.take(2))
	case 0xfd:
		return littleEndian(r.take(3))
	case 0xfe:
		return littleEndian(r.take(8))
	case 0xfb, 0xff: // NULL, an error: neither is a number
		r.rest, r.broken = nil, true
		return 0
	default:
		return uint64(first)
	}
}

// value takes what the log holds of a column.
func (r *rowReader) value(f *field) []byte {
	n := f.width
	switch f.prefix {
	case 0:
	case 1:
		n = int(r.byte())
	default:
		n = int(littleEndian(r.take(f.prefix)))
	}
	return r.take(n)
}

// partialColumns takes which JSON columns the image that follows holds in parts, nil: none.
func (r *rowReader) partialColumns(json int) ([]byte, error) {
	const partialJSON = 1
	options := r.packed()
	var partial []byte
	if options&partialJSON != 0 {
		partial = r.take((json + 7) / 8)
	}
	switch {
	case r.broken:
		return nil, errCutShort
	case options&^partialJSON != 0:
		return nil, fmt.Errorf("the event has options %#x, want 0 or 1", options)
	}
	return partial, nil
}

func littleEndian(p []byte) uint64 {
	n := uint64(0)
	for i, b := range p {
		n |= uint64(b) << (8 * i)
	}
	return n
}

func bigEndian(p []byte) uint64 {
	n := uint64(0)
	for _, b := range p {
		n = n<<8 | uint64(b)
	}
	return n
}
