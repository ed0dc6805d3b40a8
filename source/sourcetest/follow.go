package sourcetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// patience is how long anything may take that a source must do by itself.
const patience = 30 * time.Second

// world is one database with its reading prepared.
type world struct {
	h    Harness
	db   Database
	head source.Position
	// memory is of the run that prepared the server; each stream is of a later one.
	memory *Notes
}

// prepared returns a new database and the position at which its reading starts.
func prepared(t *testing.T, h Harness) world {
	t.Helper()
	w := world{h: h, db: h.New(t)}
	w.head = w.prepare(t, Fresh())
	return w
}

func (w *world) prepare(t *testing.T, memory *Notes) source.Position {
	t.Helper()
	w.memory = memory
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	head, err := w.db.Source(t).Head(ctx, memory)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	if head == "" {
		t.Fatal("Head: got no position")
	}
	if !memory.WasDeclared() {
		t.Fatal("Head: the server was prepared under an intent that nobody had declared")
	}
	return head
}

func (w world) exec(t *testing.T, txs ...Tx) {
	t.Helper()
	for _, tx := range txs {
		w.db.Exec(t, tx)
	}
}

// follower reads one stream.
type follower struct {
	stream source.Stream
	prefix string
	batch  source.Batch
	pos    source.Position // the newest
	sizes  []int           // changes of each batch
}

// follow opens a stream with a new source, as another process would. While the
// server still holds the slot for a stream that was just closed, it tries again.
func (w *world) follow(t *testing.T, from source.Position) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	w.memory = w.memory.Again()
	for {
		stream, err := w.db.Source(t).Open(ctx, from, w.memory)
		if err == nil {
			f := &follower{stream: stream, prefix: w.h.Prefix}
			t.Cleanup(func() { _ = f.stream.Close() }) // mostly closed by the test, which looked at the error
			return f
		}
		if kafkasync.ClassOf(err) != kafkasync.Wait {
			t.Fatalf("Open(%q): %v", from, err)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("Open(%q) after %v: %v", from, patience, err)
		}
	}
}

// next reads one batch.
func (f *follower) next(t *testing.T) []seen {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.stream.Next(ctx, &f.batch); err != nil {
		t.Fatalf("Next: %v", err)
	}
	if len(f.batch.Changes) == 0 && f.batch.Pos == "" {
		t.Fatal("Next: got an empty batch without a position")
	}
	var all []seen
	for i := range f.batch.Changes {
		one, err := look(&f.batch.Changes[i], f.prefix)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if f.batch.Pos != "" {
		f.pos = f.batch.Pos
	}
	f.sizes = append(f.sizes, len(f.batch.Changes))
	return all
}

// read reads n changes, and on to a position that was given with or after the last of them.
func (f *follower) read(t *testing.T, n int) []seen {
	t.Helper()
	var all []seen
	settled := false
	began := time.Now()
	for len(all) < n || !settled {
		if time.Since(began) > patience {
			t.Fatalf("got %d changes after %v, the last position %q, want %d and a position", len(all), patience, f.pos, n)
		}
		got := f.next(t)
		all = append(all, got...)
		settled = f.batch.Pos != ""
	}
	return all
}

// wants reads and compares exactly the changes of the transactions.
func (f *follower) wants(t *testing.T, txs ...Tx) {
	t.Helper()
	want := changes(txs...)
	same(t, f.read(t, len(want)), want)
}

func (f *follower) close(t *testing.T) {
	t.Helper()
	if err := f.stream.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func (f *follower) confirm(t *testing.T, p source.Position) {
	t.Helper()
	if err := f.stream.Confirm(t.Context(), p); err != nil {
		t.Fatalf("Confirm(%q): %v", p, err)
	}
}

func same(t *testing.T, got, want []seen) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("got %d changes, want %d; they differ at %d: got %q, want %q",
				len(got), len(want), i, got[i:min(i+3, len(got))], want[i:min(i+3, len(want))])
		}
	}
}

// wantClass fails unless err is a fault of the class.
func wantClass(t *testing.T, err error, want kafkasync.Class) {
	t.Helper()
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != want {
		t.Fatalf("got the error %v, want a Fault of class %v", err, want)
	}
}
