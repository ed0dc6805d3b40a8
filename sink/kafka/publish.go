package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// stallAfter is how long Kafka may be silent before Notify hears of it, and how often it hears it again.
const stallAfter = time.Second

// flushFor is how long Publish does not hear that its context has ended, and how late it sees that there is room.
const flushFor = 10 * time.Millisecond

// Publish returns nil once all in-sync replicas have every message. When ctx
// ends it returns within 10 ms, with ctx's error; what is in flight may still arrive.
// While Kafka is away it waits: see Options.Notify.
func (s *Sink) Publish(ctx context.Context, msgs []kafkasync.Message) error {
	if s.broken != nil {
		return fmt.Errorf("publishing through a sink that is of no further use: %w", s.broken)
	}
	if err := s.publish(ctx, msgs); err != nil {
		err = s.explain(err, msgs)
		s.broken = err
		return err
	}
	return nil
}

func (s *Sink) publish(ctx context.Context, msgs []kafkasync.Message) error {
	s.stall = stall{acked: s.window.acked.Load(), since: time.Now()}
	s.batch.reset() // what a failed call may have left
	for i := range msgs {
		m := &msgs[i]
		topic, err := s.topic(ctx, m.Topic)
		if err != nil {
			return err
		}
		if m.Op == kafkasync.Truncated {
			err = s.sendToAll(ctx, topic, m)
		} else {
			err = s.send(ctx, topic, rdkafka.PartitionByKey, m)
		}
		if err != nil {
			return err
		}
	}
	if err := s.handOver(ctx); err != nil {
		return err
	}
	return s.wait(ctx, 0)
}

// sendToAll sends m to every partition that the topic has now. Asking again
// each time lets librdkafka know a new partition no later than we do, so no
// keyed record can be on one that this truncate misses.
func (s *Sink) sendToAll(ctx context.Context, topic *rdkafka.Topic, m *kafkasync.Message) error {
	// What stands before it is placed before we ask, so on no partition that we do not hear of.
	if err := s.handOver(ctx); err != nil {
		return err
	}
	partitions, err := s.partitions(ctx, topic)
	if err != nil {
		return err
	}
	for p := range partitions {
		if err := s.send(ctx, topic, p, m); err != nil {
			return err
		}
	}
	return nil
}

// send puts one record into the batch, once the window has room for it.
func (s *Sink) send(ctx context.Context, topic *rdkafka.Topic, partition int32, m *kafkasync.Message) error {
	charge := cost(m)
	if held := s.window.held.Load() + s.batch.cost; held > 0 && held+charge > s.bound {
		if err := s.handOver(ctx); err != nil {
			return err
		}
		// Half a window at a time, else each report would wake us for one record. A
		// record larger than the bound passes alone.
		if err := s.wait(ctx, max(0, min(s.bound/2, s.bound-charge))); err != nil {
			return err
		}
	}
	s.batch.add(topic, partition, m, charge)
	if s.batch.full() {
		return s.handOver(ctx)
	}
	return nil
}

// handOver hands the batch to librdkafka and empties it.
func (s *Sink) handOver(ctx context.Context) error {
	b := &s.batch
	defer b.reset()
	for taken := 0; taken < b.records.Len(); {
		if ctx.Err() != nil {
			return fmt.Errorf("publishing: %w", context.Cause(ctx))
		}
		alone := s.window.held.Load() == 0
		s.window.held.Add(b.cost) // before the reports can take it away
		n, err := s.producer.Produce(&b.records, taken)
		taken += n
		b.cost = b.records.Cost(taken)
		held := s.window.held.Add(-b.cost)
		if err == nil {
			return nil
		}
		if errors.Is(err, rdkafka.ErrAlone) {
			if err := s.wait(ctx, max(0, held-1)); err != nil {
				return err
			}
			continue
		}
		// A queue that is full although nothing is in it is too small for the record.
		if !isCode(err, ck.ErrQueueFull) || alone && n == 0 {
			return s.produceFault(err, b.messages[taken])
		}
		if err := s.wait(ctx, held/2); err != nil { // librdkafka counts otherwise than we do
			return err
		}
	}
	return nil
}

// wait returns once at most low bytes are in flight, or something has failed. What librdkafka keeps back for linger.ms
// it sends now, since no more is handed over until then.
func (s *Sink) wait(ctx context.Context, low int64) error {
	w := s.window
	for {
		if err := w.failure(); err != nil {
			return err
		}
		if w.held.Load() <= low {
			s.moving()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for Kafka's acknowledgements: %w", context.Cause(ctx))
		}
		if s.producer.Flush(flushFor) { // then the watcher has all reports, and is about to count them
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
		}
		s.look(time.Now())
	}
}

// look tells Notify if nothing has been acknowledged for a while.
func (s *Sink) look(now time.Time) {
	if acked := s.window.acked.Load(); acked != s.stall.acked {
		s.stall.acked, s.stall.since = acked, now
		s.moving()
		return
	}
	if silent := now.Sub(s.stall.since); silent >= stallAfter && now.Sub(s.stall.told) >= stallAfter {
		s.stall.told = now
		s.notify(s.silenceFault(silent))
	}
}

// moving tells Notify that what it was told of is over.
func (s *Sink) moving() {
	if !s.stall.told.IsZero() {
		s.stall.told = time.Time{}
		s.notify(nil)
	}
}

// cost is how many bytes a message takes while it is in flight.
func cost(m *kafkasync.Message) int64 {
	sum := recordOverhead + int64(len(m.Key)+len(m.Value)+len(m.Pipeline)+len(m.Table)+len(m.Pos))
	for i := range m.Extra {
		sum += int64(len(m.Extra[i].Key) + len(m.Extra[i].Value))
	}
	return sum
}
