package main

// #include <stdlib.h>
// #include "relay.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// consumed are the topics that all consumers read, in every round.
func consumed() []filled {
	return []filled{{name: "consumed"}, {name: "crowded", crowd: true, what: ", all in one partition"}}
}

// filled is a topic with the records of a bulk UPDATE.
type filled struct {
	name  string
	crowd bool   // one partition has them all
	what  string // that makes it a workload of its own
}

// compareConsumers lets package consumer and bare loops over librdkafka read the same
// topic; each round another one goes first.
func (b *bench) compareConsumers(ctx context.Context, round int, r *result) error {
	for _, of := range consumed() {
		if round == 0 {
			s, err := b.produce(ctx, of)
			if err != nil {
				return err
			}
			b.say("topic %s is filled: %s", of.name, s)
		}
		if err := b.compareOn(ctx, of, round, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) compareOn(ctx context.Context, of filled, round int, r *result) error {
	offsets, err := b.openOffsets()
	if err != nil {
		return err
	}
	defer offsets.close()
	ends, err := offsets.ends(ctx, of.name)
	if err != nil {
		return err
	}
	loops := bareConsumers()
	for i := range len(loops) + 1 {
		if err := b.rest(ctx); err != nil {
			return err
		}
		name, s := ownConsumer, sample{}
		if n := (i + round) % (len(loops) + 1); n == len(loops) {
			s, err = b.consumeOurs(ctx, of.name, round, total(ends))
		} else {
			name = loops[n].reader
			s, err = b.consumeBare(ctx, of.name, loops[n], ends)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.say("round %d: %s from %s: %s", round+1, name, of.name, s)
		r.add(fmt.Sprintf("%d messages, consumed%s", s.rows, of.what), name, s)
	}
	return nil
}

// bareConsumer is a loop over librdkafka that takes every record and gives it back.
type bareConsumer struct {
	reader  string
	backoff int // after how many milliseconds it asks for more when the queue was full; 0: as by itself
	poll    bool
	look    bool
}

// bareConsumers are the loops. What the library is compared with is what librdkafka has for consumers, one
// record a call, and a record's headers, without which a message of ours says nothing. The others do less: their
// records come in batches, and librdkafka takes headers apart only for who asks.
func bareConsumers() []bareConsumer {
	return []bareConsumer{
		{barePolls, 10, true, true},
		{barePollsDefaults, 0, true, true},
		{bareBatches, 10, false, true},
		{bareBlind, 10, false, false},
	}
}

// meter measures from the first record on: until then, a consumer waits for brokers and its group.
type meter struct {
	began  time.Time
	before usage
}

func (m *meter) start() (err error) {
	m.began = time.Now()
	m.before, err = usageOf(os.Getpid(), 0)
	return err
}

func (m *meter) stop(s *sample) error {
	s.took = time.Since(m.began)
	after, err := usageOf(os.Getpid(), 0)
	s.spent(m.before, after)
	return err
}

// consumeOurs is what an application does, with a handler that only counts.
func (b *bench) consumeOurs(ctx context.Context, name string, round int, n int64) (s sample, err error) {
	c, err := consumer.New(consumer.Config{Brokers: []string{b.kafka.Brokers()}, Topics: []string{name}, Name: fmt.Sprint(name, round)})
	if err != nil {
		return s, err
	}
	var m meter
	var first sync.Once
	var left atomic.Int64
	left.Store(n)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := errors.New("all messages are there")
	err = c.Run(ctx, consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
		var failed error
		first.Do(func() { failed = m.start() })
		if failed == nil && left.Add(-int64(len(batch))) == 0 {
			failed = errors.Join(m.stop(&s), all)
		}
		if failed != nil {
			cancel(failed)
		}
		return nil
	}))
	s.rows = int(n)
	if cause := context.Cause(ctx); !errors.Is(cause, all) {
		return s, errors.Join(cause, err)
	}
	return s, nil
}

func (b *bench) consumeBare(ctx context.Context, name string, loop bareConsumer, ends []int64) (s sample, err error) {
	client, err := newBareConsumer(b.kafka.Brokers(), loop.backoff)
	if err != nil {
		return s, err
	}
	defer C.rd_kafka_destroy(client)
	from := C.CString(name)
	defer C.free(unsafe.Pointer(from))
	r := C.relay{consumer: client, poll: cBool(loop.poll), look: cBool(loop.look)}
	for i, end := range ends {
		r.ends[i] = C.int64_t(end)
	}
	C.relay_open(&r, from, nil, C.int(len(ends)))
	defer C.relay_close(&r)
	var m meter
	for r.unread > 0 && r.failure[0] == 0 {
		if ctx.Err() != nil {
			return s, context.Cause(ctx)
		}
		C.relay_step(&r)
		if r.read > 0 && m.began.IsZero() {
			if err := m.start(); err != nil {
				return s, err
			}
		}
	}
	if r.failure[0] != 0 {
		return s, errors.New(C.GoString(&r.failure[0]))
	}
	s.rows = int(r.read)
	return s, m.stop(&s)
}

func cBool(on bool) C.int {
	if on {
		return 1
	}
	return 0
}
