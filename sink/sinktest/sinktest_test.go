package sinktest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestMemoryIsASink(t *testing.T) {
	store := &sinktest.Memory{Partitions: 4}
	open := func(t *testing.T) sink.Sink {
		s, err := store.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sinktest.Run(t, sinktest.Harness{
		Open: open,
		Topic: func(*testing.T) (string, int32) {
			store = &sinktest.Memory{Partitions: 4}
			return "products", 4
		},
		Read: func(*testing.T, string, int) []sinktest.Record { return store.Records() },
		Drop: func(_ *testing.T, topic string) { store.Drop(topic) },
		Break: func(*testing.T, sink.Sink) {
			store.Before = sinktest.FailAt(store.Calls()+1, 4)
		},
		Stuck: func(t *testing.T) sink.Sink {
			store.Before = func(ctx context.Context, _ int, _ []kafkasync.Message) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return open(t)
		},
		Large: 1 << 20,
	})
}

func TestFailAtAcceptsAPrefixAndThenFails(t *testing.T) {
	store := &sinktest.Memory{Before: sinktest.FailAt(2, 3)}
	s, err := store.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), sinktest.Messages("products", 1, 5)); err != nil {
		t.Fatalf("first call: got %v, want nil", err)
	}
	if err := s.Publish(t.Context(), sinktest.Messages("products", 6, 5)); !errors.Is(err, sinktest.ErrScripted) {
		t.Fatalf("second call: got %v, want the scripted failure", err)
	}
	var got []int64
	for _, r := range store.Records() {
		got = append(got, r.Seq)
	}
	if want := "[1 2 3 4 5 6 7 8]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
