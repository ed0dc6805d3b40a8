package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

func headIsNow(t *testing.T, h Harness) {
	w := world{h: h, db: h.New(t)}
	w.exec(t, Tx{{Kind: Insert, Row: Item(1, "before")}})
	w.head = w.prepare(t, Fresh())
	after := Tx{{Kind: Insert, Row: Item(2, "after")}}
	w.exec(t, after)
	w.follow(t, w.head).wants(t, after)
}

// A run that was cut short between Head and the first checkpoint left something
// behind. What was committed since then must not be lost by the next one.
func headResumedAdopts(t *testing.T, h Harness) {
	w := world{h: h, db: h.New(t)}
	w.head = w.prepare(t, Resumed()) // cut short before it had done anything
	if !h.Prepares {
		return
	}
	after := Tx{{Kind: Insert, Row: Item(1, "after")}}
	w.exec(t, after)

	fresh := Fresh()
	_, err := w.db.Source(t).Head(t.Context(), fresh)
	wantClass(t, err, kafkasync.Stop)
	if fresh.WasDeclared() {
		t.Fatal("Head: an intent was declared over what belongs to somebody else: the next run would adopt it")
	}
	adopted := w.prepare(t, Resumed())
	w.follow(t, adopted).wants(t, after)
}

// What was there before the first reading is covered from its beginning: without a gap.
func headRegisters(t *testing.T, h Harness) {
	w := prepared(t, h)
	var names []string
	for _, c := range w.memory.Covered() {
		if c.ID == "" || c.Since != "" || c.Until != "" {
			t.Errorf("got %+v, want it told from another table of its name, and covered from the first position on", c)
		}
		names = append(names, c.Table)
	}
	slices.Sort(names)
	if want := []string{h.Prefix + Items, h.Prefix + Lines}; !slices.Equal(names, want) {
		t.Errorf("got %q covered, want %q", names, want)
	}
	if gaps := w.memory.Gaps(); len(gaps) != 0 {
		t.Errorf("got the gaps %+v, want none", gaps)
	}
}

// reopening opens a new stream at every position that was given, and compares
// what follows: every transaction that was not complete there, from its first
// change on, and nothing before it.
func reopening(t *testing.T, h Harness) {
	w := prepared(t, h)
	txs := []Tx{
		{{Kind: Insert, Row: Item(1, "a")}},
		{{Kind: Insert, Row: Item(2, "b")}, {Kind: Insert, Row: Line(1, 1, "b")}, {Kind: Update, Row: Item(1, "b")}},
		{{Kind: Delete, Row: Item(1, "")}, {Kind: Insert, Row: Item(1, "c")}},
		{{Kind: Rekey, From: []int64{2}, Row: Item(3, "d")}},
	}
	at := []source.Position{w.head}
	f := w.follow(t, w.head)
	for _, tx := range txs {
		w.exec(t, tx)
		f.wants(t, tx)
		at = append(at, f.pos)
	}
	f.close(t)

	for done, pos := range at[:len(txs)] {
		again := w.follow(t, pos)
		again.wants(t, txs[done:]...)
		again.close(t)
	}
	// At the end nothing follows until something is committed.
	end := w.follow(t, at[len(txs)])
	last := Tx{{Kind: Insert, Row: Item(4, "e")}}
	w.exec(t, last)
	end.wants(t, last)
}

func unconfirmedSentAgain(t *testing.T, h Harness) {
	w := prepared(t, h)
	confirmed := Tx{{Kind: Insert, Row: Item(1, "confirmed")}}
	read := Tx{{Kind: Insert, Row: Item(2, "only read")}, {Kind: Insert, Row: Item(3, "only read")}}
	f := w.follow(t, w.head)
	w.exec(t, confirmed)
	f.wants(t, confirmed)
	checkpoint := f.pos
	f.confirm(t, checkpoint)
	w.exec(t, read)
	f.wants(t, read)
	f.close(t)

	w.follow(t, checkpoint).wants(t, read)
}

// Confirm, Close, and only then is the next transaction committed: the server
// knows of the confirmation, and a new stream starts right behind it. Again and again.
func confirmedNotNeeded(t *testing.T, h Harness) {
	w := prepared(t, h)
	at := w.head
	for id := range int64(3) {
		tx := Tx{{Kind: Insert, Row: Item(id, fmt.Sprint("run ", id))}}
		w.exec(t, tx)
		f := w.follow(t, at)
		f.wants(t, tx)
		at = f.pos
		f.confirm(t, at)
		f.confirm(t, at) // twice is harmless
		f.close(t)
	}
}

// confirmBesideNext confirms while Next waits, which is the pipeline's normal state.
func confirmBesideNext(t *testing.T, h Harness) {
	w := prepared(t, h)
	f := w.follow(t, w.head)
	first := Tx{{Kind: Insert, Row: Item(1, "first")}}
	w.exec(t, first)
	f.wants(t, first)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	confirmed := make(chan error, 1)
	pos := f.pos
	go func() {
		var err error
		for range 20 {
			if err = f.stream.Confirm(ctx, pos); err != nil {
				break
			}
		}
		confirmed <- err
	}()
	second := Tx{{Kind: Insert, Row: Item(2, "second")}}
	w.exec(t, second)
	f.wants(t, second)
	if err := <-confirmed; err != nil {
		t.Fatalf("Confirm beside Next: %v", err)
	}
}

func foreignPosition(t *testing.T, h Harness) {
	w := prepared(t, h)
	for _, from := range []source.Position{"", "nonsense", w.head + "x"} {
		if stream, err := w.db.Source(t).Open(t.Context(), from, w.memory.Again()); err == nil {
			_ = stream.Close() // the test has failed already
			t.Errorf("Open(%q): got a stream, want an error", from)
		}
	}
}

// idle: a log that grows without anything for us is let go as well, or the
// server would keep all of it for a quiet table.
func idle(t *testing.T, h Harness) {
	w := prepared(t, h)
	f := w.follow(t, w.head)
	first := Tx{{Kind: Insert, Row: Item(1, "first")}}
	w.exec(t, first)
	f.wants(t, first)
	if h.IdleWithin > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), h.IdleWithin)
		defer cancel()
		before := f.pos
		w.exec(t, Tx{{Kind: Other, Row: Row{Key: []int64{1}}}})
		for f.pos == before {
			if err := f.stream.Next(ctx, &f.batch); err != nil {
				t.Fatalf("waiting for the position to move past %q: %v", before, err)
			}
			if ctx.Err() != nil {
				t.Fatalf("the position is still %q after %v", f.pos, h.IdleWithin)
			}
			if len(f.batch.Changes) > 0 {
				t.Fatalf("got %d changes of a table that is not captured", len(f.batch.Changes))
			}
			if f.batch.Pos != "" {
				f.pos = f.batch.Pos
			}
		}
	} else {
		w.exec(t, Tx{{Kind: Other, Row: Row{Key: []int64{1}}}})
	}
	second := Tx{{Kind: Insert, Row: Item(2, "second")}}
	w.exec(t, second)
	f.wants(t, second)
}
