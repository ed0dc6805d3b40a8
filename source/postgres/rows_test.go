package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
)

// tale is what happens to a table, and the messages that its rule makes of it.
type tale struct {
	name    string
	schema  string
	rule    route.Rule
	changes []string // each of one row
	want    []string
}

func tales() []tale {
	const (
		big     = `(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) n)` // does not compress below 2 kB
		quoted  = `"my shop"."Order Lines ""2"""`
		bigText = "repeat('k', 2600)"
	)
	long := strings.Repeat("k", 2600)
	return []tale{
		{
			"more columns and other names", "CREATE TABLE extra (id int PRIMARY KEY, title text, price numeric, note text)",
			route.Rule{Match: "public.extra", Payload: []route.Column{{Name: "ID", Source: "id"}, {Name: "price", Source: "price"}, {Name: "t\"itle", Source: "title"}}},
			[]string{"INSERT INTO extra VALUES (1, 'Tea', 9.90, 'x')", "UPDATE extra SET title = NULL", "DELETE FROM extra"},
			[]string{`c 1 {"ID":1,"price":"9.90","t\"itle":"Tea"}`, `u 1 {"ID":1,"price":"9.90","t\"itle":null}`, `d 1 {"ID":1}`},
		},
		{
			"a large value that was not touched is left out",
			"CREATE TABLE toast (id int PRIMARY KEY, body text, n int); INSERT INTO toast VALUES (1, " + big + ", 1)",
			route.Rule{Match: "public.toast", Payload: []route.Column{{Name: "id", Source: "id"}, {Name: "body", Source: "body"}, {Name: "n", Source: "n"}}},
			[]string{"UPDATE toast SET n = 2", "UPDATE toast SET body = 'b'", "UPDATE toast SET id = 2"},
			[]string{`u 1 {"id":1,"n":2}`, `u 1 {"id":1,"body":"b","n":2}`, `d 1 {"id":1}`, `c 2 {"id":2,"body":"b","n":2}`},
		},
		{
			"a large value is kept under REPLICA IDENTITY FULL",
			"CREATE TABLE full_toast (id int PRIMARY KEY, body text, n int); ALTER TABLE full_toast ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL; INSERT INTO full_toast VALUES (1, " + bigText + ", 1)",
			route.Rule{Match: "public.full_toast", Payload: []route.Column{{Name: "id", Source: "id"}, {Name: "body", Source: "body"}, {Name: "n", Source: "n"}}},
			[]string{"UPDATE full_toast SET n = 2", "DELETE FROM full_toast"},
			[]string{`u 1 {"id":1,"body":"` + long + `","n":2}`, `d 1 {"id":1,"body":"` + long + `","n":2}`},
		},
		{
			"a key that is stored apart", "CREATE TABLE wide (v text PRIMARY KEY, n int); ALTER TABLE wide ALTER v SET STORAGE EXTERNAL; INSERT INTO wide VALUES (" + bigText + ", 1)",
			route.Rule{Match: "public.wide"},
			[]string{"UPDATE wide SET n = 2", "UPDATE wide SET v = 's'", "DELETE FROM wide"},
			[]string{
				"u " + long + ` {"v":"` + long + `"}`,
				"d " + long + ` {"v":"` + long + `"}`, `c s {"v":"s"}`, `d s {"v":"s"}`,
			},
		},
		{
			"names in mixed case and with quotes, a key in another order than the columns",
			`CREATE SCHEMA "my shop"; CREATE TYPE "my shop"."Ki nd" AS ENUM ('a "b"', 'c'); CREATE TABLE ` + quoted +
				` ("Line No" int, note text, "kind" "my shop"."Ki nd", at timestamptz, "Tenant""s" varchar(9), raw bytea, PRIMARY KEY ("Tenant""s", at, raw, kind, "Line No"))`,
			route.Rule{Match: `my shop.Order Lines "2"`, Topic: "lines"},
			[]string{
				`INSERT INTO ` + quoted + ` VALUES (7, 'x', 'a "b"', '2026-11-21 10:50:00.5+01', 'acme', '\x00ff')`,
				`UPDATE ` + quoted + ` SET note = 'y'`, `UPDATE ` + quoted + ` SET kind = 'c'`,
			},
			[]string{
				`c ["acme","2026-11-21T09:50:00.5Z","00ff","a \"b\"",7] {"Tenant\"s":"acme","at":"2026-11-21T09:50:00.5Z","raw":"00ff","kind":"a \"b\"","Line No":7}`,
				`u ["acme","2026-11-21T09:50:00.5Z","00ff","a \"b\"",7] {"Tenant\"s":"acme","at":"2026-11-21T09:50:00.5Z","raw":"00ff","kind":"a \"b\"","Line No":7}`,
				`d ["acme","2026-11-21T09:50:00.5Z","00ff","a \"b\"",7] {"Tenant\"s":"acme","at":"2026-11-21T09:50:00.5Z","raw":"00ff","kind":"a \"b\"","Line No":7}`,
				`c ["acme","2026-11-21T09:50:00.5Z","00ff","c",7] {"Tenant\"s":"acme","at":"2026-11-21T09:50:00.5Z","raw":"00ff","kind":"c","Line No":7}`,
			},
		},
		{
			"a key that equals another in value, not in its digits", "CREATE TABLE digits (a numeric PRIMARY KEY); INSERT INTO digits VALUES (1.0)",
			route.Rule{Match: "public.digits"},
			[]string{"UPDATE digits SET a = 1.00"},
			[]string{`d 1.0 {"a":"1.0"}`, `c 1.00 {"a":"1.00"}`},
		},
	}
}

func TestRowsAreReadInBothFormsAsTheContractSays(t *testing.T) {
	all := tales()
	schema := make([]string, len(all))
	for i := range all {
		schema[i] = all[i].schema
	}
	r := newReading(t, schema...)
	for _, c := range all {
		r.run(t, c.changes...)
	}
	var rules []route.Rule
	n := 0
	for i := range all {
		rules = append(rules, all[i].rule)
		n += len(all[i].changes)
	}
	router, err := route.New("shop", rules, route.Encoding{})
	if err != nil {
		t.Fatal(err)
	}
	text, binary := r.changes(t, router, false, n), r.changes(t, router, true, n)
	identical(t, text, binary)
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			wants(t, rules, route.Encoding{}, text[:len(c.changes)], c.want)
			text = text[len(c.changes):]
		})
	}
}

func TestAnEncodingOfTheRulesIsOfBothForms(t *testing.T) {
	r := newReading(t, "CREATE DOMAIN raw AS bytea; CREATE TABLE t (id bigint, k raw, n int, oid oid, x xid8, PRIMARY KEY (k, id))")
	r.run(t, `INSERT INTO t VALUES (9007199254740993, '\x00ff6b', 7, 8, '9')`)
	payload := []route.Column{{Name: "id", Source: "id"}, {Name: "k", Source: "k"}, {Name: "n", Source: "n"}, {Name: "oid", Source: "oid"}, {Name: "x", Source: "x"}}
	rules := []route.Rule{{Match: "public.t", Payload: payload}}
	enc := route.Encoding{BigintAsString: true, BinaryAsBase64: true}
	router, err := route.New("shop", rules, enc)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`c ["AP9r","9007199254740993"] {"id":"9007199254740993","k":"AP9r","n":7,"oid":8,"x":"9"}`}
	for _, binary := range []bool{false, true} {
		wants(t, rules, enc, r.changes(t, router, binary, 1), want)
	}
}

// The catalog is of now, the log of before: what the one allows the other need not.
func TestALogOfATypeThatIsNotReadInBinaryFormEndsTheRunAndTheNextReadsText(t *testing.T) {
	for _, c := range []struct{ name, was, becomes, value string }{
		{"a built-in type", "inet", "ALTER TABLE t ALTER v TYPE text", "10.0.0.1"},
		{"a type that is gone", "gone", "ALTER TABLE t ALTER v TYPE text; DROP TYPE gone", "(1)"},
		{"a column that is gone", "pair", "ALTER TABLE t DROP v; ALTER TABLE t ADD v int", "(1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReading(t, "CREATE TYPE gone AS (a int); CREATE TYPE pair AS (a int); CREATE TABLE t (id int PRIMARY KEY, v "+c.was+")")
			r.run(t, "INSERT INTO t VALUES (1, NULL)", "INSERT INTO t VALUES (2, '"+c.value+"')", c.becomes)
			selector := columnsOf{"public.t": {"id", "v"}}
			s := r.source(t, selector)
			found, err := tables(t.Context(), r.conn, selector.Captures)
			if err != nil {
				t.Fatal(err)
			}
			if binary, err := s.binary(t.Context(), r.conn, found); err != nil || !binary {
				t.Fatalf("got binary %v, %v, want true: the table of now can be read so", binary, err)
			}
			got, err := r.follow(t, s, true, 2)
			if !errors.Is(err, errNoBinary) || kafkasync.ClassOf(err) != kafkasync.Retry || !strings.Contains(err.Error(), `column "v" of public.t`) {
				t.Fatalf("got %d changes and %v, want an error that names the column", len(got), err)
			}
			if binary, err := s.binary(t.Context(), r.conn, found); err != nil || binary {
				t.Errorf("got binary %v, %v, want text from now on", binary, err)
			}
			if got, err = r.follow(t, s, false, 2); err != nil || string(got[1].New[1].Bytes) != c.value {
				t.Errorf("got %v, %v, want %s in text form", got, err, c.value)
			}
		})
	}
}

func TestATypeThatChangesWhileItIsReadIsDecodedAsItIsThen(t *testing.T) {
	r := newReading(t, "CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN small AS int; CREATE TABLE t (id int PRIMARY KEY, v text)")
	r.run(
		t, "INSERT INTO t VALUES (1, 'good')",
		"ALTER TABLE t ALTER v TYPE mood USING v::mood", "INSERT INTO t VALUES (2, 'good')",
		"ALTER TYPE mood RENAME VALUE 'good' TO 'better'", "INSERT INTO t VALUES (3, 'better')",
		"ALTER TABLE t ALTER v TYPE small USING 5", "INSERT INTO t VALUES (4, 6)",
		"ALTER TABLE t ALTER v TYPE float4", "INSERT INTO t VALUES (5, 0.1)",
		"ALTER TABLE t ALTER v TYPE bytea USING '\\x00'", "INSERT INTO t VALUES (6, '\\xff')",
	)
	selector := columnsOf{"public.t": {"id", "v"}}
	rules := []route.Rule{{Match: "public.t", Payload: []route.Column{{Name: "v", Source: "v"}}}}
	want := []string{`c 1 {"v":"good"}`, `c 2 {"v":"good"}`, `c 3 {"v":"better"}`, `c 4 {"v":6}`, `c 5 {"v":0.1}`, `c 6 {"v":"ff"}`}
	text, binary := r.changes(t, selector, false, len(want)), r.changes(t, selector, true, len(want))
	identical(t, text, binary)
	wants(t, rules, route.Encoding{}, text, want)
}

func TestColumnsThatNoRuleWantsDoNotMatterForTheForm(t *testing.T) {
	conn := catalogConn(t, "CREATE TABLE a (id int PRIMARY KEY, v inet)", "CREATE TABLE b (id uuid PRIMARY KEY, v int[])", "CREATE TABLE c (id inet PRIMARY KEY)")
	found, err := tables(t.Context(), conn, all)
	if err != nil {
		t.Fatal(err)
	}
	r := &reading{conn, Config{URL: "postgres://db/shop", Slot: "s", Publication: "p"}}
	s := r.source(t, idOnly{})
	for _, c := range []struct {
		covered []table
		want    bool
	}{{nil, true}, {found[:1], true}, {found[:2], true}, {found, false}} {
		if got, err := s.binary(t.Context(), conn, c.covered); err != nil || got != c.want {
			t.Errorf("%v: got %v, %v, want %v", tableNames(c.covered), got, err, c.want)
		}
	}
	if got := s.pluginArguments(true); !slices.Contains(got, "binary 'true'") || slices.Contains(s.pluginArguments(false), "binary 'true'") {
		t.Errorf("got %q, want binary only where it is asked for", got)
	}
}
