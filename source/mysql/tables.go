package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// definition is a table as the log describes it before its rows.
type definition struct {
	table  *source.Table // nil: not captured, its rows are passed over
	layout *layout
	key    []int // places in the table's columns without which a row has no message
}

// tables knows the tables of the log. A table map comes before the rows of each statement, nearly always
// one that was seen before: what it described then is found by its bytes.
type tables struct {
	mariaDB  bool
	selector source.Selector
	catalog  catalog
	seen     func(ctx context.Context, table string) error // is told of each that is captured

	format []byte // the format description of the file that is read
	parser *replication.BinlogParser
	parsed int // table maps that the parser remembers

	known map[string]*definition // by the bytes that describe it
	open  map[uint64]*definition // by the number that rows name it with, until the statement ends
	named map[string]*source.Table
}

// catalog answers what the log does not say. It is asked once per schema change.
type catalog interface {
	describe(ctx context.Context, schema, table string) (*tableInfo, error)
}

// sizeOffset is where an event's header has its size, with the checksum.
const sizeOffset = 9

// algorithmOffset is where a format says, from its end, whether events have checksums; its own is behind that.
const algorithmOffset = 5

// maxKnown bounds what is remembered; a server has as many tables as it likes.
const maxKnown = 4096

func newTables(mariaDB bool, selector source.Selector, c catalog, seen func(context.Context, string) error) *tables {
	t := &tables{mariaDB: mariaDB, selector: selector, catalog: c, seen: seen, open: map[uint64]*definition{}, named: map[string]*source.Table{}}
	t.forget()
	return t
}

// forget is called when a definition may have changed. The descriptions that come are what
// counts then; where they are without names, the catalog is asked anew.
func (t *tables) forget() { t.known = map[string]*definition{} }

// begin notes the format of a file. It is said to be one without checksums, as what the parser is given.
func (t *tables) begin(format []byte) error {
	if len(format) < algorithmOffset {
		return errors.New("decoding the log: its format is cut short")
	}
	t.format = slices.Clone(format)
	t.format[len(format)-algorithmOffset] = byte(replication.BINLOG_CHECKSUM_ALG_OFF)
	return t.renew()
}

// renew lets go of what the parser remembers: it never forgets a table by itself.
func (t *tables) renew() error {
	flavour := MySQL
	if t.mariaDB {
		flavour = MariaDB
	}
	t.parser, t.parsed = replication.NewBinlogParser(), 0
	t.parser.SetFlavor(flavour)
	err := guarded(func() error {
		_, err := t.parser.Parse(t.format)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the format of the log: %w", err)
	}
	return nil
}

// describe takes a table map.
func (t *tables) describe(ctx context.Context, e *event) error {
	body := e.body()
	const fixed = 8 // the number, and flags
	if len(body) < fixed {
		return errors.New("decoding the log: a table map is cut short")
	}
	number := tableNumber(body)
	d, ok := t.known[string(body[fixed:])]
	if !ok {
		var err error
		if d, err = t.resolve(ctx, e); err != nil {
			return err
		}
		if len(t.known) >= maxKnown {
			t.forget()
		}
		t.known[string(body[fixed:])] = d
	}
	t.open[number] = d
	return nil
}

// tableNumber is what rows and their table map begin with, in 6 bytes.
func tableNumber(body []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(body)) | uint64(binary.LittleEndian.Uint16(body[4:]))<<32
}

// tableName reads the names in a table map, which both have their length before them and a zero behind.
func tableName(body []byte) (schema, table string, err error) {
	rest := body[8:]
	for _, name := range []*string{&schema, &table} {
		if len(rest) == 0 || len(rest) < int(rest[0])+2 {
			return "", "", errors.New("decoding the log: a table map is cut short")
		}
		*name = string(rest[1 : 1+rest[0]])
		rest = rest[2+int(rest[0]):]
	}
	return schema, table, nil
}

// resolve reads a description that is new, asking the selector which columns are wanted.
func (t *tables) resolve(ctx context.Context, e *event) (*definition, error) {
	schema, table, err := tableName(e.body())
	if err != nil {
		return nil, err
	}
	name := schema + "." + table
	if !t.selector.Captures(name) {
		return &definition{}, nil
	}
	m, err := t.parse(e)
	if err != nil {
		return nil, fmt.Errorf("decoding the log: the description of %s: %w", name, err)
	}
	info, named, err := tableInfoOf(m, t.mariaDB)
	if err != nil {
		return nil, err
	}
	complete := named && !info.unclear()
	if !named {
		info, err = t.lookUp(ctx, m, schema, table)
	} else if !complete {
		err = t.clarify(ctx, info, schema, table)
	}
	if err != nil {
		return nil, err
	}
	if t.mariaDB && info.isSequence() {
		return &definition{}, nil // its one row is what NEXTVAL counts with
	}
	d, ordinals, err := t.define(info, name)
	if err != nil {
		return nil, err
	}
	if d.layout, err = newLayout(m, info, ordinals); err != nil {
		if !complete {
			return nil, undescribed(name, err.Error())
		}
		return nil, fmt.Errorf("reading the columns of %s: %w", name, err)
	}
	t.named[name] = d.table
	return d, t.seen(ctx, name)
}

func (t *tables) parse(e *event) (*replication.TableMapEvent, error) {
	if t.parser == nil {
		return nil, errors.New("the log does not begin with its format")
	}
	if t.parsed++; t.parsed > maxKnown {
		if err := t.renew(); err != nil {
			return nil, err
		}
	}
	raw := slices.Clone(e.raw) // what is parsed shares its memory
	binary.LittleEndian.PutUint32(raw[sizeOffset:], uint32(len(raw)))
	var parsed *replication.BinlogEvent
	err := guarded(func() (err error) {
		parsed, err = t.parser.Parse(raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	m, ok := parsed.Event.(*replication.TableMapEvent)
	if !ok {
		return nil, fmt.Errorf("got %T, want a table map", parsed.Event)
	}
	return m, mend(m, e.body())
}

// lookUp asks the catalog for what the log does not say. The catalog speaks of the present, the log of the past:
// what the log can contradict is checked here and in newLayout.
func (t *tables) lookUp(ctx context.Context, m *replication.TableMapEvent, schema, table string) (*tableInfo, error) {
	info, err := t.catalog.describe(ctx, schema, table)
	if err != nil {
		return nil, err
	}
	if info == nil || len(info.columns) != int(m.ColumnCount) {
		has := "there is no such table any more"
		if info != nil {
			has = fmt.Sprintf("it has %d columns now", len(info.columns))
		}
		return nil, undescribed(schema+"."+table, fmt.Sprintf("the log holds rows of %d columns, and %s", m.ColumnCount, has))
	}
	info.endKey()
	return info, nil
}

// clarify asks the catalog for what even a complete description leaves open. A table that is gone has no
// answer: newLayout says if one was needed.
func (t *tables) clarify(ctx context.Context, info *tableInfo, schema, table string) error {
	now, err := t.catalog.describe(ctx, schema, table)
	if err == nil && now != nil {
		info.clarify(now)
	}
	return err
}

// undescribed is about rows that nobody knows the columns of.
func undescribed(table, why string) *kafkasync.Fault {
	return &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the log does not say enough of the columns of %s, and the server cannot: %s", table, why),
		Risk: "the changes of " + table + " that were written before it was altered",
		Fix:  "SET PERSIST binlog_row_metadata = 'FULL' (MariaDB: SET GLOBAL, and in its file), so that it cannot come again; then " + fixAnew,
	}
}

// define asks the selector what of a table is wanted. ordinals are the places of that.
func (t *tables) define(info *tableInfo, name string) (d *definition, ordinals []int, err error) {
	columns := make([]string, len(info.columns))
	for i := range info.columns {
		columns[i] = info.columns[i].name
	}
	primary := make([]string, len(info.primaryKey))
	for i, at := range info.primaryKey {
		primary[i] = columns[at]
	}
	wanted, err := t.selector.Columns(name, columns, primary)
	if err != nil {
		return nil, nil, fmt.Errorf("choosing the columns of %s: %w", name, err)
	}
	for _, want := range wanted {
		at := slices.Index(columns, want)
		if at < 0 {
			return nil, nil, fmt.Errorf("choosing the columns of %s: there is no column %q", name, want)
		}
		ordinals = append(ordinals, at)
	}
	d = &definition{table: &source.Table{Name: name, Columns: wanted, PrimaryKey: primary}}
	for _, column := range t.selector.Key(name, primary) {
		if at := slices.Index(wanted, column); at >= 0 {
			d.key = append(d.key, at)
		}
	}
	return d, ordinals, nil
}

// of returns the definition that rows belong to.
func (t *tables) of(number uint64) (*definition, error) {
	d, ok := t.open[number]
	if !ok {
		return nil, fmt.Errorf("decoding the log: rows of table number %d, which was not described", number)
	}
	return d, nil
}

// statementEnds forgets the numbers of a statement's tables.
func (t *tables) statementEnds() { clear(t.open) }
