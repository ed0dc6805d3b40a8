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
func (fixedCatalog) typeName(context.Context, uint32) (string, error)       { return "numeric", nil }

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

// tuple builds the columns of a row: nil is null, "\x00" is unchanged TOAST.
func tuple(values ...any) []byte {
	m := message(uint16(len(values)))
	for _, v := range values {
		switch text, _ := v.(string); {
		case v == nil:
			m = append(m, 'n')
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
		{"a type", []string{"id"}, idOnly{[]string{"price"}}, [][]byte{products('d', 1, 0, 0)}, `column "price" of public.products has type numeric`},
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

func TestDecodingARowDoesNotAllocate(t *testing.T) {
	d := newDecoder(idOnly{}, "id")
	b := new(source.Batch)
	row := message('U', uint32(7), 'N', tuple("1234567890", strings.Repeat("x", 300), "1.5"))
	rows := func() {
		b.Reset()
		for range 1000 {
			if err := d.decode(t.Context(), b, row); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range [][]byte{begin, products('d', 1, 0, 0)} {
		if err := d.decode(t.Context(), b, m); err != nil {
			t.Fatal(err)
		}
	}
	rows() // grows the batch to its size
	rows()
	if got := testing.AllocsPerRun(10, rows); got > 2 {
		t.Errorf("got %v allocations for 1000 rows, want none", got)
	}
}

func BenchmarkDecode(b *testing.B) {
	d := newDecoder(idOnly{}, "id")
	var batch source.Batch
	row := message('U', uint32(7), 'N', tuple("1234567890", strings.Repeat("x", 300), "1.5"))
	for _, m := range [][]byte{begin, products('d', 1, 0, 0)} {
		if err := d.decode(b.Context(), &batch, m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(batch.Changes) >= maxBatchChanges {
			batch.Reset()
		}
		if err := d.decode(b.Context(), &batch, row); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(begin)
	f.Add(products('d', 1, 1, 0))
	f.Add(message('U', uint32(7), 'O', tuple("41", nil, "\x00"), 'N', tuple("42", "a", "1")))
	f.Add(message('T', uint32(2), byte(1), uint32(7), uint32(7)))
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
