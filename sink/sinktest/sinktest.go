// Package sinktest defines what a Sink must do, as a suite that every Sink
// passes, and holds an in-memory Sink with scripted failures.
//
// It promises that whatever passes Run can carry a pipeline. It looks at a sink
// only from outside: through Publish, Locate, Close, and a reader of its own.
package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
)

// promptly is how soon Publish must return once its context has ended.
const promptly = 5 * time.Second

// Harness is how the suite gets at one kind of sink.
type Harness struct {
	// Open opens a sink on the store under test.
	Open func(t *testing.T) sink.Sink
	// Topic returns a topic that nobody has used, and how many partitions it has (or will have).
	Topic func(t *testing.T) (name string, partitions int32)
	// Read returns the topic's records once there are at least n, those of each
	// partition in order. It returns all that there are.
	Read func(t *testing.T, topic string, n int) []Record
	// Drop deletes a topic, and returns once it is gone.
	Drop func(t *testing.T, topic string)
	// Break makes the next Publish of s fail.
	Break func(t *testing.T, s sink.Sink)
	// Stuck opens a sink whose Publish waits until its context ends.
	Stuck func(t *testing.T) sink.Sink
	// Large is a number of bytes above what the sink keeps in flight.
	Large int
}

// Run puts a sink through everything that is asked of one.
func Run(t *testing.T, h Harness) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"what Publish returned nil for is durable", durable},
		{"messages of one key keep their order", ordered},
		{"a truncate reaches every partition, in its place", truncated},
		{"a tombstone has no value, a message without key no key", absent},
		{"publishing nothing succeeds", empty},
		{"the messages are the caller's after Publish", reused},
		{"a batch above the bound in flight passes", large},
		{"the end of the context returns promptly", cancelled},
		{"a sink that failed is of no further use, and a new one goes on", failed},
		{"a closed sink refuses, and closes twice", closed},
		{"what is published lies behind where the topic was located", located},
		{"a topic that was created again is another", recreated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

func durable(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	want := Messages(topic, 1, 100)
	publish(t, s, want)
	closeSink(t, s)
	got := h.Read(t, topic, len(want))
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	bySeq := make(map[int64]Record)
	for _, r := range got {
		bySeq[r.Seq] = r
	}
	for _, m := range want {
		got := bySeq[m.Seq]
		got.Partition, got.Offset = 0, 0
		if Show(got) != Show(m) {
			t.Errorf("got  %s\nwant %s", Show(got), Show(m))
		}
	}
}

func ordered(t *testing.T, h Harness) {
	const keys, rounds = 20, 50
	topic, _ := h.Topic(t)
	s := h.Open(t)
	var msgs []kafkasync.Message
	for range rounds {
		msgs = append(msgs, Messages(topic, int64(len(msgs)+1), keys)...)
	}
	for i := range msgs {
		msgs[i].Key = fmt.Append(nil, i%keys)
	}
	// Several calls: order holds across them as well as within one.
	for len(msgs) > 0 {
		n := min(len(msgs), 130)
		publish(t, s, msgs[:n])
		msgs = msgs[n:]
	}
	closeSink(t, s)
	last, home := make(map[string]int64), make(map[string]int32)
	for _, r := range h.Read(t, topic, keys*rounds) {
		key := string(r.Key)
		if r.Seq <= last[key] {
			t.Fatalf("key %s: got seq %d after %d, want them to grow", key, r.Seq, last[key])
		}
		if at, ok := home[key]; ok && at != r.Partition {
			t.Fatalf("key %s: got partitions %d and %d, want one", key, at, r.Partition)
		}
		last[key], home[key] = r.Seq, r.Partition
	}
	if len(last) != keys {
		t.Errorf("got %d keys, want %d", len(last), keys)
	}
}

func truncated(t *testing.T, h Harness) {
	const before, after = 200, 200
	topic, partitions := h.Topic(t)
	s := h.Open(t)
	msgs := Messages(topic, 1, before+1+after)
	cut := &msgs[before]
	cut.Op, cut.Key, cut.Value, cut.Delay = kafkasync.Truncated, nil, []byte(`{"id":null}`), 0
	publish(t, s, msgs)
	closeSink(t, s)
	seen := make(map[int32]bool)
	for _, r := range h.Read(t, topic, before+after+int(partitions)) {
		switch {
		case r.Op == kafkasync.Truncated:
			if seen[r.Partition] || r.Key != nil || string(r.Value) != `{"id":null}` {
				t.Errorf("got %s, want one truncate without key on each partition", Show(r))
			}
			seen[r.Partition] = true
		case seen[r.Partition] != (r.Seq > cut.Seq):
			t.Errorf("partition %d: got seq %d on the wrong side of the truncate %d", r.Partition, r.Seq, cut.Seq)
		}
	}
	if len(seen) != int(partitions) {
		t.Errorf("got the truncate on %d partitions, want %d", len(seen), partitions)
	}
}

func absent(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	msgs := Messages(topic, 1, 2)
	msgs[0].Value = nil
	msgs[1].Key = []byte{}
	publish(t, s, msgs)
	closeSink(t, s)
	for _, r := range h.Read(t, topic, 2) {
		if r.Seq == 1 && r.Value != nil {
			t.Errorf("tombstone: got value %q, want none", r.Value)
		}
		if r.Seq == 2 && (r.Key == nil || len(r.Key) != 0) {
			t.Errorf("empty key: got %#v, want one that is empty", r.Key)
		}
	}
}

func empty(t *testing.T, h Harness) {
	s := h.Open(t)
	publish(t, s, nil)
	publish(t, s, []kafkasync.Message{})
	closeSink(t, s)
}

func reused(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	msgs := Messages(topic, 1, 50)
	publish(t, s, msgs)
	for i := range msgs {
		for _, memory := range [][]byte{msgs[i].Key, msgs[i].Value} {
			copy(memory, bytes.Repeat([]byte{'X'}, len(memory)))
		}
	}
	publish(t, s, Messages(topic, 51, 50))
	closeSink(t, s)
	for _, r := range h.Read(t, topic, 100) {
		if bytes.Contains(r.Key, []byte("X")) || bytes.Contains(r.Value, []byte("X")) {
			t.Fatalf("got %s, want what it was when Publish was called", Show(r))
		}
	}
}

func large(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	const value = 16 << 10 // some of the messages are much larger than the others
	var msgs []kafkasync.Message
	for size := 0; size < h.Large; size += value {
		more := Messages(topic, int64(len(msgs)+1), 10)
		more[0].Value = fmt.Appendf(nil, `{"id":%d,"text":"%s"}`, more[0].Seq, strings.Repeat("x", value))
		msgs = append(msgs, more...)
	}
	publish(t, s, msgs)
	closeSink(t, s)
	if got := len(h.Read(t, topic, len(msgs))); got != len(msgs) {
		t.Errorf("got %d records, want %d", got, len(msgs))
	}
}

func cancelled(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Stuck(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Publish(ctx, Messages(topic, 1, 10)) }()
	select {
	case err := <-done:
		t.Fatalf("got %v before the context ended, want it to wait", err)
	case <-time.After(300 * time.Millisecond):
	}
	cancel()
	ended := time.Now()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
	case <-time.After(promptly):
		t.Fatalf("got no return %s after the context ended", promptly)
	}
	closeSink(t, s)
	if took := time.Since(ended); took > promptly {
		t.Errorf("got %s for return and close, want less than %s", took, promptly)
	}
}

func failed(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	publish(t, s, Messages(topic, 1, 10))
	h.Break(t, s)
	second := Messages(topic, 11, 10)
	if err := s.Publish(t.Context(), second); err == nil {
		t.Fatal("broken sink: got nil, want an error")
	}
	if err := s.Publish(t.Context(), Messages(topic, 21, 10)); err == nil {
		t.Error("after an error: got nil, want an error")
	}
	closeSink(t, s)

	s = h.Open(t)
	publish(t, s, second)
	closeSink(t, s)
	seen := make(map[int64]int)
	for _, r := range h.Read(t, topic, 20) {
		seen[r.Seq]++
	}
	for seq := int64(1); seq <= 30; seq++ {
		switch n := seen[seq]; {
		case seq <= 10 && n != 1:
			t.Errorf("seq %d: got it %d times, want once", seq, n)
		case seq > 10 && seq <= 20 && n == 0:
			t.Errorf("seq %d: got nothing, want it at least once", seq)
		case seq > 20 && n != 0:
			t.Errorf("seq %d: got it %d times, want nothing from a sink that has failed", seq, n)
		}
	}
}

func closed(t *testing.T, h Harness) {
	topic, _ := h.Topic(t)
	s := h.Open(t)
	closeSink(t, s)
	if err := s.Publish(t.Context(), Messages(topic, 1, 1)); err == nil {
		t.Error("publishing after Close: got nil, want an error")
	}
	closeSink(t, s)
}

func publish(t *testing.T, s sink.Sink, msgs []kafkasync.Message) {
	t.Helper()
	if err := s.Publish(t.Context(), msgs); err != nil {
		t.Fatalf("publishing %d messages: %v", len(msgs), err)
	}
}

func closeSink(t *testing.T, s sink.Sink) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}
