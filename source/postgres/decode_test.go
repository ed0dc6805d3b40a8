package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// idOnly wants the primary key of every table, and nothing of "public.skipped".
type idOnly struct{ extra []string }

func (idOnly) Captures(table string) bool { return table != "public.skipped" }

func (s idOnly) Columns(table string, _, primaryKey []string) ([]string, error) {
	if len(primaryKey) == 0 {
		return nil, fmt.Errorf("%s has no key", table)
	}
	return append(slices.Clone(primaryKey), s.extra...), nil
}

func (idOnly) Key(_ string, primaryKey []string) []string { return primaryKey }

// fixedCatalog answers with one key for every table.
type fixedCatalog []string

func (c fixedCatalog) primaryKey(context.Context, uint32) ([]string, error) { return c, nil }
func (fixedCatalog) textual(context.Context, uint32) (bool, error)          { return false, nil }

func newDecoder(selector source.Selector, key ...string) *pgoutput {
	return &pgoutput{selector: selector, catalog: fixedCatalog(key), relations: map[uint32]*relation{}}
}

// message builds one protocol message: strings end with a zero, ints are by their Go type.
func message(parts ...any) []byte {
	var m []byte
	for _, part := range parts {
		switch p := part.(type) {
		case byte:
			m = append(m, p)
		case rune:
			m = append(m, byte(p))
		case string:
			m = append(append(m, p...), 0)
		case uint16:
			m = binary.BigEndian.AppendUint16(m, p)
		case uint32:
			m = binary.BigEndian.AppendUint32(m, p)
		case uint64:
			m = binary.BigEndian.AppendUint64(m, p)
		case []byte:
			m = append(m, p...)
		}
	}
	return m
}

// tuple builds the columns of a row: nil is null, "\x00" is unchanged TOAST, a
// string is in text form, bytes are in binary form.
func tuple(values ...any) []byte {
	m := message(uint16(len(values)))
	for _, v := range values {
		text, _ := v.(string)
		wire, isBinary := v.([]byte)
		switch {
		case v == nil:
			m = append(m, 'n')
		case isBinary:
			m = append(message(m, 'b', uint32(len(wire))), wire...)
		case text == "\x00":
			m = append(m, 'u')
		default:
			m = append(message(m, 't', uint32(len(text))), text...)
		}
	}
	return m
}

func products(identity rune, flags ...byte) []byte {
	return message('R', uint32(7), "public", "products", identity, uint16(3),
		flags[0], "id", uint32(pgtype.Int8OID), uint32(0),
		flags[1], "name", uint32(pgtype.TextOID), uint32(0),
		flags[2], "price", uint32(pgtype.NumericOID), uint32(0))
}

var begin = message('B', uint64(0x16B3748), uint64(0), uint32(1))

func show(values []source.Value) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, fmt.Sprintf("%d:%s", v.Kind, v.Bytes))
	}
	return strings.Join(parts, " ")
}

func TestRowsAreDecodedToTheWantedColumns(t *testing.T) {
	for _, c := range []struct {
		name     string
		selector source.Selector
		relation []byte
		row      []byte
		op       kafkasync.Op
		new, old string
	}{
		{"insert", idOnly{}, products('d', 1, 0, 0), message('I', uint32(7), 'N', tuple("42", "a", "1.5")), 'c', "3:42", ""},
		{"update", idOnly{}, products('d', 1, 0, 0), message('U', uint32(7), 'N', tuple("42", "a", "1.5")), 'u', "3:42", ""},
		{"update of the key", idOnly{}, products('d', 1, 0, 0), message('U', uint32(7), 'K', tuple("41", nil, nil), 'N', tuple("42", "a", "1")), 'u', "3:42", "3:41"},
		{"delete", idOnly{}, products('d', 1, 0, 0), message('D', uint32(7), 'K', tuple("42", nil, nil)), 'd', "", "3:42"},
		{"what a key tuple does not hold is absent, not null", idOnly{[]string{"name"}}, products('d', 1, 0, 0), message('D', uint32(7), 'K', tuple("42", nil, nil)), 'd', "", "3:42 0:"},
		{"a full row holds nulls", idOnly{[]string{"name"}}, products('f', 1, 1, 1), message('D', uint32(7), 'O', tuple("42", nil, nil)), 'd', "", "3:42 1:"},
		{"unchanged TOAST is absent", idOnly{[]string{"name"}}, products('d', 1, 0, 0), message('U', uint32(7), 'N', tuple("42", "\x00", nil)), 'u', "3:42 0:", ""},
		{"truncate", idOnly{}, products('d', 1, 0, 0), message('T', uint32(1), byte(0), uint32(7)), 't', "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDecoder(c.selector, "id")
			var b source.Batch
			for _, m := range [][]byte{begin, c.relation, c.row} {
				if err := d.decode(t.Context(), &b, m); err != nil {
					t.Fatal(err)
				}
			}
			if len(b.Changes) != 1 {
				t.Fatalf("got %d changes, want 1", len(b.Changes))
			}
			got := b.Changes[0]
			if got.Op != c.op || show(got.New) != c.new || show(got.Old) != c.old || got.Table.Name != "public.products" || got.Place != "0/16B3748" {
				t.Errorf("got %s %q %q of %s at %s, want %s %q %q", got.Op, show(got.New), show(got.Old), got.Table.Name, got.Place, c.op, c.new, c.old)
			}
		})
	}
}

func TestACompositeKeyHasTheOrderOfTheKeyNotOfTheTable(t *testing.T) {
	d := newDecoder(idOnly{}, "name", "id")
	var b source.Batch
	for _, m := range [][]byte{begin, products('d', 1, 1, 0), message('I', uint32(7), 'N', tuple("42", "a", "1"))} {
		if err := d.decode(t.Context(), &b, m); err != nil {
			t.Fatal(err)
		}
	}
	if got := show(b.Changes[0].New); got != "6:a 3:42" {
		t.Errorf("got %q, want the name first", got)
	}
}

func TestWhatCannotBeDecodedIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name     string
		key      []string
		selector source.Selector
		messages [][]byte
		want     string
	}{
		{"a key of another time", []string{"id", "price"}, idOnly{}, [][]byte{products('d', 1, 1, 0)}, "its primary key was another (columns id, name)"},
		{"no key", nil, idOnly{}, [][]byte{products('d', 0, 0, 0)}, "public.products has no key"},
		{"a row of an unknown table", nil, idOnly{}, [][]byte{begin, message('I', uint32(9), 'N', tuple("1"))}, "table 9, which was not described"},
		{"a row outside of a transaction", []string{"id"}, idOnly{}, [][]byte{products('d', 1, 0, 0), message('I', uint32(7), 'N', tuple("1", "a", "1"))}, "outside of a transaction"},
		{"a message cut short", nil, idOnly{}, [][]byte{begin[:9]}, "cut short"},
		{"a row of another width", []string{"id"}, idOnly{}, [][]byte{begin, products('d', 1, 0, 0), message('I', uint32(7), 'N', tuple("1"))}, "has 1 columns, 3 were described"},
		{"an unknown message", nil, idOnly{}, [][]byte{message('S')}, `unknown message 'S'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDecoder(c.selector, c.key...)
			var b source.Batch
			var err error
			for _, m := range c.messages {
				if err = d.decode(t.Context(), &b, m); err != nil {
					break
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestTheFormOfAColumnIsThatOfItsOwnValue(t *testing.T) {
	d := newDecoder(idOnly{[]string{"name", "price"}}, "id")
	var b source.Batch
	for _, m := range [][]byte{
		begin, products('d', 1, 0, 0),
		message('I', uint32(7), 'N', tuple("42", []byte("a"), "1.5")),
		message('I', uint32(7), 'N', tuple([]byte{0, 0, 0, 0, 0, 0, 0, 42}, "a", []byte{0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88})),
	} {
		if err := d.decode(t.Context(), &b, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range b.Changes {
		if got, want := show(c.New), "3:42 6:a 6:1.5"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestADomainIsDecodedAsTheTypeThatTheLogNamesForIt(t *testing.T) {
	for _, c := range []struct{ schema, name, text, want string }{
		{"", "int8", "7", "3:7"},
		{"", "bytea", `\x07`, "7:\a"},
		{"", "tsvector", "'a'", "6:'a'"},
		{"public", "int8", "7", "6:7"}, // a user's own
	} {
		d := newDecoder(idOnly{}, "id")
		var b source.Batch
		for _, m := range [][]byte{
			begin, message('Y', uint32(20001), c.schema, c.name),
			message('R', uint32(8), "public", "t", 'd', uint16(1), byte(1), "id", uint32(20001), uint32(0)),
			message('I', uint32(8), 'N', tuple(c.text)),
		} {
			if err := d.decode(t.Context(), &b, m); err != nil {
				t.Fatal(err)
			}
		}
		if got := show(b.Changes[0].New); got != c.want {
			t.Errorf("a domain over %s.%s: got %q, want %q", c.schema, c.name, got, c.want)
		}
	}
}

// frequent is a table of the types that keys mostly have, and one row of it.
func frequent(inBinary bool) (relation, row []byte) {
	columns := []struct {
		oid    uint32
		text   string
		binary []byte
	}{
		{pgtype.Int8OID, "1234567890", message(uint64(1234567890))},
		{pgtype.UUIDOID, "7f9c24e8-3b12-4fef-91e0-56a2d5a5a5a5", message(uint64(0x7f9c24e83b124fef), uint64(0x91e056a2d5a5a5a5))},
		{pgtype.TextOID, "tenant", []byte("tenant")},
		{pgtype.TimestamptzOID, "2026-11-21 10:50:00.12+00", message(uint64(0x0003037e9d0ea0c0))},
		{pgtype.Int4OID, "7", message(uint32(7))},
		{pgtype.BoolOID, "t", []byte{1}},
	}
	relation = message('R', uint32(7), "public", "frequent", 'f', uint16(len(columns)))
	values := make([]any, len(columns))
	for i, c := range columns {
		relation = message(relation, byte(1), fmt.Sprintf("c%d", i), c.oid, uint32(0))
		values[i] = c.text
		if inBinary {
			values[i] = c.binary
		}
	}
	return relation, message('U', uint32(7), 'N', tuple(values...))
}

func TestDecodingARowDoesNotAllocate(t *testing.T) {
	for _, inBinary := range []bool{false, true} {
		relation, row := frequent(inBinary)
		d := newDecoder(idOnly{}, "c0", "c1", "c2", "c3", "c4", "c5")
		b := new(source.Batch)
		rows := func() {
			b.Reset()
			for range 1000 {
				if err := d.decode(t.Context(), b, row); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, m := range [][]byte{begin, relation} {
			if err := d.decode(t.Context(), b, m); err != nil {
				t.Fatal(err)
			}
		}
		rows() // grows the batch to its size
		rows()
		if got := testing.AllocsPerRun(10, rows); got > 2 {
			t.Errorf("binary %v: got %v allocations for 1000 rows, want none", inBinary, got)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	wide := strings.Repeat("x", 300)
	for _, bench := range []struct {
		name string
		key  []string
		make func() (relation, row []byte)
	}{
		{"id/text", []string{"id"}, func() (relation, row []byte) {
			return products('d', 1, 0, 0), message('U', uint32(7), 'N', tuple("1234567890", wide, "1.5"))
		}},
		{"id/binary", []string{"id"}, func() (relation, row []byte) {
			return products('d', 1, 0, 0), message('U', uint32(7), 'N', tuple(message(uint64(1234567890)), wide, "1.5"))
		}},
		{"six/text", []string{"c0", "c1", "c2", "c3", "c4", "c5"}, func() (relation, row []byte) { return frequent(false) }},
		{"six/binary", []string{"c0", "c1", "c2", "c3", "c4", "c5"}, func() (relation, row []byte) { return frequent(true) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			relation, row := bench.make()
			d := newDecoder(idOnly{}, bench.key...)
			var batch source.Batch
			for _, m := range [][]byte{begin, relation} {
				if err := d.decode(b.Context(), &batch, m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if len(batch.Changes) >= source.MaxBatchChanges {
					batch.Reset()
				}
				if err := d.decode(b.Context(), &batch, row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(begin)
	f.Add(products('d', 1, 1, 0))
	f.Add(message('U', uint32(7), 'O', tuple("41", nil, "\x00"), 'N', tuple("42", "a", "1")))
	f.Add(message('U', uint32(7), 'N', tuple([]byte{0, 0, 0, 0, 0, 0, 0, 42}, []byte("a"), []byte{0})))
	f.Add(message('Y', uint32(20001), "", "int8"))
	f.Add(message('T', uint32(2), byte(1), uint32(7), uint32(7)))
	f.Add(message('T', uint32(1<<30), byte(1), uint32(7))) // more than there are
	f.Fuzz(func(t *testing.T, garbage []byte) {
		d := newDecoder(idOnly{}, "id")
		var b source.Batch
		for _, m := range [][]byte{begin, products('d', 1, 0, 0)} {
			if err := d.decode(t.Context(), &b, m); err != nil {
				t.Fatal(err)
			}
		}
		// It may be an error, never a panic, and never a row of another width.
		err := d.decode(t.Context(), &b, garbage)
		for _, c := range b.Changes {
			if err == nil && c.New != nil && len(c.New) != len(c.Table.Columns) {
				t.Errorf("got a row of %d columns, want %d", len(c.New), len(c.Table.Columns))
			}
		}
	})
}
