package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source"
)

func TestEveryTypeIsReadInBothFormsAsTheContractSays(t *testing.T) {
	all := kinds()
	schema := []string{madeTypes}
	for i, k := range all {
		schema = append(schema, fmt.Sprintf("CREATE TABLE v%d (id int PRIMARY KEY, v %s)", i, k.name))
		if k.keyed {
			schema = append(schema, fmt.Sprintf("CREATE TABLE k%d (v %s PRIMARY KEY)", i, k.name))
		}
	}
	r := newReading(t, strings.Join(schema, ";"))
	// Of the writer's session and of the database's others, not of ours.
	insert := []string{"BEGIN"}
	for _, setting := range []string{
		"TimeZone = 'America/New_York'", "DateStyle = 'German'", "IntervalStyle = 'iso_8601'", "bytea_output = 'escape'", "extra_float_digits = -2",
	} {
		insert = append([]string{"SET " + setting, "ALTER DATABASE " + quoteName(r.cfg.Slot) + " SET " + setting}, insert...)
	}
	text, binary := columnsOf{}, columnsOf{}
	var wantText, wantBinary []string
	for i, k := range all {
		value, key := fmt.Sprintf("public.v%d", i), fmt.Sprintf("public.k%d", i)
		add := func(table string, columns []string, line string) {
			text[table] = columns
			wantText = append(wantText, line)
			if k.binary {
				binary[table] = columns
				wantBinary = append(wantBinary, line)
			}
		}
		for n, s := range k.values {
			v := s.want
			if v == "" {
				v = r.printed(t, s.sql, k.name)
			}
			insert = append(insert, fmt.Sprintf("INSERT INTO v%d VALUES (%d, (%s)::%s)", i, n, s.sql, k.name))
			add(value, []string{"id", "v"}, fmt.Sprintf(`c %d {"id":%d,"v":%s}`, n, n, v))
			if k.keyed {
				insert = append(insert, fmt.Sprintf("INSERT INTO k%d VALUES ((%s)::%s)", i, s.sql, k.name))
				add(key, []string{"v"}, fmt.Sprintf(`c %s {"v":%s}`, bare(t, v), v))
			}
		}
		insert = append(insert, fmt.Sprintf("INSERT INTO v%d VALUES (99, NULL)", i))
		add(value, []string{"id", "v"}, `c 99 {"id":99,"v":null}`)
	}
	r.run(t, append(insert, "COMMIT")...)

	rules := []route.Rule{{Match: "public.v*", Payload: []route.Column{{Name: "id", Source: "id"}, {Name: "v", Source: "v"}}}, {Match: "public.k*"}}
	fromText := r.changes(t, text, false, len(wantText))
	wants(t, rules, route.Encoding{}, fromText, wantText)
	fromBinary := r.changes(t, binary, true, len(wantBinary))
	wants(t, rules, route.Encoding{}, fromBinary, wantBinary)
	fromText = slices.DeleteFunc(fromText, func(c source.Change) bool { return !binary.Captures(c.Table.Name) })
	identical(t, fromText, fromBinary)

	for i, k := range all {
		name := fmt.Sprintf("public.v%d", i)
		one := columnsOf{name: {"id", "v"}}
		found, err := tables(t.Context(), r.conn, one.Captures)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.source(t, one).binary(t.Context(), r.conn, found); err != nil || got != k.binary {
			t.Errorf("%s: got binary %v, %v, want %v", k.name, got, err, k.binary)
		}
	}
}

// printed is what the database prints, as a JSON string.
func (r *reading) printed(t *testing.T, sql, kind string) string {
	t.Helper()
	var text string
	if err := r.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT ((%s)::%s)::text", sql, kind)).Scan(&text); err != nil {
		t.Fatalf("%s of %s: %v", sql, kind, err)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// bare is a value as the key of a message has it.
func bare(t *testing.T, value string) string {
	t.Helper()
	if !strings.HasPrefix(value, `"`) {
		return value
	}
	var text string
	if err := json.Unmarshal([]byte(value), &text); err != nil {
		t.Fatal(err)
	}
	return text
}
