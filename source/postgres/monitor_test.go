package postgres_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// journal is a log that a test reads while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// logged is open with a log to read, from the level warn on.
func logged(t *testing.T, url, name string, selector source.Selector) (*postgres.Source, *journal) {
	t.Helper()
	j := &journal{}
	s, err := postgres.New(postgres.Config{URL: url, Slot: name, Publication: name}, postgres.Options{
		Pipeline: "shop", Application: "kafkasync test", Selector: selector,
		Logger: slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

func TestLogThatIsKeptForTheSlotIsShownAndItsCauseNamed(t *testing.T) {
	// Two small segments are all that the server means to keep.
	server := ownServer(t, map[string]string{"min_wal_size": "32MB", "max_wal_size": "32MB", "max_slot_wal_keep_size": "120MB", "full_page_writes": "off"})
	if err := server.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	db := connectTo(t, server.url("shop"), "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (x text)")
	s, j := logged(t, db.url, "shop", columns{"public.t": nil})
	memory := sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	p := openTape(t, s, head, memory.Again())
	eventually(t, func() bool { return s.RetainedBytes() > 0 })
	if text := j.String(); text != "" {
		t.Errorf("a healthy slot: got the log %s", text)
	}

	blocker := connectTo(t, db.url, "BEGIN", "INSERT INTO other VALUES ('')")
	// Decoding notes where a transaction began at the next record of running ones.
	db.run(t, "CHECKPOINT", "INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 60000)", "INSERT INTO t VALUES (1)", "CHECKPOINT")
	p.read(t, 1)
	if err := p.stream.Confirm(t.Context(), p.pos); err != nil {
		t.Fatal(err)
	}
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	p = openTape(t, s, p.pos, p.memory.Again()) // looks at once
	want := fmt.Sprintf("an open transaction: process %d (", blocker.conn.PgConn().PID())
	eventually(t, func() bool { return strings.Contains(j.String(), want) })
	if got := s.RetainedBytes(); got < 60e6 {
		t.Errorf("got %d bytes retained, want more than 60 MB", got)
	}
	if text := j.String(); strings.Count(text, "in danger") != 1 || !strings.Contains(text, "safe_bytes=") {
		t.Errorf("got the log %s, want one warning with safe_bytes", text)
	}

	// Beyond the limit the server ends the reader and invalidates the slot.
	db.run(t, "INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 120000)", "CHECKPOINT")
	var b source.Batch
	for err == nil {
		err = p.stream.Next(t.Context(), &b)
	}
	eventually(t, func() bool {
		_, err = s.Open(t.Context(), p.pos, p.memory.Again())
		return kafkasync.ClassOf(err) == kafkasync.Stop
	})
	if !strings.Contains(err.Error(), "was invalidated") || !strings.Contains(err.Error(), "kafkasync recover shop --new-slot") {
		t.Errorf("got %v, want an invalidated slot and the way out", err)
	}
}
