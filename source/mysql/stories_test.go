package mysql_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
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

// tape reads a stream into lines, one for each change, without the database: "t u id=1 <- id=1".
type tape struct {
	prefix string
	stream source.Stream
	memory *sourcetest.Notes // of this run
	lines  []string
	places []string
	pos    source.Position
}

// begin takes the server's head and opens the stream there. The selector's tables have no database yet.
func (db *database) begin(t *testing.T, wanted columns) *tape {
	t.Helper()
	return db.follow(t, db.open(t, db.selector(wanted)))
}

// follow is begin with a source that the test has made.
func (db *database) follow(t *testing.T, s *mysql.Source) *tape {
	t.Helper()
	memory := sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return db.reads(t, s, head, memory)
}

func (db *database) selector(wanted columns) columns {
	named := columns{}
	for table, c := range wanted {
		named[db.prefix()+table] = c
	}
	return named
}

// reopen opens a stream at a position, as the next run does.
func (db *database) reopen(t *testing.T, wanted columns, from source.Position, memory *sourcetest.Notes) *tape {
	t.Helper()
	return db.reads(t, db.open(t, db.selector(wanted)), from, memory)
}

func (db *database) reads(t *testing.T, s *mysql.Source, from source.Position, memory *sourcetest.Notes) *tape {
	t.Helper()
	p := &tape{prefix: db.prefix(), memory: memory.Again(), pos: from}
	var err error
	if p.stream, err = s.Open(t.Context(), from, p.memory); err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = p.stream.Close() })
	return p
}

// next reads one batch, and reports whether it moves the position behind its changes.
func (p *tape) next(t *testing.T) (moved bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var b source.Batch
	if err := p.stream.Next(ctx, &b); err != nil {
		return false, err
	}
	for i := range b.Changes {
		p.lines = append(p.lines, strings.TrimPrefix(lineOf(&b.Changes[i]), p.prefix))
		p.places = append(p.places, b.Changes[i].Place)
	}
	if b.Pos != "" {
		p.pos = b.Pos
	}
	return b.Pos != "" && (len(b.Changes) == 0 || !ahead(b.Changes[len(b.Changes)-1].Place, b.Pos)), nil
}

// ahead reports whether a change is behind a position that comes with it, since its transaction has no end yet. It knows that of positions of one server.
func ahead(place string, pos source.Position) bool {
	one := regexp.MustCompile(`^(?:mysql:[0-9a-f-]{36}:(?:\d+-)?|mariadb:\d+-\d+-)(\d+)$`).FindStringSubmatch(string(pos))
	if one == nil {
		return false
	}
	is, err := strconv.ParseUint(place[strings.LastIndexAny(place, ":-")+1:], 10, 64)
	at, err2 := strconv.ParseUint(one[1], 10, 64)
	return err == nil && err2 == nil && is > at
}

// read reads until there are n lines and a position behind them.
func (p *tape) read(t *testing.T, n int) []string {
	t.Helper()
	for behind := false; len(p.lines) < n || !behind; {
		moved, err := p.next(t)
		if err != nil {
			t.Fatalf("Next after %q: %v", p.lines, err)
		}
		behind = moved
	}
	return p.lines
}

// wants reads the lines, and forgets them.
func (p *tape) wants(t *testing.T, want ...string) {
	t.Helper()
	if got := p.read(t, len(want)); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	p.lines, p.places = nil, nil
}

// more is wants for lines that come behind those that were read, with their places.
func (p *tape) more(t *testing.T, want ...string) {
	t.Helper()
	seen := len(p.lines)
	if got := p.read(t, seen+len(want))[seen:]; !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// fails reads on until the stream ends, and returns why.
func (p *tape) fails(t *testing.T) error {
	t.Helper()
	for {
		if _, err := p.next(t); err != nil {
			return err
		}
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

func TestEveryWayToChangeRowsArrives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.txt")
	if err := os.WriteFile(file, []byte("50\tfile\n51\tfile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		run  []string
		want []string
	}{
		{
			"update_all and delete_all",
			[]string{"UPDATE t SET name = 'x'", "DELETE FROM t"},
			[]string{"t u id=1 <- id=1", "t u id=2 <- id=2", "t d <- id=1", "t d <- id=2"},
		},
		{
			"INSERT ... SELECT",
			[]string{"INSERT INTO t SELECT id + 10, name FROM t ORDER BY id"},
			[]string{"t c id=11", "t c id=12"},
		},
		{
			"REPLACE and ON DUPLICATE KEY",
			[]string{
				"REPLACE INTO u VALUES (1, 'replaced')", "INSERT INTO t VALUES (2, 'x'), (3, 'y') ON DUPLICATE KEY UPDATE name = 'again'",
			},
			[]string{"u u id=1 <- id=1", "t u id=2 <- id=2", "t c id=3"},
		},
		{
			"one statement, two tables",
			[]string{"UPDATE t STRAIGHT_JOIN u ON t.id = u.id SET t.name = 'j', u.name = 'j'", "DELETE t, u FROM t STRAIGHT_JOIN u ON t.id = u.id"},
			[]string{"t u id=1 <- id=1", "u u id=1 <- id=1", "t d <- id=1", "u d <- id=1"},
		},
		{
			"LOAD DATA",
			[]string{"LOAD DATA INFILE '" + file + "' INTO TABLE t"},
			[]string{"t c id=50", "t c id=51"},
		},
		{
			"CREATE TABLE ... SELECT",
			[]string{"CREATE TABLE made (PRIMARY KEY (id)) SELECT id, name FROM t ORDER BY id"},
			[]string{"made c id=1", "made c id=2"},
		},
		{
			"a table without transactions",
			[]string{"CREATE TABLE made (id int PRIMARY KEY) ENGINE = MyISAM", "INSERT INTO made VALUES (1), (2)", "DELETE FROM made WHERE id = 2"},
			[]string{"made c id=1", "made c id=2", "made d <- id=2"},
		},
		{
			"savepoints",
			[]string{"BEGIN", "INSERT INTO t VALUES (20, 'a')", "SAVEPOINT s", "INSERT INTO t VALUES (21, 'b')", "ROLLBACK TO s", "INSERT INTO t VALUES (22, 'c')", "COMMIT"},
			[]string{"t c id=20", "t c id=22"},
		},
		{
			"a trigger",
			[]string{"CREATE TRIGGER tr AFTER INSERT ON ignored FOR EACH ROW INSERT INTO t VALUES (NEW.id, 'by trigger')", "INSERT INTO ignored VALUES (30)"},
			[]string{"t c id=30"},
		},
		{
			"TRUNCATE in all its forms",
			[]string{"TRUNCATE t", "truncate /* all of */ table `u`", "/* app */ TRUNCATE TABLE t", "TRUNCATE TABLE ignored"},
			[]string{"t t", "u t", "t t"},
		},
		{
			"a table that is swapped with a copy",
			[]string{
				"CREATE TABLE _t_gho LIKE t", "ALTER TABLE _t_gho ADD COLUMN extra int FIRST, ADD COLUMN more int", "INSERT INTO _t_gho (id, name) SELECT id, name FROM t",
				"RENAME TABLE t TO _t_del, _t_gho TO t", "UPDATE t SET extra = 1 WHERE id = 2", "TRUNCATE t", "DROP TABLE _t_del",
			},
			[]string{"t u id=2 <- id=2", "t t"},
		},
		{
			"a key that changes",
			[]string{"UPDATE t SET id = 7 WHERE id = 1", "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (name(10), id)", "UPDATE t SET name = 'n' WHERE id = 7"},
			[]string{"t u id=7 <- id=1", "t u name=n id=7 <- name=one id=7"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, server *devstack.MySQL) {
				db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20))", "CREATE TABLE u (id int PRIMARY KEY, name varchar(20))",
					"CREATE TABLE ignored (id int PRIMARY KEY)", "INSERT INTO t VALUES (1, 'one'), (2, 'two')", "INSERT INTO u VALUES (1, 'one')")
				p := db.begin(t, columns{"t": nil, "u": nil, "made": nil})
				db.run(t, tt.run...)
				db.run(t, "INSERT INTO u VALUES (99, 'end')")
				p.wants(t, append(tt.want, "u c id=99")...)
			})
		})
	}
}

func TestCascadesOfForeignKeysArriveFromMySQL(t *testing.T) {
	db := newDatabase(t, devtest.MySQL(t), "CREATE TABLE parent (id int PRIMARY KEY)",
		"CREATE TABLE child (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE)",
		"INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (10, 1), (11, 1)")
	p := db.begin(t, columns{"child": nil})
	db.run(t, "DELETE FROM parent")
	p.wants(t, "child d <- id=10", "child d <- id=11")
}

func TestTablesThatOnlyMariaDBHas(t *testing.T) {
	server := devtest.MariaDB(t)
	for _, tt := range []struct {
		name  string
		table string
		run   []string
		want  []string
		none  bool // the table is not covered
	}{
		{
			"columns that it compresses, and nobody wants",
			"CREATE TABLE t (note text COMPRESSED, id int PRIMARY KEY, code varchar(100) COMPRESSED, name decimal(10, 2))",
			[]string{"INSERT INTO t VALUES (REPEAT('x', 1000), 1, REPEAT('y', 100), 7.5)", "DELETE FROM t"},
			[]string{"t c id=1", "t d <- id=1"},
			false,
		},
		{
			"a sequence, which the log has as a table", "CREATE SEQUENCE t", []string{"SELECT NEXTVAL(t)", "SELECT SETVAL(t, 5000)"}, nil, true,
		},
		{
			"rows of the past", "CREATE TABLE t (id int PRIMARY KEY, name varchar(10)) WITH SYSTEM VERSIONING",
			[]string{"INSERT INTO t VALUES (1, 'a')", "UPDATE t SET name = 'b'", "DELETE FROM t"},
			[]string{"t c id=1", "t u id=1 <- id=1", "t c id=1", "t u id=1 <- id=1"},
			false,
		},
		{
			"rows of the past, by names of their own",
			"CREATE TABLE t (id int, at timestamp(6) GENERATED ALWAYS AS ROW START, til timestamp(6) GENERATED ALWAYS AS ROW END, n int, PRIMARY KEY (n, id), PERIOD FOR SYSTEM_TIME (at, til)) WITH SYSTEM VERSIONING",
			[]string{"INSERT INTO t (id, n) VALUES (1, 2)", "UPDATE t SET n = 3"},
			[]string{"t c n=2 id=1", "t u n=3 id=1 <- n=2 id=1", "t c n=2 id=1"},
			false,
		},
		{
			"a key that ends with a time by itself", "CREATE TABLE t (id int, at timestamp(6), PRIMARY KEY (id, at))",
			[]string{"INSERT INTO t VALUES (1, '2026-11-30 10:00:00')"},
			[]string{"t c id=1 at=2026-11-30T10:00:00Z"},
			false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := newDatabase(t, server, tt.table, "CREATE TABLE u (id int PRIMARY KEY)")
			p := db.begin(t, columns{"t": nil, "u": nil})
			db.run(t, tt.run...)
			db.run(t, "INSERT INTO u VALUES (99)")
			p.wants(t, append(tt.want, "u c id=99")...)
			if tt.none {
				p.wantCovered(t, "u")
			} else {
				p.wantCovered(t, "t", "u")
			}
			p.wantGaps(t)
		})
	}
}

func TestTaggedTransactionsArrive(t *testing.T) {
	db := newDatabase(t, devtest.MySQL(t), "CREATE TABLE t (id int PRIMARY KEY)")
	p := db.begin(t, columns{"t": nil})
	db.run(t, "SET gtid_next = 'AUTOMATIC:blue'", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)", "SET gtid_next = 'AUTOMATIC'", "INSERT INTO t VALUES (3)")
	for i, line := range p.read(t, 3) {
		if got := p.places[i]; strings.Contains(got, ":blue:") != (i < 2) {
			t.Errorf("%s: got the place %q, want a tag in the first two", line, got)
		}
	}
	if !strings.Contains(string(p.pos), ":blue:1-") {
		t.Errorf("got the position %q, want one with the tag", p.pos)
	}
	again := db.reopen(t, columns{"t": nil}, p.pos, p.memory)
	db.run(t, "INSERT INTO t VALUES (4)")
	again.wants(t, "t c id=4")
}

func TestRowImagesThatAreNotFull(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		for _, image := range []string{"MINIMAL", "NOBLOB"} {
			t.Run(image, func(t *testing.T) {
				db := newDatabase(t, server, "CREATE TABLE t (a int, body text, n int, b int, PRIMARY KEY (b, a))", "INSERT INTO t VALUES (1, 'text', 5, 2)")
				p := db.begin(t, columns{"t": {"b", "a", "n"}})
				db.run(t, "SET binlog_row_image = "+image, "UPDATE t SET body = 'other'", "UPDATE t SET b = 3", "UPDATE t SET n = 6", "DELETE FROM t")
				p.read(t, 4)
				for i, want := range []string{"t u b=2 a=1", "t u b=3 a=1", "t u b=3 a=1 n=6", "t d <- b=3 a=1"} {
					if !strings.HasPrefix(p.lines[i], want) {
						t.Errorf("got %q, want %q", p.lines[i], want)
					}
				}
			})
		}
	})
}

func TestAKeyThatTheRowImageLacksStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL)", "INSERT INTO t VALUES (1, 7)")
		p := db.begin(t, columns{"t": {"code"}})
		db.run(t, "SET binlog_row_image = MINIMAL", "DELETE FROM t")
		wantStop(t, p.fails(t), `column "code"`, "binlog_row_image", "kafkasync recover shop --new-slot")
	})
}

func TestATransactionOf300000RowsComesInBoundedBatches(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		for _, setting := range []string{"", "SET binlog_transaction_compression = ON"} {
			if setting != "" && server.Flavour() == "mariadb" {
				continue // which compresses by event
			}
			t.Run(setting, func(t *testing.T) { bulk(t, server, setting) })
		}
	})
}

func bulk(t *testing.T, server *devstack.MySQL, setting string) {
	t.Helper()
	const rows = 300_000
	db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, name varchar(50))", "INSERT INTO t (name) VALUES ('a'), ('b'), ('c')")
	p := db.begin(t, columns{"t": nil})
	deep := "SET cte_max_recursion_depth = 1000000"
	if server.Flavour() == "mariadb" {
		deep = "SET max_recursive_iterations = 1000000"
	}
	if setting != "" {
		db.run(t, setting)
	}
	db.run(t, deep)
	db.run(t, fmt.Sprintf("INSERT INTO t (id, name) WITH RECURSIVE n AS (SELECT 100 AS i UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, LEFT(SHA2(i, 256), 50) FROM n", rows+99))
	var b source.Batch
	next, largest := 100, 0
	for next < rows+100 {
		before := next
		if err := p.stream.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Changes {
			if got := rowOf(b.Changes[i].Table, b.Changes[i].New); got != fmt.Sprintf(" id=%d", next) {
				t.Fatalf("got%s, want id=%d", got, next)
			}
			next++
		}
		largest = max(largest, len(b.Changes))
		if before > 100 && next < rows+100 && b.Pos != "" {
			t.Fatalf("got the position %s in the middle of a transaction", b.Pos)
		}
	}
	if largest > 8192 || largest < 1000 {
		t.Errorf("got batches of up to %d changes, want many, and at most 8192", largest)
	}
}
