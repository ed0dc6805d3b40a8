package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// database is a database of the test's own.
type database struct {
	url  string
	conn *pgx.Conn
}

func newDatabase(t *testing.T, schema ...string) *database {
	t.Helper()
	return connectTo(t, devtest.Database(t), schema...)
}

// connectTo opens the test's own database.
func connectTo(t *testing.T, url string, schema ...string) *database {
	t.Helper()
	db := &database{url: url}
	var err error
	if db.conn, err = pgx.Connect(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.conn.Close(context.WithoutCancel(t.Context())) })
	db.run(t, schema...)
	return db
}

func (db *database) run(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// runAtEnd runs statements when the test's context has ended.
func (db *database) runAtEnd(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.conn.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func (db *database) open(t *testing.T, selector source.Selector) *postgres.Source {
	t.Helper()
	// Slots are of the whole server: the database's name keeps them apart.
	name := db.conn.Config().Database
	s, err := postgres.New(postgres.Config{URL: db.url, Slot: name, Publication: name}, postgres.Options{
		Pipeline: "shop", Application: "kafkasync test", Selector: selector, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (db *database) Source(t *testing.T) source.Source {
	return db.open(t, sourcetest.Selector{Prefix: "public."})
}

func (db *database) Exec(t *testing.T, tx sourcetest.Tx)     { db.transact(t, tx, "COMMIT") }
func (db *database) Rollback(t *testing.T, tx sourcetest.Tx) { db.transact(t, tx, "ROLLBACK") }

func (db *database) transact(t *testing.T, tx sourcetest.Tx, end string) {
	t.Helper()
	db.run(t, "BEGIN")
	for _, step := range tx {
		db.run(t, step.SQL())
	}
	db.run(t, end)
}

func TestPostgresIsASource(t *testing.T) {
	conform(t, devtest.Postgres(t))
}

// conform runs the suite that defines a source, on a server.
func conform(t *testing.T, server *devstack.Postgres) {
	t.Helper()
	sourcetest.Run(t, sourcetest.Harness{
		New: func(t *testing.T) sourcetest.Database {
			return connectTo(t, devtest.DatabaseOn(t, server), sourcetest.Schema()...)
		},
		Prefix:     "public.",
		MaxChanges: source.MaxBatchChanges,
		Prepares:   true,
		IdleWithin: 30 * time.Second,
	})
}
