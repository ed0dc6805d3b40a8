package postgres_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// follower reads the database shop of a primary, and of its standby once that is promoted, as
// a node would: again and again from the last checkpoint.
type follower struct {
	primary, standby *devstack.Postgres
	source           *postgres.Source
	journal          *journal
	memory           *sourcetest.Notes
	stream           source.Stream
	at               source.Position // the checkpoint
	seen             map[string]bool // rows that arrived
}

func newFollower(t *testing.T) *follower {
	t.Helper()
	devtest.PostgresVersion(t, newest) // installs it
	primary, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Version: newest, Settings: map[string]string{"fsync": "off", "max_slot_wal_keep_size": slotLimit},
	})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, primary)
	if err := primary.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	query(t, primary.URL("shop"), "CREATE TABLE t (id int PRIMARY KEY, x text)")
	standby, err := primary.Standby(t.Context(), devstack.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, standby)
	f := &follower{primary: primary, standby: standby, memory: sourcetest.Fresh(), seen: map[string]bool{}}
	f.source, f.journal = logged(t, f.url(), "shop", columns{"public.t": nil})
	if f.at, err = f.source.Head(t.Context(), f.memory); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

// url names both servers: whichever accepts writes is meant.
func (f *follower) url() string {
	return fmt.Sprintf("postgres://postgres@%s,%s/shop?target_session_attrs=read-write", f.primary.Addr(), f.standby.Addr())
}

func (f *follower) close() {
	if f.stream != nil {
		_ = f.stream.Close()
	}
}

// follow reads until a row has arrived and its transaction is in the checkpoint.
func (f *follower) follow(t *testing.T, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var b source.Batch
	for behind := false; !f.seen[id] || !behind; {
		if f.stream == nil {
			f.memory = f.memory.Again()
			stream, err := f.source.Open(ctx, f.at, f.memory)
			if kafkasync.ClassOf(err) == kafkasync.Stop || ctx.Err() != nil {
				t.Fatalf("Open at %s, waiting for row %s: %v", f.at, id, err)
			}
			if err != nil {
				continue
			}
			f.stream = stream
		}
		if err := f.stream.Next(ctx, &b); err != nil {
			f.close()
			f.stream = nil
			continue
		}
		for i := range b.Changes {
			f.seen[string(b.Changes[i].New[0].Bytes)] = true
		}
		if behind = b.Pos != ""; behind {
			f.at = b.Pos
			if err := f.stream.Confirm(ctx, b.Pos); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// awaitCopy reads rows of load until the standby has a copy of the slot that would
// survive its promotion: it makes one only while the slot moves.
func (f *follower) awaitCopy(t *testing.T) {
	t.Helper()
	// Not after so many rows: how many are written before the server's worker wakes is the machine's affair.
	deadline := time.Now().Add(2 * time.Minute)
	for id := 100; ; id += 100 {
		f.follow(t, strconv.Itoa(id))
		if query(t, f.standby.URL("postgres"), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'shop' AND synced AND NOT temporary") == "1" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the standby has no copy of the slot after 2 minutes and %d rows", id)
		}
	}
}

// complete requires that every row of the standby, which is the primary now, has arrived.
func (f *follower) complete(t *testing.T) {
	t.Helper()
	for id := range strings.SplitSeq(query(t, f.standby.URL("shop"), "SELECT string_agg(id::text, ' ') FROM t"), " ") {
		if !f.seen[id] {
			t.Errorf("row %s of the new primary has not arrived", id)
		}
	}
	if got := strings.Split(string(f.at), ":")[1]; got != "2" {
		t.Errorf("got a checkpoint on timeline %s, want 2", got)
	}
}

// load writes rows from first on, one in each transaction, to whichever server takes them, until it is ended.
func load(t *testing.T, url string, first int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for id := first; ctx.Err() == nil; {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				continue // the standby is not promoted yet
			}
			for err == nil {
				if _, err = conn.Exec(ctx, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING", id); err == nil {
					id++
				}
			}
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	end = func() {
		cancel()
		<-done
	}
	t.Cleanup(end)
	return end
}

func TestReadingGoesOnAtAPromotedStandbyUnderLoad(t *testing.T) {
	f := newFollower(t)
	plain := f.adoptPlainSlot(t)
	query(t, f.primary.URL("shop"), "ALTER SYSTEM SET synchronized_standby_slots = '"+f.standby.StandbySlot()+"'")
	query(t, f.primary.URL("shop"), "SELECT pg_reload_conf()")
	end := load(t, f.url(), 1)
	f.awaitCopy(t)
	if err := f.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Rows that the new primary itself has written.
	last := query(t, f.standby.URL("shop"), "SELECT max(id) FROM t")
	eventually(t, func() bool {
		now := query(t, f.standby.URL("shop"), "SELECT count(*) >= 100 FROM t WHERE id > "+last)
		return now == "t"
	})
	end()
	f.follow(t, query(t, f.standby.URL("shop"), "SELECT max(id) FROM t"))
	f.complete(t)
	if text := f.journal.String(); strings.Contains(text, "lacks the end") {
		t.Errorf("a standby that has all: got the log %s", text)
	}
	plain(t)
}

// adoptPlainSlot makes a slot that no standby keeps. The function it returns wants
// to be stopped when it is looked for on the new primary.
func (f *follower) adoptPlainSlot(t *testing.T) func(t *testing.T) {
	t.Helper()
	query(t, f.primary.URL("shop"), "CREATE PUBLICATION plain FOR TABLE t WITH (publish_via_partition_root = true)")
	query(t, f.primary.URL("shop"), "SELECT pg_create_logical_replication_slot('plain', 'pgoutput')")
	s, _ := logged(t, f.url(), "plain", columns{"public.t": nil})
	memory := sourcetest.Resumed()
	at, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) {
		t.Helper()
		_, err := s.Open(t.Context(), at, memory.Again())
		for _, want := range []string{"plain does not exist on this server, which is on timeline 2, the checkpoint on 1", "kafkasync recover shop --new-slot"} {
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), want) {
				t.Errorf("without a failover slot: got %v, want a stop with %q", err, want)
			}
		}
	}
}

func TestWhatANewPrimaryWritesWhereTheOldOneWasAheadIsNotPassedOver(t *testing.T) {
	f := newFollower(t)
	insert := func(server *devstack.Postgres, from, to int) {
		t.Helper()
		query(t, server.URL("shop"), fmt.Sprintf("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(%d, %d) n", from, to))
	}
	end := load(t, f.url(), 1)
	f.awaitCopy(t)
	end()
	catchUp(t, f.primary, f.standby)
	if err := f.standby.Stop(); err != nil {
		t.Fatal(err)
	}
	insert(f.primary, 10_000_001, 10_010_000) // lost; the load is far from there
	f.follow(t, "10010000")
	if err := f.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.standby.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(f.standby, 20_000_001, 20_000_010)
	lsn := strings.Split(string(f.at), ":")[2]
	if got := query(t, f.standby.URL("shop"), "SELECT pg_current_wal_lsn() < '"+lsn+"'"); got != "t" {
		t.Fatalf("the new primary is beyond the checkpoint at %s already: that shows nothing", lsn)
	}
	f.follow(t, "20000010")
	f.complete(t)
	if text := f.journal.String(); !strings.Contains(text, "lacks the end") || !strings.Contains(text, "checkpoint") || !strings.Contains(text, lsn) {
		t.Errorf("got the log %s, want a warning that names the checkpoint at %s", text, lsn)
	}
}
