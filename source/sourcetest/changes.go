package sourcetest

import (
	"testing"

	"github.com/kafkasync/kafkasync/source"
)

func changesInOrder(t *testing.T, h Harness) {
	w := prepared(t, h)
	txs := []Tx{
		{{Kind: Insert, Row: Item(1, "apple")}},
		{
			{Kind: Insert, Row: Item(2, "pear")},
			{Kind: Insert, Row: Line(7, 1, "first")},
			{Kind: Insert, Row: Line(7, 2, "second")},
			{Kind: Update, Row: Item(2, "plum")},
			{Kind: Update, Row: Line(7, 1, "changed")},
		},
		{{Kind: Delete, Row: Item(1, "")}, {Kind: Delete, Row: Line(7, 2, "")}},
		{{Kind: Insert, Row: Item(1, "again")}},
		{{Kind: Insert, Row: Item(-9223372036854775808, "least")}, {Kind: Insert, Row: Item(9223372036854775807, "most")}},
	}
	w.exec(t, txs...)
	f := w.follow(t, w.head)
	f.wants(t, txs...)

	// And what is committed while the stream waits.
	live := Tx{{Kind: Update, Row: Item(2, "live")}}
	w.exec(t, live)
	f.wants(t, live)
	f.close(t)
	places(t, w, txs)
}

// places checks that the changes of a transaction, and only they, have one place.
func places(t *testing.T, w world, txs []Tx) {
	t.Helper()
	f := w.follow(t, w.head)
	used := make(map[string]int) // place to transaction
	for n, tx := 0, 0; tx < len(txs); {
		f.next(t)
		for i := range f.batch.Changes {
			if tx == len(txs) {
				return
			}
			place := f.batch.Changes[i].Place
			if other, ok := used[place]; ok && other != tx {
				t.Fatalf("transactions %d and %d both have the place %q", other, tx, place)
			}
			used[place] = tx
			if n++; n == len(changes(txs[tx])) {
				n, tx = 0, tx+1
			}
		}
	}
	if len(used) != len(txs) {
		t.Fatalf("got %d places of %d transactions, want one each", len(used), len(txs))
	}
}

func rolledBack(t *testing.T, h Harness) {
	w := prepared(t, h)
	before := Tx{{Kind: Insert, Row: Item(1, "kept")}}
	after := Tx{{Kind: Insert, Row: Item(3, "kept")}}
	w.exec(t, before)
	w.db.Rollback(t, Tx{{Kind: Insert, Row: Item(2, "dropped")}, {Kind: Update, Row: Item(1, "dropped")}})
	w.exec(t, after)
	w.follow(t, w.head).wants(t, before, after)
}

func keyChange(t *testing.T, h Harness) {
	w := prepared(t, h)
	txs := []Tx{
		{{Kind: Insert, Row: Item(1, "one")}, {Kind: Insert, Row: Line(7, 1, "line")}},
		{{Kind: Rekey, From: []int64{1}, Row: Item(10, "ten")}},
		{{Kind: Rekey, From: []int64{7, 1}, Row: Line(7, 5, "moved")}},
		{{Kind: Delete, Row: Item(10, "")}},
	}
	w.exec(t, txs...)
	w.follow(t, w.head).wants(t, txs...)
}

func truncate(t *testing.T, h Harness) {
	w := prepared(t, h)
	txs := []Tx{
		{{Kind: Insert, Row: Item(1, "one")}, {Kind: Insert, Row: Line(7, 1, "stays")}},
		{{Kind: Truncate, Row: Row{Table: Items}}},
		{{Kind: Insert, Row: Item(1, "new")}},
	}
	w.exec(t, txs...)
	w.follow(t, w.head).wants(t, txs...)
}

// A row is described by the columns that the table had when it was written, also when it is read later.
func addedColumn(t *testing.T, h Harness) {
	w := prepared(t, h)
	txs := []Tx{
		{{Kind: Insert, Row: Item(1, "narrow")}},
		{{Kind: AddColumn, Row: Row{Table: Items}}},
		{{Kind: Insert, Row: Item(2, "wide")}, {Kind: Update, Row: Item(1, "wider")}},
	}
	w.exec(t, txs...)
	f := w.follow(t, w.head)
	var widths []int
	var got []seen
	for len(got) < len(changes(txs...)) {
		got = append(got, f.next(t)...)
		for i := range f.batch.Changes {
			widths = append(widths, len(f.batch.Changes[i].Table.Columns))
		}
	}
	same(t, got, changes(txs...))
	for i, want := range []int{2, 3, 3} {
		if widths[i] != want {
			t.Errorf("change %d, %q: got %d columns, want %d", i, got[i], widths[i], want)
		}
	}
}

func largeTransaction(t *testing.T, h Harness) {
	w := prepared(t, h)
	small := Tx{{Kind: Insert, Row: Item(-1, "before")}}
	large := Tx{{Kind: Fill, Row: Item(0, "large"), Count: 2*h.MaxChanges + h.MaxChanges/2 + 1}}
	after := Tx{{Kind: Insert, Row: Item(-2, "after")}}
	w.exec(t, small, large, after)

	f := w.follow(t, w.head)
	want := changes(small, large, after)
	first, last := len(changes(small)), len(changes(small, large)) // of the large one's changes
	var got []seen
	var open source.Position // given while the large one had begun to arrive
	for len(got) < len(want) {
		earlier := len(got)
		got = append(got, f.next(t)...)
		n := len(f.batch.Changes)
		switch inside := len(got) > first && len(got) < last; {
		case n > h.MaxChanges:
			t.Fatalf("got a batch of %d changes, want at most %d", n, h.MaxChanges)
		case inside && f.batch.Pos != "" && earlier > first:
			t.Fatalf("got the position %q after %d changes, in the middle of a transaction", f.batch.Pos, len(got))
		case inside && f.batch.Pos != "":
			open = f.batch.Pos // the end of the small one
		}
	}
	same(t, got, want)
	if len(f.sizes) < 3 {
		t.Fatalf("got batches of %d changes, want at least three", f.sizes)
	}
	f.close(t)
	if open != "" {
		w.follow(t, open).wants(t, large, after)
	}
}

func batchReuse(t *testing.T, h Harness) {
	w := prepared(t, h)
	first := Tx{{Kind: Insert, Row: Item(1, "first")}, {Kind: Insert, Row: Line(1, 1, "first")}}
	second := Tx{{Kind: Delete, Row: Item(1, "")}}
	f := w.follow(t, w.head)
	w.exec(t, first)
	f.wants(t, first)

	// What the batch held, and what anyone else left in it, must be gone.
	f.batch.Pos, f.batch.Behind = "stale", 99
	f.batch.Changes = append(f.batch.Changes, source.Change{Place: "stale"})
	w.exec(t, second)
	f.wants(t, second)
	if f.batch.Pos == "stale" || f.batch.Behind == 99 {
		t.Fatalf("got position %q and %d bytes behind, want those of the new batch", f.batch.Pos, f.batch.Behind)
	}
}
