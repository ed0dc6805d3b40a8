package sourcetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// seen is a change as the suite compares it, in one line: "items c 7 apple",
// "order_lines u 1,2->1,3 note", "items d 7", "items t".
type seen string

// changes returns what the transactions must look like to a reader.
func changes(txs ...Tx) []seen {
	var all []seen
	for _, tx := range txs {
		for _, s := range tx {
			all = append(all, s.changes()...)
		}
	}
	return all
}

func (s Step) changes() []seen {
	key := strings.Join(texts(s.Row.Key), ",")
	switch s.Kind {
	case Insert:
		return []seen{line(s.Row.Table, kafkasync.Created, key, s.Row.Text)}
	case Update:
		return []seen{line(s.Row.Table, kafkasync.Updated, key, s.Row.Text)}
	case Delete:
		return []seen{line(s.Row.Table, kafkasync.Deleted, key, "")}
	case Rekey:
		return []seen{line(s.Row.Table, kafkasync.Updated, strings.Join(texts(s.From), ",")+"->"+key, s.Row.Text)}
	case Truncate:
		return []seen{line(s.Row.Table, kafkasync.Truncated, "", "")}
	case Fill:
		var all []seen
		for i := range s.Count {
			all = append(all, line(Items, kafkasync.Created, strconv.FormatInt(s.Row.Key[0]+int64(i), 10), s.Row.Text))
		}
		return all
	default:
		return nil
	}
}

func line(table string, op kafkasync.Op, key, text string) seen {
	return seen(strings.TrimRight(table+" "+op.String()+" "+key+" "+text, " "))
}

// look reads a change, and fails on what no change may look like.
func look(c *source.Change, prefix string) (seen, error) {
	if c.Table == nil {
		return "", fmt.Errorf("a change without a table: %+v", c)
	}
	table, ok := strings.CutPrefix(c.Table.Name, prefix)
	switch {
	case !ok:
		return "", fmt.Errorf("got a change of table %q, want the prefix %q", c.Table.Name, prefix)
	case c.Committed.IsZero() || c.Place == "":
		return "", fmt.Errorf("%s: got committed %v at place %q, want both set", table, c.Committed, c.Place)
	case !slices.Equal(c.Table.PrimaryKey, keyOf(table)):
		return "", fmt.Errorf("%s: got the primary key %q, want %q", table, c.Table.PrimaryKey, keyOf(table))
	}
	if c.Op == kafkasync.Truncated {
		if c.New != nil || c.Old != nil {
			return "", fmt.Errorf("%s: a truncate with rows", table)
		}
		return line(table, c.Op, "", ""), nil
	}
	if (c.New == nil) != (c.Op == kafkasync.Deleted) {
		return "", fmt.Errorf("%s: op %v with the new row %v", table, c.Op, c.New)
	}
	return lookRow(c, table)
}

func lookRow(c *source.Change, table string) (seen, error) {
	key, err := keyText(c.Table, c.New)
	if err != nil {
		return "", fmt.Errorf("%s, new row: %w", table, err)
	}
	old, err := keyText(c.Table, c.Old)
	if err != nil {
		return "", fmt.Errorf("%s, old row: %w", table, err)
	}
	switch {
	case c.Op == kafkasync.Deleted:
		return line(table, c.Op, old, ""), nil
	case c.Op == kafkasync.Created && c.Old != nil:
		return "", fmt.Errorf("%s: a new row with an old one", table)
	case old != "" && old != key:
		key = old + "->" + key
	}
	at := slices.Index(c.Table.Columns, textOf(table))
	if at < 0 || c.New[at].Kind != source.Text {
		return "", fmt.Errorf("%s: got columns %q with %v, want a text in %s", table, c.Table.Columns, c.New, textOf(table))
	}
	return line(table, c.Op, key, string(c.New[at].Bytes)), nil
}

// keyText returns the key of a row, "" of no row.
func keyText(table *source.Table, row []source.Value) (string, error) {
	if row == nil {
		return "", nil
	}
	if len(row) != len(table.Columns) {
		return "", fmt.Errorf("got %d values, want one for each of %q", len(row), table.Columns)
	}
	var parts []string
	for _, column := range table.PrimaryKey {
		at := slices.Index(table.Columns, column)
		if at < 0 {
			return "", fmt.Errorf("got columns %q, want %s among them", table.Columns, column)
		}
		// bigint and int must differ: one of them may be sent as a string.
		want := source.BigInt
		if column == "line" {
			want = source.Int
		}
		if row[at].Kind != want {
			return "", fmt.Errorf("%s: got kind %d, want %d", column, row[at].Kind, want)
		}
		parts = append(parts, string(row[at].Bytes))
	}
	return strings.Join(parts, ","), nil
}
