package sourcetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// prompt is how soon a call must return once its context has ended.
const prompt = 2 * time.Second

var errEnded = errors.New("the test has ended the context")

func nextEnds(t *testing.T, h Harness) {
	w := prepared(t, h)
	f := w.follow(t, w.head)
	first := Tx{{Kind: Insert, Row: Item(1, "first")}}
	w.exec(t, first)
	f.wants(t, first)

	// The wait may be interrupted by a position that moves, which is no end.
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		var b source.Batch
		for {
			late := ctx.Err() != nil
			if err := f.stream.Next(ctx, &b); err != nil || late {
				ended <- err
				return
			}
		}
	}()
	cancel(errEnded)
	select {
	case err := <-ended:
		if !errors.Is(err, errEnded) && !errors.Is(err, context.Canceled) {
			t.Fatalf("Next: got the error %v after its context ended, want the context's", err)
		}
	case <-time.After(prompt):
		t.Fatalf("Next has not returned %v after its context ended", prompt)
	}

	// The last checkpoint is confirmed after reading has ended.
	f.confirm(t, f.pos)
	f.close(t)
	second := Tx{{Kind: Insert, Row: Item(2, "second")}}
	w.exec(t, second)
	w.follow(t, f.pos).wants(t, second)
}

// The pipeline confirms once more after the context of its run has ended.
func outlivesOpen(t *testing.T, h Harness) {
	w := prepared(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := w.db.Source(t).Open(ctx, w.head, w.memory.Again())
	if err != nil {
		cancel()
		t.Fatalf("Open: %v", err)
	}
	cancel()
	f := &follower{stream: stream, prefix: h.Prefix}
	tx := Tx{{Kind: Insert, Row: Item(1, "after")}}
	w.exec(t, tx)
	f.wants(t, tx)
	f.confirm(t, f.pos)
	f.close(t)
}

func closeTwice(t *testing.T, h Harness) {
	w := prepared(t, h)
	f := w.follow(t, w.head)
	tx := Tx{{Kind: Insert, Row: Item(1, "first")}}
	w.exec(t, tx)
	f.wants(t, tx)
	f.close(t)
	f.close(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.stream.Next(ctx, &f.batch); err == nil || ctx.Err() != nil {
		t.Fatalf("Next of a closed stream: got the error %v, want one at once", err)
	}
}
