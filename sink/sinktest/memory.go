package sinktest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
)

var (
	_ sink.Sink    = (*MemorySink)(nil)
	_ sink.Locator = (*MemorySink)(nil)
)

// ErrScripted is the failure that FailAt scripts.
var ErrScripted = errors.New("scripted failure")

// Record is one durable record: a copy of the message, with Partition and
// Offset as a reader would see them.
type Record = kafkasync.Message

// Memory is a store of messages that outlives the sinks opened on it, as a
// Kafka cluster does. The zero value has 1 partition per topic and never fails.
// It is safe for concurrent use.
type Memory struct {
	Partitions int32 // of every topic; 0: 1

	// Before, if set, is called with the number of the Publish call (from 1,
	// over all sinks) and its messages, before any is stored. It returns how many of
	// them become durable before the call fails with err; with a nil err all
	// do. It may block until ctx ends. The messages are valid only during the call.
	Before func(ctx context.Context, call int, msgs []kafkasync.Message) (accept int, err error)

	mu      sync.Mutex
	calls   int
	records []Record
	next    map[place]int64
	dropped map[string]int // how often each topic has been
}

type place struct {
	topic     string
	partition int32
}

// FailAt is a Before that lets the given call accept that many messages and
// then fail with ErrScripted. Every other call succeeds.
func FailAt(call, accept int) func(context.Context, int, []kafkasync.Message) (int, error) {
	return func(_ context.Context, c int, _ []kafkasync.Message) (int, error) {
		if c == call {
			return accept, ErrScripted
		}
		return 0, nil
	}
}

// Open returns a new sink on the store.
func (m *Memory) Open(context.Context) (*MemorySink, error) { return &MemorySink{store: m}, nil }

// Records returns a copy of all durable records in the order of their writing.
func (m *Memory) Records() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}

// Drop deletes a topic with all its records. The next use creates another one of that name.
func (m *Memory) Drop(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = slices.DeleteFunc(m.records, func(r Record) bool { return r.Topic == topic })
	for p := range m.partitions() {
		delete(m.next, place{topic, p})
	}
	if m.dropped == nil {
		m.dropped = make(map[string]int)
	}
	m.dropped[topic]++
}

// Calls returns how many times Publish has been called, over all sinks.
func (m *Memory) Calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *Memory) partitions() int32 { return max(1, m.Partitions) }

func (m *Memory) call() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	return m.calls
}

func (m *Memory) store(msgs []kafkasync.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range msgs {
		if msgs[i].Op == kafkasync.Truncated {
			for p := range m.partitions() {
				m.append(&msgs[i], p)
			}
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write(msgs[i].Key) // a hash never fails
		m.append(&msgs[i], int32(h.Sum32()%uint32(m.partitions())))
	}
}

func (m *Memory) append(msg *kafkasync.Message, partition int32) {
	if m.next == nil {
		m.next = make(map[place]int64)
	}
	at := place{msg.Topic, partition}
	r := *msg
	// The message's memory is the caller's again after Publish; nil stays nil.
	r.Key, r.Value = slices.Clone(msg.Key), slices.Clone(msg.Value)
	r.Partition, r.Offset = partition, m.next[at]
	m.next[at]++
	m.records = append(m.records, r)
}

func (m *Memory) locate(topic string) (id string, ends []int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.partitions() {
		ends = append(ends, m.next[place{topic, p}])
	}
	return fmt.Sprintf("%s-%d", topic, m.dropped[topic]+1), ends
}

// MemorySink is a sink on a Memory. It is for one goroutine.
type MemorySink struct {
	store  *Memory
	broken error
}

// Publish stores the messages, as far as the store's script lets it.
func (s *MemorySink) Publish(ctx context.Context, msgs []kafkasync.Message) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	accept, err := len(msgs), error(nil)
	call := s.store.call()
	if before := s.store.Before; before != nil {
		var n int
		if n, err = before(ctx, call, msgs); err != nil {
			accept = min(n, len(msgs))
		}
	}
	s.store.store(msgs[:accept])
	s.broken = err
	return err
}

// Locate returns the topic as it is in the store; it never waits.
func (s *MemorySink) Locate(ctx context.Context, topic string, delay time.Duration) (kafkasync.Pair, error) {
	if err := s.ready(ctx); err != nil {
		return kafkasync.Pair{}, err
	}
	id, ends := s.store.locate(topic)
	return kafkasync.Pair{Topic: topic, Delay: delay, ID: id, Ends: ends}, nil
}

func (s *MemorySink) ready(ctx context.Context) error {
	if s.broken != nil {
		return errors.Join(errors.New("the sink is of no further use"), s.broken)
	}
	s.broken = ctx.Err()
	return s.broken
}

// Close makes the sink unusable; the store keeps what is durable.
func (s *MemorySink) Close() error {
	s.broken = errors.New("the sink is closed")
	return nil
}
