package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// catalogConn is a connection to a database of the test's own, as sources open it.
func catalogConn(t *testing.T, schema ...string) *pgx.Conn {
	t.Helper()
	settings, err := connConfig(Config{URL: devtest.Database(t)}, "kafkasync test")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connect(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangUp(t.Context(), conn) })
	for _, statement := range schema {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return conn
}

func all(string) bool { return true }

func TestTablesAreThoseThatARuleCanMatch(t *testing.T) {
	conn := catalogConn(t,
		`CREATE SCHEMA "my shop"`,
		`CREATE TABLE "my shop"."Order.Lines" (line int, "order" uuid, gone int, sum int GENERATED ALWAYS AS (line * 2) STORED, note varchar(20) NOT NULL, PRIMARY KEY ("order", line))`,
		`ALTER TABLE "my shop"."Order.Lines" DROP COLUMN gone`,
		`CREATE TEMP TABLE passing (id int)`,
		`CREATE VIEW v AS SELECT 1`,
		`CREATE TABLE parent (id int PRIMARY KEY)`,
		`CREATE TABLE child () INHERITS (parent)`,
	)
	found, err := tables(t.Context(), conn, all)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tableNames(found), []string{"my shop.Order.Lines", "public.child", "public.parent"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	lines := found[0]
	if got, want := lines.primaryKey(), []string{"order", "line"}; !slices.Equal(got, want) {
		t.Errorf("got the primary key %v, want it in the order of the key, %v", got, want)
	}
	if got, want := lines.quoted(), `"my shop"."Order.Lines"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var columns []string
	for _, c := range lines.Columns {
		text := c.Name + " " + c.TypeName
		if c.NotNull {
			text += " not null"
		}
		if c.Generated != 0 {
			text += " generated " + string(c.Generated)
		}
		columns = append(columns, text)
	}
	want := []string{"line integer not null", "order uuid not null", "sum integer generated s", "note character varying(20) not null"}
	if !slices.Equal(columns, want) {
		t.Errorf("got %q, want %q", columns, want)
	}
	if !lines.usable() || found[1].usable() || !found[2].usable() {
		t.Error("got a child that inherits usable, or its parent not; want each to stand for itself")
	}
	if none, err := tables(t.Context(), conn, func(string) bool { return false }); err != nil || len(none) != 0 {
		t.Errorf("got %v, %v, want no table", none, err)
	}
}

func TestAPartitionedTableIsAsUsableAsEachOfItsLeaves(t *testing.T) {
	conn := catalogConn(t,
		`CREATE TABLE e (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
		`CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (1) TO (2)`,
		`CREATE TABLE e_2 PARTITION OF e FOR VALUES FROM (2) TO (3) PARTITION BY RANGE (id)`,
		`CREATE SCHEMA old`,
		`CREATE TABLE old.e_2a PARTITION OF e_2 FOR VALUES FROM (1) TO (9)`,
		// What the root and the branch say of themselves is never used.
		`ALTER TABLE e REPLICA IDENTITY NOTHING`, `ALTER TABLE e_2 REPLICA IDENTITY NOTHING`,
	)
	look := func() table {
		t.Helper()
		found, err := tables(t.Context(), conn, all)
		if err != nil || len(found) != 1 || found[0].Name != "public.e" {
			t.Fatalf("got %+v, %v, want only the root", found, err)
		}
		return found[0]
	}
	e := look()
	var leaves []string
	for _, l := range e.Leaves {
		leaves = append(leaves, l.Name)
	}
	if want := []string{"old.e_2a", "public.e_1"}; !slices.Equal(leaves, want) {
		t.Errorf("got the leaves %v, want %v", leaves, want)
	}
	if got := e.identityColumns(); !e.usable() || !slices.Equal(got, []string{"id", "day"}) {
		t.Errorf("got usable %v, identity %v, want the key", e.usable(), got)
	}
	for _, change := range []string{
		`ALTER TABLE e_1 REPLICA IDENTITY FULL`,
		`CREATE UNIQUE INDEX one ON old.e_2a (day)`, `ALTER TABLE old.e_2a REPLICA IDENTITY USING INDEX one`,
	} {
		if _, err := conn.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	if e = look(); !e.usable() || !slices.Equal(e.identityColumns(), []string{"day"}) {
		t.Errorf("got usable %v, identity %v, want what all leaves have: day", e.usable(), e.identityColumns())
	}
	if _, err := conn.Exec(t.Context(), `ALTER TABLE old.e_2a REPLICA IDENTITY NOTHING`); err != nil {
		t.Fatal(err)
	}
	if e = look(); e.usable() {
		t.Error("got usable, though one leaf has no replica identity")
	}
}

func TestTablesAreListedWhileAnotherSessionChangesThem(t *testing.T) {
	conn := catalogConn(t, `CREATE TABLE e (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (1) TO (2)`)
	other, err := pgx.ConnectConfig(t.Context(), conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(t.Context(), other)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE e, e_1 IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	// A query that waited for the lock would fail here.
	if _, err := conn.Exec(t.Context(), `SET lock_timeout = '100ms'`); err != nil {
		t.Fatal(err)
	}
	if found, err := tables(t.Context(), conn, all); err != nil || len(found) != 1 || len(found[0].Leaves) != 1 {
		t.Errorf("got %+v, %v, want the table and its partition", found, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAPublicationIsReadWithWhatItHides(t *testing.T) {
	conn := catalogConn(t,
		`CREATE SCHEMA s`, `CREATE TABLE s.a (id int PRIMARY KEY)`, `CREATE TABLE b (x int, id int PRIMARY KEY, y text)`, `CREATE TABLE c (id int PRIMARY KEY)`,
		`CREATE PUBLICATION "My pub" FOR TABLE b WHERE (id > 5) WITH (publish = 'insert, delete', publish_via_partition_root = true)`,
		`CREATE PUBLICATION lists FOR TABLE b (y, id), c`,
		`CREATE PUBLICATION schemas FOR TABLES IN SCHEMA s`, `CREATE PUBLICATION everything FOR ALL TABLES`,
	)
	found, err := tables(t.Context(), conn, all)
	if err != nil || len(found) != 3 {
		t.Fatalf("got %v, %v, want three tables", found, err)
	}
	get := func(name string) *publication {
		t.Helper()
		p, err := findPublication(t.Context(), conn, name)
		if err != nil || p == nil {
			t.Fatalf("%s: got %v, %v", name, p, err)
		}
		return p
	}
	p := get("My pub")
	if !p.Insert || p.Update || !p.Delete || p.Truncate || !p.ViaRoot || p.AllTables || !p.Owned || p.Owner != "postgres" {
		t.Errorf("got %+v, want inserts and deletes by the root", p)
	}
	if m := p.member(found[0].OID); m == nil || m.Name != "public.b" || m.Filter != "(id > 5)" || m.Columns != nil || m.OID == 0 {
		t.Errorf("got %+v, want public.b with its filter", m)
	}
	if m := get("lists").member(found[0].OID); m == nil || !slices.Equal(m.Columns, []string{"id", "y"}) {
		t.Errorf("got %+v, want the columns of the list", m)
	}
	for name, want := range map[string]string{
		"My pub": "public.b", "lists": "public.b public.c", "schemas": "s.a", "everything": "public.b public.c s.a",
	} {
		var covered []string
		for i := range found {
			if get(name).covers(&found[i]) {
				covered = append(covered, found[i].Name)
			}
		}
		if got := strings.Join(covered, " "); got != want {
			t.Errorf("%s covers %q, want %q", name, got, want)
		}
	}
	if p, err := findPublication(t.Context(), conn, "none"); p != nil || err != nil {
		t.Errorf("got %v, %v, want no publication and no error", p, err)
	}
}

func TestASlotIsReadAndItsAbsenceIsNoError(t *testing.T) {
	conn := catalogConn(t)
	name := conn.Config().Database
	if s, err := findSlot(t.Context(), conn, name); s != nil || err != nil {
		t.Errorf("got %v, %v, want no slot and no error", s, err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT pg_create_logical_replication_slot(current_database()::name, 'pgoutput')`); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(t.Context(), `SELECT pg_drop_replication_slot(current_database()::name)`); err != nil {
			t.Error(err)
		}
	}()
	s, err := findSlot(t.Context(), conn, name)
	if err != nil || s == nil {
		t.Fatalf("got %v, %v, want the slot", s, err)
	}
	if s.Plugin != "pgoutput" || s.Database != name || s.Temporary || s.TwoPhase || s.ActivePID != 0 || s.WALStatus != "reserved" || s.lost() != "" {
		t.Errorf("got %+v, want a healthy slot of ours", s)
	}
	if s.Restart == 0 || s.ConfirmedFlush < s.Restart {
		t.Errorf("got restart %s and confirmed %s, want both set and in this order", s.Restart, s.ConfirmedFlush)
	}
}

func TestAServerThatCannotBeFollowedIsRefusedByItsVersion(t *testing.T) {
	for _, c := range []struct {
		version int
		text    string
		want    bool
	}{
		{140000, "PostgreSQL 14.0 on x86_64-pc-linux-gnu", true},
		{180004, "PostgreSQL 18.4 on x86_64-pc-linux-gnu", true},
		{130022, "PostgreSQL 13.22 on x86_64-pc-linux-gnu", false},
		{130000, "CockroachDB CCL v24.1.0", false},
		{150000, "CockroachDB CCL v30.1.0", false},
	} {
		u := &checkup{server: serverFacts{Version: c.version, VersionText: c.text}}
		if got := u.checkServer(); got != c.want {
			t.Errorf("%s: got %v, want %v", c.text, got, c.want)
		}
		if !c.want && (len(u.All()) != 1 || u.All()[0].ID != "P01") {
			t.Errorf("%s: got %+v, want P01", c.text, u.All())
		}
	}
}
