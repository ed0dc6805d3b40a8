package postgres_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
)

// hold reads the database's slot under some name, and then freezes: nothing of
// what the server sends is ever taken. It returns the server's process.
func (db *database) hold(t *testing.T, role, application string) (pid uint32) {
	t.Helper()
	config, err := pgconn.ParseConfig(db.url)
	if err != nil {
		t.Fatal(err)
	}
	config.User = role
	config.RuntimeParams["replication"] = "database"
	config.RuntimeParams["application_name"] = application
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Conn().Close() })
	name := pgx.Identifier{config.Database}.Sanitize()
	conn.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf(
		`START_REPLICATION SLOT %s LOGICAL 0/0 (proto_version '1', publication_names '%[1]s')`, name)})
	if err := conn.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return db.readBy(t) == conn.PID() })
	return conn.PID()
}

// readBy returns the process that holds the database's slot; 0: none.
func (db *database) readBy(t *testing.T) (pid uint32) {
	t.Helper()
	err := db.conn.QueryRow(t.Context(), "SELECT coalesce(active_pid, 0)::bigint FROM pg_replication_slots WHERE slot_name = current_database()").Scan(&pid)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// openAs is open for another role.
func (db *database) openAs(t *testing.T, role string, selector source.Selector) *postgres.Source {
	t.Helper()
	name := db.conn.Config().Database
	s, err := postgres.New(
		postgres.Config{URL: strings.Replace(db.url, "postgres@", role+"@", 1), Slot: name, Publication: name},
		postgres.Options{Pipeline: "shop", Application: "kafkasync test", Selector: selector, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFrozenReaderOfAnEarlierRunIsEnded(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY, x text)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	old := db.hold(t, "postgres", "kafkasync test 5eed5eed.1")
	// More than the connection's buffers hold: the walsender cannot write any more.
	db.run(t, "ALTER TABLE t ALTER x SET STORAGE PLAIN", "INSERT INTO t SELECT n, repeat('x', 7000) FROM generate_series(1, 3000) n")
	again := memory.Again()
	var stream source.Stream
	eventually(t, func() bool { // a walsender that is busy may take longer to end than Open waits for it
		var err error
		stream, err = s.Open(t.Context(), head, again)
		if err != nil && kafkasync.ClassOf(err) != kafkasync.Wait {
			t.Fatalf("Open: %v", err)
		}
		return err == nil
	})
	t.Cleanup(func() { _ = stream.Close() })
	p := &tape{stream: stream, memory: again, pos: head}
	if got := len(p.read(t, 3000)); got != 3000 {
		t.Errorf("got %d changes, want 3000", got)
	}
	if now := db.readBy(t); now == old || now == 0 {
		t.Errorf("the slot is read by process %d, want another one than %d", now, old)
	}
}

func TestALiveReaderOfAnEarlierRunIsEnded(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	first := openTape(t, s, head, memory)
	second := openTape(t, s, head, memory.Again())
	var b source.Batch
	var err error
	for err == nil {
		err = first.stream.Next(t.Context(), &b)
	}
	if kafkasync.ClassOf(err) != kafkasync.Retry {
		t.Errorf("the earlier run: got %v, want the class retry", err)
	}
	db.run(t, "INSERT INTO t VALUES (1)")
	second.wants(t, "public.t c id=1")
	if _, err = s.Open(t.Context(), head, memory); kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "of this cluster") {
		t.Errorf("the earlier run again: got %v, want to wait for the later one", err)
	}
	db.run(t, "INSERT INTO t VALUES (2)")
	second.wants(t, "public.t c id=1", "public.t c id=2")
}

func TestAReaderThatMayBeAliveIsLeftAlone(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	for _, application := range []string{
		"psql", "", "kafkasync test", "kafkasync test 0ddc1a5b.1", "kafkasync other 5eed5eed.1", "kafkasync test 5eed5eed.2", "kafkasync test 5eed5eed.3",
	} {
		pid := db.hold(t, "postgres", application)
		_, err := s.Open(t.Context(), head, memory.Again()) // epoch 2
		for _, want := range []string{fmt.Sprintf("process %d (", pid), application, "127.0.0.1", fmt.Sprintf("pg_terminate_backend(%d)", pid)} {
			if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want to wait, and to read of %q", application, err, want)
			}
		}
		if now := db.readBy(t); now != pid {
			t.Errorf("%q: the slot is read by process %d, want %d still", application, now, pid)
		}
		db.run(t, fmt.Sprintf("SELECT pg_terminate_backend(%d, 10000)", pid))
	}
}

func TestALostLeaseEndsNobody(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	pid := db.hold(t, "postgres", "kafkasync test 5eed5eed.1")
	deposed := memory.Again()
	deposed.Lost = errors.New("another lease was granted")
	if _, err := s.Open(t.Context(), head, deposed); !errors.Is(err, deposed.Lost) {
		t.Errorf("got %v, want %v", err, deposed.Lost)
	}
	if now := db.readBy(t); now != pid {
		t.Errorf("the slot is read by process %d, want %d still", now, pid)
	}
}

func TestAReaderOfAnotherRoleNeedsAGrantToBeEnded(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	_, memory, head := db.prepared(t, columns{"public.t": nil})
	name := db.conn.Config().Database
	before, after := name+"_1", name+"_2"
	roles := pgx.Identifier{before}.Sanitize() + ", " + pgx.Identifier{after}.Sanitize()
	for role := range strings.SplitSeq(roles, ", ") {
		db.run(t, "CREATE ROLE "+role+" LOGIN REPLICATION")
	}
	t.Cleanup(func() { db.runAtEnd(t, "DROP OWNED BY "+roles, "DROP ROLE "+roles) })
	pid := db.hold(t, before, "kafkasync test 5eed5eed.1")
	s := db.openAs(t, after, columns{"public.t": nil})
	_, err := s.Open(t.Context(), head, memory.Again())
	grant := "GRANT pg_signal_backend TO " + pgx.Identifier{after}.Sanitize() + ";"
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), grant) {
		t.Fatalf("got %v, want to wait for %s", err, grant)
	}
	if now := db.readBy(t); now != pid {
		t.Errorf("the slot is read by process %d, want %d still", now, pid)
	}
	db.run(t, grant, "INSERT INTO t VALUES (1)")
	openTape(t, s, head, memory.Again()).wants(t, "public.t c id=1")
}
