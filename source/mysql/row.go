package mysql

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/source"
)

// layout is how the rows of one version of a table are to be read: what is wanted
// is decoded, everything else is skipped over by its length. It is for one
// goroutine, and allocates nothing per row: what it hands out lives in its own memory.
type layout struct {
	table    string
	columns  []column // of the log, in its order
	json     int      // how many of them are JSON: a partial update has a bit for each
	old, new []source.Value
	arena    arena
	inflater inflater
}

// column is one column of a table's rows.
type column struct {
	name string
	field
	slot   int     // its place in a row that is handed out; -1: not wanted
	decode decoder // set where it is wanted
}

// newLayout makes the layout of the rows that follow a table map. wanted are the
// places of the wanted columns in the log, in the order of the rows to be handed out. A wanted column that
// cannot be decoded, or that info and the log describe differently, is an error.
func newLayout(m *replication.TableMapEvent, info *tableInfo, wanted []int) (*layout, error) {
	l := &layout{
		table: string(m.Schema) + "." + string(m.Table),
		old:   make([]source.Value, len(wanted)),
		new:   make([]source.Value, len(wanted)),
	}
	if len(info.columns) != len(m.ColumnType) || len(m.ColumnMeta) != len(m.ColumnType) {
		return nil, fmt.Errorf("the log has %d columns for the rows of %s, its description has %d", len(m.ColumnType), l.table, len(info.columns))
	}
	l.columns = make([]column, len(m.ColumnType))
	for i := range l.columns {
		c := &l.columns[i]
		c.name, c.slot = info.columns[i].name, -1
		var err error
		if c.field, err = newField(m.ColumnType[i], m.ColumnMeta[i]); err == nil {
			err = c.matches(&info.columns[i])
		}
		if err != nil {
			return nil, fmt.Errorf("column %q of %s: %w", c.name, l.table, err)
		}
		if c.isJSON() {
			l.json++
		}
	}
	return l, l.want(info, wanted)
}

// want gives the wanted columns their slots and decoders.
func (l *layout) want(info *tableInfo, wanted []int) error {
	for slot, i := range wanted {
		if i < 0 || i >= len(l.columns) || l.columns[i].slot >= 0 {
			return fmt.Errorf("choosing the columns of %s: got place %d of %d, or got it twice", l.table, i, len(l.columns))
		}
		c := &l.columns[i]
		c.slot = slot
		var err error
		if c.decode, err = decoderOf(c.field, &info.columns[i]); err != nil {
			return fmt.Errorf("column %q of %s: %w", c.name, l.table, err)
		}
	}
	return nil
}

// rows decodes the rows of an event's body, which is what follows its header, without
// the checksum. each gets a row as it was and as it is, nil where it was not or is no more;
// both, and all bytes of their values, are only valid during the call. What is not in a row's image
// is source.Absent.
func (l *layout) rows(kind replication.EventType, body []byte, each func(old, new []source.Value) error) error {
	e, err := parseRows(kind, body, len(l.columns))
	if err != nil {
		return fmt.Errorf("decoding rows of %s: %w", l.table, err)
	}
	if e.compressed {
		if e.rest.rest, err = l.inflater.inflate(e.rest.rest); err != nil {
			return fmt.Errorf("decoding rows of %s: %w", l.table, err)
		}
	}
	defer l.arena.trim()
	for {
		l.arena.reset()
		left := len(e.rest.rest)
		old, now, err := l.row(&e)
		if err != nil {
			return fmt.Errorf("decoding rows of %s: %w", l.table, err)
		}
		if err := each(old, now); err != nil {
			return err
		}
		switch len(e.rest.rest) {
		case 0: // also behind a row that has no bytes, as one of nothing but defaults
			return nil
		case left:
			return fmt.Errorf("decoding rows of %s: %d bytes follow rows without columns", l.table, left)
		}
	}
}

// row decodes the images of one row.
func (l *layout) row(e *rowsEvent) (old, now []source.Value, err error) {
	if e.before != nil {
		if err := l.image(&e.rest, e.before, e.beforeCount, nil, l.old); err != nil {
			return nil, nil, err
		}
		old = l.old
	}
	if e.after == nil {
		return old, nil, nil
	}
	var partial []byte
	if e.partial {
		if partial, err = e.rest.partialColumns(l.json); err != nil {
			return nil, nil, err
		}
	}
	if err := l.image(&e.rest, e.after, e.afterCount, partial, l.new); err != nil {
		return nil, nil, err
	}
	return old, l.new, nil
}

// errCutShort is the error of a body that ends within a row.
var errCutShort = errors.New("the event is cut short")

// image decodes one image of a row, which holds the count columns that present has
// bits for, into row. partial has a bit for each JSON column: whether the image only says what
// has changed in it.
func (l *layout) image(r *rowReader, present []byte, count int, partial []byte, row []source.Value) error {
	clear(row) // absent
	nulls := r.take((count + 7) / 8)
	if r.broken {
		return errCutShort
	}
	at, json := 0, 0
	for i := range l.columns {
		c := &l.columns[i]
		isPartial := false
		if partial != nil && c.isJSON() {
			isPartial = bit(partial, json)
			json++
		}
		if !bit(present, i) {
			continue
		}
		null := bit(nulls, at)
		at++
		if null {
			if c.slot >= 0 {
				row[c.slot] = source.Value{Kind: source.Null}
			}
			continue
		}
		wire := r.value(&c.field)
		switch {
		case r.broken:
			return fmt.Errorf("column %q: %w", c.name, errCutShort)
		case c.slot < 0:
			continue
		case isPartial && len(wire) == 0: // nothing has changed in it
			row[c.slot] = l.old[c.slot]
			continue
		case isPartial:
			return fmt.Errorf("column %q: the log holds only what has changed in it; it is needed whole: set binlog_row_value_options to ''", c.name)
		}
		var err error
		if row[c.slot], err = c.decode(&l.arena, wire); err != nil {
			return fmt.Errorf("column %q: %w", c.name, err)
		}
	}
	return nil
}

func bit(bitmap []byte, i int) bool { return bitmap[i>>3]>>(i&7)&1 != 0 }

// countBits counts the first n bits of a bitmap that are set.
func countBits(bitmap []byte, n int) int {
	count := 0
	for _, b := range bitmap[:n/8] {
		count += bits.OnesCount8(b)
	}
	if n%8 != 0 {
		count += bits.OnesCount8(bitmap[n/8] & (1<<(n%8) - 1))
	}
	return count
}
