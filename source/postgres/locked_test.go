package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// maintain locks a table in another session, as VACUUM and CREATE INDEX CONCURRENTLY do for hours.
func (db *database) maintain(t *testing.T, statement string) {
	t.Helper()
	other, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.WithoutCancel(t.Context())) })
	if _, err := other.Exec(t.Context(), "BEGIN; "+statement); err != nil {
		t.Fatal(err)
	}
}

// Whoever maintains a table holds the lock that adding it needs. That must hold up neither the
// reading of all others, nor the adding of them.
func TestATableThatIsLockedHoldsUpNoOther(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil}
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	db.run(t, "CREATE TABLE a (id int PRIMARY KEY)")
	db.maintain(t, "LOCK TABLE a IN SHARE UPDATE EXCLUSIVE MODE")
	wanted["public.a"], wanted["public.b"] = nil, nil
	s := db.open(t, wanted)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	stream, err := s.Open(ctx, p.pos, p.memory.Again())
	if err != nil {
		t.Fatalf("got %v, want the other table to be read", err)
	}
	p = &tape{stream: stream, memory: p.memory.Again(), pos: p.pos}
	defer func() { _ = stream.Close() }()
	db.run(t, "CREATE TABLE b (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	p.wants(t, "public.t c id=1")
	gapOf(t, p.memory, "public.b")
	if got, want := covered(p.memory), []string{"public.b", "public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
}

// At the first start all tables are locked by one statement: while it waits for one of
// them, whoever alters another waits for us, and everybody else for them.
func TestTheFirstStartDoesNotWaitForLocks(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
	db.maintain(t, "LOCK TABLE b IN SHARE UPDATE EXCLUSIVE MODE")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_, err := db.open(t, columns{"public.a": nil, "public.b": nil}).Head(ctx, sourcetest.Fresh())
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "a table is locked") {
		t.Errorf("got %v, want to wait for who locks the table", err)
	}
}
