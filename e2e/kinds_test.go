package e2e_test

import (
	"fmt"
	"strings"
)

const schema = `
CREATE TABLE ledger (id bigint PRIMARY KEY);
CREATE TABLE items (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE lines (region text, line bigint, n bigint NOT NULL DEFAULT 0, PRIMARY KEY (region, line));
CREATE TABLE "Order Items" ("SKU" text PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE scratch (id bigint PRIMARY KEY);
CREATE TABLE wide (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
INSERT INTO wide SELECT generate_series(1, 2000);
CREATE TABLE tokens (id uuid PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE numbers (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE docs (id bigint PRIMARY KEY, body text NOT NULL, n bigint NOT NULL DEFAULT 0);
ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
CREATE TABLE entries (code text NOT NULL, line int NOT NULL, body text, n bigint NOT NULL DEFAULT 0);
ALTER TABLE entries ALTER body SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
CREATE TABLE coded (code text NOT NULL UNIQUE, n bigint NOT NULL DEFAULT 0);
ALTER TABLE coded REPLICA IDENTITY USING INDEX coded_code_key;
CREATE SCHEMA "Shop Floor";
CREATE TABLE "Shop Floor"."Work Orders" ("Tag" text, "No" bigint, n bigint NOT NULL DEFAULT 0, PRIMARY KEY ("No", "Tag"));
CREATE SCHEMA leaves;
CREATE TABLE sales (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0) PARTITION BY RANGE (id);
CREATE TABLE leaves.sales_0 PARTITION OF sales FOR VALUES FROM (0) TO (5000);
CREATE TABLE stock (region text, line bigint, n bigint NOT NULL DEFAULT 0, PRIMARY KEY (region, line)) PARTITION BY LIST (region);
CREATE TABLE leaves.stock_eu PARTITION OF stock FOR VALUES IN ('eu', 'asia');
CREATE TABLE leaves.stock_us PARTITION OF stock FOR VALUES IN ('us');
CREATE TABLE bent (id bigint PRIMARY KEY, first text DEFAULT 'x', note text DEFAULT 'y', n bigint NOT NULL DEFAULT 0);
CREATE TABLE swapped (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE reborn (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0);`

// tables are the rules that lead to these topics.
func (l *load) tables() string {
	return strings.NewReplacer("{p}", l.topics).Replace(`
- {match: public.Order Items, topic: '{p}-orders'}
- {match: Shop Floor.*, topic: '{p}-works'}
- {match: public.entries, key: [code, line], topic: '{p}-entries'}
- {match: public.coded, key: [code], topic: '{p}-coded'}
- {match: public.*, topic: '{p}-{table}'}`)
}

// kind is a table that is written to, in SQL. Its rows are numbered, over all tables.
type kind struct {
	name    string // ends that of its topic
	table   string
	columns string // that a new row has
	values  string // of them, of the row's number $1
	at      string // the column by which rows are looked for and moved
	value   string // of it, of the number $1
	key     string // as a message has it, of the row r
}

// plainKind has one column for its key.
func plainKind(name, table, column, value string) *kind {
	return &kind{name, table, column, value, column, value, "r." + column + "::text"}
}

const (
	regions = `(ARRAY['eu', 'us', 'a "quoted" \ one', 'Köln/東京'])[1 + ($1 % 4)::int]`
	body    = "repeat(md5($1::text), 200)" // some 6 kB: kept apart from its row
)

func kinds() []*kind {
	docs := plainKind("docs", "docs", "id", "$1")
	docs.columns, docs.values = "id, body", "$1, "+body
	return []*kind{
		plainKind("items", "items", "id", "$1"),
		plainKind("orders", `"Order Items"`, `"SKU"`, regions+" || ' ' || $1"),
		plainKind("tokens", "tokens", "id", "md5($1::text)::uuid"),
		plainKind("numbers", "numbers", "id", "$1"),
		plainKind("coded", "coded", "code", "'c' || $1"),
		plainKind("sales", "sales", "id", "$1"),
		plainKind("bent", "bent", "id", "$1"),
		plainKind("swapped", "swapped", "id", "$1"),
		plainKind("reborn", "reborn", "id", "$1"),
		docs,
		{"lines", "lines", "region, line", regions + ", $1", "line", "$1", `'[' || to_json(r.region)::text || ',' || r.line || ']'`},
		{
			"stock", "stock", "region, line", "(ARRAY['eu', 'us', 'asia'])[1 + ($1 % 3)::int], $1", "line", "$1",
			`'[' || to_json(r.region)::text || ',' || r.line || ']'`,
		},
		{
			"entries", "entries", "code, line, body", "'e' || $1 % 7, $1, " + body, "line", "$1",
			`'[' || to_json(r.code)::text || ',' || r.line || ']'`,
		},
		{
			"works", `"Shop Floor"."Work Orders"`, `"Tag", "No"`, regions + ", $1", `"No"`, "$1",
			`'[' || r."No" || ',' || to_json(r."Tag")::text || ']'`,
		},
	}
}

// numbered gives the parameters of a statement their type, which differs with their use otherwise.
func numbered(format string, args ...any) string {
	return strings.NewReplacer("$1", "$1::bigint", "$2", "$2::bigint").Replace(fmt.Sprintf(format, args...))
}

func (k *kind) insert() string {
	return numbered("INSERT INTO %s AS r (%s) VALUES (%s) RETURNING %s", k.table, k.columns, k.values, k.key)
}

// near finds the first row from number $1 on.
func (k *kind) near() string {
	return fmt.Sprintf("(SELECT %s FROM %s WHERE %[1]s >= %[3]s ORDER BY 1 LIMIT 1)", k.at, k.table, k.value)
}

func (k *kind) update() string {
	return numbered("UPDATE %s AS r SET n = r.n + 1 WHERE r.%s = %s RETURNING %s", k.table, k.at, k.near(), k.key)
}

func (k *kind) remove() string {
	return numbered("DELETE FROM %s AS r WHERE r.%s = %s RETURNING %s", k.table, k.at, k.near(), k.key)
}

// rekey gives a row near $1 the number $2, and returns its key before and after.
func (k *kind) rekey() string {
	return numbered(`WITH old AS (SELECT * FROM %s WHERE %s = %s FOR UPDATE)
		UPDATE %[1]s AS r SET %[2]s = %[4]s FROM old WHERE r.%[2]s = old.%[2]s RETURNING %[5]s, %[6]s`,
		k.table, k.at, k.near(), strings.ReplaceAll(k.value, "$1", "$2"), strings.ReplaceAll(k.key, "r.", "old."), k.key)
}
