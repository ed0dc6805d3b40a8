package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// Each of these would lose changes without a word, if the first start went on.
func TestAFirstStartRefusesWhatItWouldLose(t *testing.T) {
	for _, c := range []struct {
		name   string
		schema []string
		wanted columns
		want   string
	}{
		{
			"a primary key outside of the replica identity", []string{
				"CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL UNIQUE)", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_email_key",
			}, columns{"public.t": nil}, "lacks id",
		},
		{
			"a key that is not the primary key",
			[]string{"CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL UNIQUE)"},
			columns{"public.t": {"email"}},
			"lacks email",
		},
		{
			"one partition's own identity", []string{
				"CREATE TABLE t (id int NOT NULL, day int NOT NULL, PRIMARY KEY (day, id)) PARTITION BY LIST (day)",
				"CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)", "CREATE UNIQUE INDEX own ON t_1 (day)", "ALTER TABLE t_1 REPLICA IDENTITY USING INDEX own",
			}, columns{"public.t": nil}, "public.t_1 cannot be published: its replica identity lacks id",
		},
		{
			"a partition that logs less than its root", []string{
				"CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY LIST (id)", "CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1)",
				"ALTER TABLE t REPLICA IDENTITY FULL",
			}, columns{"public.t": {"id", "n"}}, "narrower than that of public.t",
		},
		{"no key", []string{"CREATE TABLE t (id int)"}, columns{"public.t": {"id"}}, "its UPDATE and DELETE would fail"},
		{"an unlogged table", []string{"CREATE UNLOGGED TABLE t (id int PRIMARY KEY)"}, columns{"public.t": nil}, "it is unlogged"},
		{"no table at all", nil, columns{"public.t": nil}, "no table of database"},
		{
			"a publication with a filter", []string{
				"CREATE TABLE t (id int PRIMARY KEY)",
				`DO $$ BEGIN EXECUTE format('CREATE PUBLICATION %I FOR TABLE t WHERE (id > 100) WITH (publish_via_partition_root = true)', current_database()); END $$`,
			}, columns{"public.t": nil}, "holds only some rows or columns of public.t",
		},
		{
			"a publication that leaves deletes out", []string{
				"CREATE TABLE t (id int PRIMARY KEY)",
				`DO $$ BEGIN EXECUTE format('CREATE PUBLICATION %I FOR TABLE t WITH (publish = ''insert'')', current_database()); END $$`,
			}, columns{"public.t": nil}, "leaves out operations",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, c.schema...)
			_, err := db.open(t, c.wanted).Head(t.Context(), sourcetest.Fresh())
			if kafkasync.ClassOf(err) == kafkasync.Retry || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "to fix: ") {
				t.Errorf("got %v, want a fault with %q and its fix", err, c.want)
			}
		})
	}
}

func TestAReplicaIdentityThatIsNarrowedWhileItIsReadStops(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, email text NOT NULL UNIQUE)")
	p := db.begin(t, columns{"public.t": nil})
	db.run(t, "INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_email_key", "UPDATE t SET id = 2")
	var b source.Batch
	var err error
	for err == nil {
		err = p.stream.Next(t.Context(), &b)
	}
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), `lacks column "id"`) {
		t.Errorf("got %v, want a stop that names the column", err)
	}
}

func TestASlotThatIsStillBeingMadeIsNotAdopted(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	open, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(context.WithoutCancel(t.Context())) }()
	if _, err := open.Exec(t.Context(), "BEGIN; SELECT pg_current_xact_id()"); err != nil {
		t.Fatal(err)
	}
	s := db.open(t, columns{"public.t": nil})
	// A node that is killed now leaves a walsender that does not notice, since it
	// waits for a lock. To its successor that looks like this one, which is not killed.
	type answer struct {
		head source.Position
		err  error
	}
	made := make(chan answer, 1)
	go func() {
		head, err := s.Head(t.Context(), sourcetest.Fresh())
		made <- answer{head, err}
	}()
	// The slot shows before it is consistent, for which it waits for the open transaction.
	eventually(t, func() bool {
		return query(t, db.url, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = current_database()") == "1"
	})
	head, err := s.Head(t.Context(), sourcetest.Resumed())
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "still being made") {
		t.Fatalf("got %q %v, want to wait for the slot", head, err)
	}
	if _, err := open.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	first := <-made
	if first.err != nil {
		t.Fatal(first.err)
	}
	if head, err = s.Head(t.Context(), sourcetest.Resumed()); err != nil || head != first.head {
		t.Errorf("got %q %v, want %q", head, err, first.head)
	}
}

func TestALaterTableThatCannotBeAddedHoldsUpNoOther(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	name := db.conn.Config().Database
	role := pgx.Identifier{name}.Sanitize()
	db.run(t, "CREATE ROLE "+role+" LOGIN REPLICATION", "CREATE PUBLICATION "+role+" FOR TABLE t WITH (publish_via_partition_root = true)")
	t.Cleanup(func() {
		if _, err := db.conn.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	s, err := postgres.New(
		postgres.Config{URL: strings.Replace(db.url, "postgres@", name+"@", 1), Slot: name, Publication: name},
		postgres.Options{
			Application: "kafkasync test", Logger: slog.New(slog.DiscardHandler),
			Selector: columns{"public.t": nil, "public.keyless": {"n"}, "public.unlogged": nil, "public.foreign": nil},
		})
	if err != nil {
		t.Fatal(err)
	}
	memory := sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	db.run(t, "CREATE TABLE keyless (n int)", "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)", `CREATE TABLE "foreign" (id int PRIMARY KEY)`,
		"INSERT INTO keyless VALUES (1)", "UPDATE keyless SET n = 2", "INSERT INTO t VALUES (1)")
	openTape(t, s, head, memory.Again()).wants(t, "public.t c id=1")
	if got, want := s.Tables(), []string{"public.t"}; !slices.Equal(got, want) {
		t.Errorf("got the covered tables %q, want %q", got, want)
	}
}

// It is tried again every few seconds: each attempt would be an error in the server's
// log, with a statement that names every table.
func TestARoleThatMayNotPublishDoesNotTryTo(t *testing.T) {
	const add = "ALTER PUBLICATION %s ADD TABLE \"public\".\"t\";"
	for _, c := range []struct{ name, prepare, want string }{
		{"no publication, another's table", "GRANT CREATE ON DATABASE %[1]s TO %[1]s", "CREATE PUBLICATION %s FOR TABLE"},
		{"no publication, no right to create one", "ALTER TABLE t OWNER TO %[1]s", "CREATE PUBLICATION %s FOR TABLE"},
		{"another's publication", "ALTER TABLE t OWNER TO %[1]s; CREATE PUBLICATION %[1]s WITH (publish_via_partition_root = true)", add},
		{"its publication, another's table", "CREATE PUBLICATION %[1]s WITH (publish_via_partition_root = true); ALTER PUBLICATION %[1]s OWNER TO %[1]s", add},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
			name := db.conn.Config().Database
			role := pgx.Identifier{name}.Sanitize()
			db.run(t, "CREATE ROLE "+role+" LOGIN REPLICATION")
			t.Cleanup(func() {
				if _, err := db.conn.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
					t.Error(err)
				}
			})
			db.run(t, fmt.Sprintf(c.prepare, role))
			s, err := postgres.New(
				postgres.Config{URL: strings.Replace(db.url, "postgres@", name+"@", 1), Slot: name, Publication: name},
				postgres.Options{Application: "kafkasync test", Logger: slog.New(slog.DiscardHandler), Selector: columns{"public.t": nil}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Head(t.Context(), sourcetest.Fresh())
			var asked *pgconn.PgError
			if kafkasync.ClassOf(err) != kafkasync.Wait || errors.As(err, &asked) || !strings.Contains(err.Error(), fmt.Sprintf(c.want, role)) {
				t.Errorf("got %v, want to wait for %s, and no error of the server", err, c.want)
			}
		})
	}
}

// decided is a selector that knows which tables a rule decides about.
type decided struct{ columns }

func (d decided) Unmatched([]string) []string { return nil }
func (d decided) Mentions(table string) bool  { return d.Captures(table) || table == "public.skipped" }

func TestATableWhoseRuleIsGoneIsNotPassedOver(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE skipped (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
	memory := sourcetest.Fresh()
	head, err := db.open(t, decided{columns{"public.t": nil, "public.u": nil, "public.skipped": nil}}).Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.open(t, decided{columns{"public.u": nil}}).Open(t.Context(), head, memory.Again())
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "public.t") || strings.Contains(err.Error(), "public.skipped") {
		t.Errorf("got %v, want to wait for the rule of public.t, and not for the one that is skipped", err)
	}
}

func TestAPublicationThatWasDroppedStops(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory := db.open(t, columns{"public.t": nil}), sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	db.run(t, "DROP PUBLICATION "+pgx.Identifier{db.conn.Config().Database}.Sanitize())
	if _, err = s.Open(t.Context(), head, memory.Again()); kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want a stop", err)
	}
}

// A fast shutdown waits until each walsender's client has taken all of its log.
func TestTheServerCanShutDownWhileNobodyReads(t *testing.T) {
	server := ownServer(t, nil)
	if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	db := &database{url: server.url("shop")}
	var err error
	if db.conn, err = pgx.Connect(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	db.run(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil})
	eventually(t, func() bool { // the monitor is there
		return query(t, db.url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kafkasync test' AND backend_type = 'client backend'") == "1"
	})
	db.run(t, "INSERT INTO t VALUES (1)")
	if err := db.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.stop(t) // fails after a minute
	var b source.Batch
	for err == nil {
		err = p.stream.Next(t.Context(), &b)
	}
	if kafkasync.ClassOf(err) != kafkasync.Retry {
		t.Errorf("got %v, want the class retry", err)
	}
}
