package sourcetest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// database makes a Memory a Database of the suite.
type database struct{ *sourcetest.Memory }

func (d database) Source(*testing.T) source.Source        { return d.Memory }
func (d database) Exec(_ *testing.T, tx sourcetest.Tx)    { d.Commit(tx) }
func (d database) Rollback(_ *testing.T, _ sourcetest.Tx) {} // a log holds nothing of it

func TestMemoryIsASource(t *testing.T) {
	for _, limit := range []int{1, 3, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			sourcetest.Run(t, sourcetest.Harness{
				New:        func(*testing.T) sourcetest.Database { return database{sourcetest.NewMemory(limit, nil)} },
				MaxChanges: limit,
				Prepares:   true,
				IdleWithin: time.Second,
			})
		})
	}
}

func TestMemoryRefusesALogThatWasConfirmed(t *testing.T) {
	m := sourcetest.NewMemory(10, nil)
	head, err := m.Head(t.Context(), sourcetest.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	m.Commit(sourcetest.Tx{{Kind: sourcetest.Insert, Row: sourcetest.Item(1, "one")}})
	stream, err := m.Open(t.Context(), head, sourcetest.Resumed())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Confirm(t.Context(), m.End()); err == nil {
		t.Error("Confirm beyond what was read: got no error")
	}
	var b source.Batch
	if err := stream.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := stream.Confirm(t.Context(), b.Pos); err != nil {
		t.Fatal(err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), head, sourcetest.Resumed()); err == nil {
		t.Errorf("Open(%q) behind the confirmed %q: got a stream, want an error", head, m.Confirmed())
	}
}

func TestMemoryHookFailsTheCall(t *testing.T) {
	want := errors.New("told to")
	m := sourcetest.NewMemory(10, func(p sourcetest.Point) error {
		if p == sourcetest.AfterHead {
			return want
		}
		return nil
	})
	if _, err := m.Head(t.Context(), sourcetest.Fresh()); !errors.Is(err, want) {
		t.Fatalf("got the error %v, want %v", err, want)
	}
	if m.Confirmed() == "" {
		t.Error("a call that failed after it took effect has left nothing behind")
	}
}
