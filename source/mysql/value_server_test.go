package mysql

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

// clarify asks information_schema for what the log does not tell of columns.
func (r *rowLog) clarify(t testing.TB, table string, info *tableInfo) {
	t.Helper()
	now := new(tableInfo)
	for _, c := range r.query(t, fmt.Sprintf("SELECT column_name, data_type, COALESCE(datetime_precision, 0) FROM information_schema.columns WHERE table_schema = '%s' AND table_name = '%s'", r.database, table)) {
		fraction, err := strconv.Atoi(c[2])
		if err != nil {
			t.Fatal(err)
		}
		now.columns = append(now.columns, columnInfo{name: c[0], dataType: c[1], fraction: fraction})
	}
	info.clarify(now)
}

// TestEveryTypeIsReadAsTheContractSays has one table with a column for each type; each of its rows is a value of one of them.
func TestEveryTypeIsReadAsTheContractSays(t *testing.T) {
	servers(t, func(t *testing.T, r *rowLog) {
		kinds := slices.DeleteFunc(valueKinds(), func(k valueKind) bool { return k.only != "" && k.only != r.server.Flavour() })
		columns, inserts, prints, samples := []string{"id int PRIMARY KEY"}, []string{}, []string{}, []sampleOf{}
		for i := range kinds {
			k := &kinds[i]
			column := fmt.Sprintf("c%d", i)
			columns = append(columns, column+" "+k.name)
			first := len(samples)
			for _, s := range k.values {
				inserts = append(inserts, fmt.Sprintf("INSERT INTO v (id, %s) VALUES (%d, %s)", column, len(samples), s.sql))
				samples = append(samples, sampleOf{s, k, i + 1})
			}
			shown := strings.ReplaceAll(cmp.Or(k.shown, "v"), "v", column)
			prints = append(prints, fmt.Sprintf("SELECT id, CONVERT(%s USING utf8mb4) FROM v WHERE id BETWEEN %d AND %d", shown, first, len(samples)-1))
		}
		// InnoDB has a limit for rows of so many columns, and MyISAM none that matters.
		r.run(t, "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'; CREATE TABLE v ("+strings.Join(columns, ", ")+") ENGINE=MyISAM; "+strings.Join(inserts, "; "))
		for _, row := range r.query(t, strings.Join(prints, " UNION ALL ")) {
			id, err := strconv.Atoi(row[0])
			if err != nil {
				t.Fatal(err)
			}
			samples[id].want = cmp.Or(samples[id].want, row[1])
		}
		seen := 0
		for _, e := range r.events(t) {
			for _, row := range r.rowsOf(t, e) {
				samples[seen].compare(t, row.new, strconv.Itoa(seen))
				seen++
			}
		}
		if seen != len(samples) {
			t.Errorf("got %d rows, want %d", seen, len(samples))
		}
	})
}

// sampleOf is a value in a column of its kind.
type sampleOf struct {
	valueSample
	kind   *valueKind
	column int
}

// compare fails unless a row holds an id and the value, and nothing else.
func (s *sampleOf) compare(t *testing.T, row []source.Value, id string) {
	t.Helper()
	for i, got := range row {
		text, kind, want := string(got.Bytes), source.Null, ""
		switch i {
		case 0:
			kind, want = source.Int, id
		case s.column:
			kind, want = s.kind.kind, s.want
			if kind == source.Binary {
				text = hex.EncodeToString(got.Bytes)
			}
		}
		if got.Kind != kind || text != want {
			t.Errorf("%.40s, %.60s, column %d: got kind %d %.100q, want kind %d %.100q", s.kind.name, s.sql, i, got.Kind, text, kind, want)
		}
	}
}

// rowsOf decodes all columns, with information_schema's help where the log is not enough.
func (r *rowLog) rowsOf(t *testing.T, e rowsLogged) []rowCopy {
	t.Helper()
	info, named, err := tableInfoOf(e.table, r.mariaDB())
	if err != nil || !named {
		t.Fatalf("%s: the log does not describe it: %v", e.table.Table, err)
	}
	if info.unclear() {
		r.clarify(t, string(e.table.Table), info)
	}
	described := &tableInfo{columns: slices.Clone(info.columns)}
	for i := range described.columns {
		described.columns[i].ambiguous = true
	}
	r.clarify(t, string(e.table.Table), described)
	if _, err := newLayout(e.table, described, all(info)); err != nil {
		t.Errorf("information_schema contradicts the log: %v", err)
	}
	l, err := newLayout(e.table, info, all(info))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := copyRows(l, e)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// all are the places of all columns.
func all(info *tableInfo) (wanted []int) {
	for i := range info.columns {
		wanted = append(wanted, i)
	}
	return wanted
}
