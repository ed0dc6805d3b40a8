package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// columns is a selector: by table, the wanted columns; nil means the primary key.
type columns map[string][]string

func (c columns) Captures(table string) bool { _, ok := c[table]; return ok }

func (c columns) Columns(table string, _, primaryKey []string) ([]string, error) {
	if wanted := c[table]; wanted != nil {
		return wanted, nil
	}
	if len(primaryKey) == 0 {
		return nil, fmt.Errorf("%s has no key", table)
	}
	return primaryKey, nil
}

func (c columns) Key(table string, primaryKey []string) []string {
	if wanted := c[table]; wanted != nil {
		return wanted[:1]
	}
	return primaryKey
}

// tape reads a stream into lines, one for each change: "public.t u id=1 <- id=2".
type tape struct {
	stream source.Stream
	memory *sourcetest.Notes // of this run
	lines  []string
	pos    source.Position
}

// begin prepares the server and opens the stream at its head.
func (db *database) begin(t *testing.T, selector source.Selector) *tape {
	t.Helper()
	s, memory := db.open(t, selector), sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return openTape(t, s, head, memory.Again())
}

func openTape(t *testing.T, s source.Source, from source.Position, memory *sourcetest.Notes) *tape {
	t.Helper()
	stream, err := s.Open(t.Context(), from, memory)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return &tape{stream: stream, memory: memory, pos: from}
}

// read reads until there are n lines and a position behind them.
func (p *tape) read(t *testing.T, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var b source.Batch
	for behind := false; len(p.lines) < n || !behind; {
		if err := p.stream.Next(ctx, &b); err != nil {
			t.Fatalf("Next after %q: %v", p.lines, err)
		}
		for i := range b.Changes {
			p.lines = append(p.lines, lineOf(&b.Changes[i]))
		}
		if behind = b.Pos != ""; behind {
			p.pos = b.Pos
		}
	}
	return p.lines
}

func (p *tape) wants(t *testing.T, want ...string) {
	t.Helper()
	if got := p.read(t, len(want)); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func lineOf(c *source.Change) string {
	text := c.Table.Name + " " + c.Op.String()
	if c.New != nil {
		text += rowOf(c.Table, c.New)
	}
	if c.Old != nil {
		text += " <-" + rowOf(c.Table, c.Old)
	}
	return text
}

func rowOf(table *source.Table, row []source.Value) string {
	var text strings.Builder
	for i, v := range row {
		switch v.Kind {
		case source.Absent:
			continue
		case source.Null:
			fmt.Fprintf(&text, " %s=null", table.Columns[i])
		default:
			fmt.Fprintf(&text, " %s=%s", table.Columns[i], v.Bytes)
		}
	}
	return text.String()
}

func TestEveryTypeArrivesAsTheContractSays(t *testing.T) {
	db := newDatabase(t, `CREATE TABLE types (id bigint PRIMARY KEY, s smallint, i integer, t text, v varchar(20), c char(5),
		u uuid, b boolean, ts timestamp, tz timestamptz)`)
	p := db.begin(t, columns{"public.types": {"id", "s", "i", "t", "v", "c", "u", "b", "ts", "tz"}})
	db.run(
		t, "SET TimeZone = 'America/New_York'", "SET DateStyle = 'German'", // of the writer's session, not of ours
		`INSERT INTO types VALUES (9223372036854775807, -32768, 2147483647, E'a"b\\c\n€', 'v', 'c', '7F9C24E8-3B12-4FEF-91E0-56A2D5A5A5A5', true,
			'2026-11-21 10:50:00.120', '2026-11-21 10:50:00.5-05')`,
		`INSERT INTO types (id, ts, tz, b) VALUES (-1, 'infinity', '-infinity', false)`,
	)
	p.wants(
		t,
		"public.types c id=9223372036854775807 s=-32768 i=2147483647 t=a\"b\\c\n€ v=v c=c     u=7f9c24e8-3b12-4fef-91e0-56a2d5a5a5a5 b=true ts=2026-11-21T10:50:00.12 tz=2026-11-21T15:50:00.5Z",
		"public.types c id=-1 s=null i=null t=null v=null c=null u=null b=false ts=infinity tz=-infinity",
	)
}

func TestTablesOfEveryShape(t *testing.T) {
	for _, c := range []struct {
		name   string
		schema []string
		wanted columns
		work   []string
		want   []string
	}{
		{
			"quoted names",
			[]string{`CREATE SCHEMA "My Schema"`, `CREATE TABLE "My Schema"."Order ""X""" ("Id" int PRIMARY KEY)`},
			columns{`My Schema.Order "X"`: nil},
			[]string{`INSERT INTO "My Schema"."Order ""X""" VALUES (1)`},
			[]string{`My Schema.Order "X" c Id=1`},
		},
		{
			"a composite key whose order is not the table's",
			[]string{"CREATE TABLE t (a int, b text, x int, PRIMARY KEY (b, a))"},
			columns{"public.t": nil},
			[]string{"INSERT INTO t VALUES (1, 'one', 0)", "UPDATE t SET a = 2", "DELETE FROM t"},
			[]string{"public.t c b=one a=1", "public.t u b=one a=2 <- b=one a=1", "public.t d <- b=one a=2"},
		},
		{
			"a full replica identity",
			[]string{"CREATE TABLE t (id int PRIMARY KEY, x text)", "ALTER TABLE t REPLICA IDENTITY FULL"},
			columns{"public.t": {"id", "x"}},
			[]string{"INSERT INTO t VALUES (1, NULL)", "UPDATE t SET x = 'y'", "DELETE FROM t"},
			[]string{"public.t c id=1 x=null", "public.t u id=1 x=y <- id=1 x=null", "public.t d <- id=1 x=y"},
		},
		{
			"an index as replica identity",
			[]string{
				"CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE)", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key",
			},
			columns{"public.t": {"code"}},
			[]string{"INSERT INTO t VALUES (1, 'a')", "UPDATE t SET code = 'b'", "DELETE FROM t"},
			[]string{"public.t c code=a", "public.t u code=b <- code=a", "public.t d <- code=b"},
		},
		{
			"partitions under the root's name",
			[]string{
				"CREATE TABLE t (id int, region text, PRIMARY KEY (region, id)) PARTITION BY LIST (region)",
				"CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu')", "CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us')",
			},
			columns{"public.t": nil},
			[]string{"INSERT INTO t VALUES (1, 'eu'), (2, 'us')", "UPDATE t SET region = 'us' WHERE id = 1", "TRUNCATE t"},
			[]string{
				"public.t c region=eu id=1", "public.t c region=us id=2",
				// A row that moves to another partition is deleted there and inserted here.
				"public.t d <- region=eu id=1", "public.t c region=us id=1", "public.t t",
			},
		},
		{
			"a large value that an update leaves alone",
			[]string{"CREATE TABLE t (id int PRIMARY KEY, x text, n int)", "ALTER TABLE t ALTER x SET STORAGE EXTERNAL"},
			columns{"public.t": {"id", "x", "n"}},
			[]string{"INSERT INTO t VALUES (1, NULL, 1)", "UPDATE t SET x = repeat('x', 5000)", "UPDATE t SET n = 2"},
			[]string{"public.t c id=1 x=null n=1", "public.t u id=1 x=" + strings.Repeat("x", 5000) + " n=1", "public.t u id=1 n=2"},
		},
		{
			"a truncate of several tables",
			[]string{"CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY REFERENCES a)", "CREATE TABLE z (id int)"},
			columns{"public.a": nil, "public.b": nil},
			[]string{"TRUNCATE a, z CASCADE"},
			[]string{"public.a t", "public.b t"},
		},
		{
			"columns that come, go and change while it runs",
			[]string{"CREATE TABLE t (junk int, id int PRIMARY KEY)"},
			columns{"public.t": nil},
			[]string{
				"INSERT INTO t VALUES (0, 1)", "ALTER TABLE t DROP COLUMN junk", "INSERT INTO t VALUES (2)", "ALTER TABLE t ADD COLUMN x text DEFAULT 'x'",
				"UPDATE t SET x = 'y' WHERE id = 2", "ALTER TABLE t ALTER id TYPE bigint", "DELETE FROM t WHERE id = 2", "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t",
				"UPDATE t SET id = 3",
			},
			[]string{"public.t c id=1", "public.t c id=2", "public.t u id=2", "public.t d <- id=2", "public.t u id=3 <- id=1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, c.schema...)
			p := db.begin(t, c.wanted)
			db.run(t, c.work...)
			p.wants(t, c.want...)
		})
	}
}

// With wal_sender_timeout below the time that nobody reads, only feedback keeps the server from hanging up.
func TestTheServerHearsFromUsWhileNobodyReads(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	role := "ALTER ROLE postgres IN DATABASE " + pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, role+" SET wal_sender_timeout = '1s'")
	p := db.begin(t, columns{"public.t": nil})
	since := db.asked(t)
	for db.asked(t).Sub(since) < 3*time.Second {
		// Nothing is read, and the server's clock decides: each look is a query.
		db.run(t, "SELECT pg_sleep(0.5)")
	}
	db.run(t, "INSERT INTO t VALUES (1)")
	p.wants(t, "public.t c id=1")
}

func (db *database) asked(t *testing.T) (now time.Time) {
	t.Helper()
	if err := db.conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now); err != nil {
		t.Fatal(err)
	}
	return now
}

func TestWhatWouldLoseChangesStops(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause func(t *testing.T, db *database, at source.Position) source.Position
		want  string
	}{
		{"a slot that was dropped", func(t *testing.T, db *database, at source.Position) source.Position {
			db.run(t, "SELECT pg_drop_replication_slot(current_database())")
			return at
		}, "does not exist any more"},
		{"a slot that was made anew", func(t *testing.T, db *database, at source.Position) source.Position {
			db.run(t, "SELECT pg_drop_replication_slot(current_database())", "INSERT INTO t VALUES (1)",
				"SELECT pg_create_logical_replication_slot(current_database(), 'pgoutput')")
			return at
		}, "beyond the checkpoint"},
		{"a slot of another plugin", func(t *testing.T, db *database, at source.Position) source.Position {
			db.run(t, "SELECT pg_drop_replication_slot(current_database())",
				"SELECT pg_create_logical_replication_slot(current_database(), 'test_decoding')")
			return at
		}, "belongs to plugin"},
		{"a position of another server", func(_ *testing.T, _ *database, at source.Position) source.Position {
			return "1" + at
		}, "the server is another one"},
		{"a position on another timeline", func(_ *testing.T, _ *database, at source.Position) source.Position {
			parts := strings.Split(string(at), ":")
			return source.Position(parts[0] + ":7:" + parts[2])
		}, "timeline"},
		{"a position that the server has not reached", func(_ *testing.T, _ *database, at source.Position) source.Position {
			return source.Position(strings.Join(strings.Split(string(at), ":")[:2], ":") + ":FFFF/0")
		}, "was restored to an earlier point"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
			s := db.open(t, columns{"public.t": nil})
			memory := sourcetest.Fresh()
			head, err := s.Head(t.Context(), memory)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := s.Open(t.Context(), c.cause(t, db, head), memory.Again())
			if err == nil {
				_ = stream.Close()
			}
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "to fix:") {
				t.Errorf("got %v, want a stop with %q and its fix", err, c.want)
			}
		})
	}
}

func TestALaterTableWithoutAKeyHoldsUpNoOther(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil, "public.keyless": nil, "public.late": nil}
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	db.run(t, "CREATE TABLE keyless (n int)", "CREATE TABLE late (id int PRIMARY KEY)")
	s := db.open(t, wanted)
	p = openTape(t, s, p.pos, p.memory.Again())
	if why := s.Uncovered()["public.keyless"]; !strings.Contains(why, "no primary key") {
		t.Errorf("got %q about the table that cannot be covered, want the reason", why)
	}
	db.run(t, "INSERT INTO keyless VALUES (1)", "UPDATE keyless SET n = 2", "INSERT INTO late VALUES (1)", "INSERT INTO t VALUES (1)")
	p.wants(t, "public.late c id=1", "public.t c id=1")
	if got, want := s.Tables(), []string{"public.late", "public.t"}; !slices.Equal(got, want) {
		t.Errorf("got the covered tables %q, want %q", got, want)
	}
}
