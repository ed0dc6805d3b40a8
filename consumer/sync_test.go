package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// table is a primary, and a store that guards versions.
type table struct {
	primary map[int64]string
	calls   []string
	appear  map[int64]string // rows that are seen from the second look on
}

func (tb *table) sync() consumer.Sync[int64, string] {
	return consumer.Sync[int64, string]{
		Table: "public.products",
		Load: func(_ context.Context, ids []int64) (map[int64]string, error) {
			tb.calls = append(tb.calls, fmt.Sprint("load ", ids))
			found := map[int64]string{}
			for _, id := range ids {
				if row, is := tb.primary[id]; is {
					found[id] = row
				}
			}
			maps.Copy(tb.primary, tb.appear)
			return found, nil
		},
		Upsert: func(_ context.Context, found []consumer.Item[int64, string]) error {
			for _, f := range found {
				tb.calls = append(tb.calls, fmt.Sprint("upsert ", f.ID, " ", f.Row, " ", f.Version))
			}
			return nil
		},
		Delete: func(_ context.Context, missing []consumer.Ref[int64]) error {
			for _, m := range missing {
				tb.calls = append(tb.calls, fmt.Sprint("delete ", m.ID, " ", m.Version))
			}
			return nil
		},
		Truncate: func(_ context.Context, version int64) error {
			tb.calls = append(tb.calls, fmt.Sprint("truncate ", version))
			return nil
		},
	}
}

func change(op kafkasync.Op, id, seq int64) kafkasync.Message {
	m := kafkasync.Message{Op: op, Table: "public.products", Pipeline: "shop", Seq: seq, Offset: seq, Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, `{"id":%d}`, id)}
	if op == kafkasync.Truncated {
		m.Key, m.Value = nil, []byte(`{"id":null}`)
	}
	return m
}

func twin(m kafkasync.Message) kafkasync.Message {
	m.Delayed = 5 * time.Minute
	return m
}

func with(m kafkasync.Message, value string) kafkasync.Message {
	m.Value = []byte(value)
	return m
}

func TestWhatThePrimaryHasDecides(t *testing.T) {
	tests := []struct {
		name  string
		batch []kafkasync.Message
		want  string
	}{
		{
			"found and missing",
			[]kafkasync.Message{change('u', 1, 10), change('d', 2, 11), change('d', 3, 12), change('u', 4, 13)},
			"load [1 2 3 4], upsert 1 one 20, upsert 2 two 22, delete 3 24, delete 4 26",
		},
		{"a twin's version is above its message's", []kafkasync.Message{twin(change('u', 1, 10))}, "load [1], upsert 1 one 21"},
		{
			"one row with other columns",
			[]kafkasync.Message{with(change('u', 1, 10), `{"id":1,"x":1}`), change('d', 1, 12), twin(with(change('u', 1, 11), `{"id":1,"x":2}`))},
			"load [1], upsert 1 one 24",
		},
		{
			"a truncate",
			[]kafkasync.Message{change('u', 1, 10), change('t', 0, 11), change('u', 2, 12)},
			"load [1], upsert 1 one 20, truncate 22, load [2], upsert 2 two 24",
		},
		{"a tombstone", []kafkasync.Message{with(change('d', 3, 10), "")}, "load [3], delete 3 20"},
		{"nothing", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tb := &table{primary: map[int64]string{1: "one", 2: "two"}}
			for i := range tt.batch {
				if len(tt.batch[i].Value) == 0 {
					tt.batch[i].Value = nil
				}
			}
			if err := tb.sync().Handle(t.Context(), tt.batch); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tb.calls, ", "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A log may be ahead of what others see.
func TestARowThatWasJustCreatedIsLookedUpOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := &table{primary: map[int64]string{1: "one"}, appear: map[int64]string{2: "two", 3: "three"}}
		old, young := change('u', 4, 13), change('u', 3, 14)
		old.Committed, young.Committed = time.Now().Add(-time.Hour), time.Now()
		began := time.Now()
		if err := tb.sync().Handle(t.Context(), []kafkasync.Message{change('u', 1, 11), change('c', 2, 12), old, young, change('c', 5, 15)}); err != nil {
			t.Fatal(err)
		}
		want := "load [1 2 4 3 5], load [2 3 5], upsert 1 one 22, upsert 2 two 24, upsert 3 three 28, delete 4 26, delete 5 30"
		if got := strings.Join(tb.calls, ", "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("it took %s, want 100 ms", d)
		}
	})
}

func TestNothingIsPassedOver(t *testing.T) {
	foreign := change('u', 9, 20)
	foreign.Table = "public.orders"
	tb := &table{primary: map[int64]string{1: "one"}}
	s := tb.sync()
	s.Truncate = nil
	err := s.Handle(t.Context(), []kafkasync.Message{foreign, with(change('u', 2, 21), `{"id":"x"}`), change('t', 0, 22), change('u', 1, 23)})
	for _, want := range []string{"of the table public.orders, and Sync.Table is public.products", `column id is "x"`, "Sync.Truncate is not set"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if got := strings.Join(tb.calls, ", "); got != "load [1], upsert 1 one 46" {
		t.Errorf("got %s, want the good one done", got)
	}

	away := errors.New("the primary is away")
	s.Load = func(context.Context, []int64) (map[int64]string, error) { return nil, away }
	if err := s.Handle(t.Context(), []kafkasync.Message{change('u', 1, 1)}); !errors.Is(err, away) {
		t.Errorf("got %v, want Load's error", err)
	}
	s.Load = func(context.Context, []int64) (map[int64]string, error) { return map[int64]string{7: "seven"}, nil }
	if err := s.Handle(t.Context(), []kafkasync.Message{change('u', 1, 1)}); err == nil || !strings.Contains(err.Error(), "the id 7, which it was not asked for") {
		t.Errorf("got %v, want an error about the row that nobody asked for", err)
	}
}

func TestAfterAnErrorNothingThatFollowsIsDone(t *testing.T) {
	readOnly := errors.New("the index is read-only")
	batch := []kafkasync.Message{change('u', 1, 10), change('u', 3, 11), change('t', 0, 12), change('u', 2, 13)}
	tb := &table{primary: map[int64]string{1: "one", 2: "two"}}
	s := tb.sync()
	s.Upsert = func(context.Context, []consumer.Item[int64, string]) error { return readOnly }
	if err := s.Handle(t.Context(), batch); !errors.Is(err, readOnly) {
		t.Errorf("got %v, want Upsert's error", err)
	}
	if got := strings.Join(tb.calls, ", "); got != "load [1 3]" {
		t.Errorf("got %s, want nothing more", got)
	}
	// But a single failure leaves the others alone.
	tb.calls = nil
	s.Upsert = func(_ context.Context, found []consumer.Item[int64, string]) error {
		return consumer.Failed(found[0].Message, readOnly)
	}
	if err := s.Handle(t.Context(), batch); !errors.Is(err, readOnly) {
		t.Errorf("got %v, want Upsert's error", err)
	}
	if got, want := strings.Join(tb.calls, ", "), "load [1 3], delete 3 22, truncate 24, load [2]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestASyncThatLacksSomethingDoesNotRun(t *testing.T) {
	c, err := consumer.New(consumer.Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"b"}, Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Run(t.Context(), consumer.Sync[complex128, string]{})
	for _, want := range []string{"Sync.Table", "Sync.Load", "Sync.Upsert", "Sync.Delete", "complex128 cannot be the type of an id"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	if slices.Contains(strings.Fields(err.Error()), "Sync.Truncate") {
		t.Errorf("got %v, want Truncate to be a choice", err)
	}
}
