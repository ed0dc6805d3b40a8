package postgres_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// lenient is what operators write where clients send settings that PgBouncer does not know.
const lenient = "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,extra_float_digits,IntervalStyle,bytea_output,client_min_messages"

func TestARunThroughPgBouncerWaitsForTheDirectAddress(t *testing.T) {
	server := devtest.Postgres(t)
	if err := devstack.Install(t.Context(), t.Output(), devstack.ComponentPgBouncer); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, mode, ignores string }{
		{"session pooling", "session", ""},
		{"transaction pooling", "transaction", ""},
		{"session pooling that lets settings pass", "session", lenient},
		{"transaction pooling that lets settings pass", "transaction", lenient},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := devstack.StartPgBouncer(t.Context(), server, devstack.PgBouncerConfig{
				Mode: c.mode, Settings: map[string]string{"ignore_startup_parameters": c.ignores},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			waitsForTheDirectAddress(t, b.Addr())
		})
	}
	// From 1.23 on it can, and still passes by the settings that it was told to ignore.
	t.Run("one that can carry replication", func(t *testing.T) { waitsForTheDirectAddress(t, pooler(t, server.Addr())) })
}

// waitsForTheDirectAddress runs through a pooler before the shared server, the
// first time and again.
func waitsForTheDirectAddress(t *testing.T, pooled string) {
	t.Helper()
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil}
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	name := quoted(db.conn.Config().Database)
	db.url = strings.Replace(db.url, devtest.Postgres(t).Addr(), pooled, 1) + "?sslmode=disable"
	again := runThrough(t, db, wanted, p.pos)
	db.run(t, "SELECT pg_drop_replication_slot(current_database())", "DROP PUBLICATION "+name)
	for _, err := range []error{again, runThrough(t, db, wanted, "")} {
		if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "pooler") || !strings.Contains(err.Error(), "the Postgres server itself") {
			t.Errorf("got %v, want to wait because of the pooler, with the direct address as the fix", err)
		}
	}
}

// runThrough begins to read, at the head if there is no position yet.
func runThrough(t *testing.T, db *database, wanted columns, from source.Position) error {
	t.Helper()
	s := db.open(t, wanted)
	if from == "" {
		_, err := s.Head(t.Context(), sourcetest.Fresh())
		return err
	}
	stream, err := s.Open(t.Context(), from, sourcetest.Resumed())
	if err == nil {
		_ = stream.Close()
	}
	return err
}

// pooler passes all on, but hands clients a key of its own, as every pooler must:
// the backend behind a client changes.
func pooler(t *testing.T, server string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go pool(context.WithoutCancel(t.Context()), client, server)
		}
	}()
	return l.Addr().String()
}

func pool(ctx context.Context, client net.Conn, server string) {
	defer client.Close()
	backend, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	go func() {
		defer backend.Close()
		_, _ = io.Copy(backend, client)
	}()
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(backend, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(backend, body); err != nil {
			return
		}
		if head[0] == 'K' {
			binary.BigEndian.PutUint32(body, 4711)
		}
		if _, err := client.Write(append(head[:5:5], body...)); err != nil {
			return
		}
	}
}
