package kafka

import (
	"context"
	"fmt"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
)

// stallAfter is how long Kafka may be silent before Notify hears of it, and how often it hears it again.
const stallAfter = time.Second

// Publish returns nil once all in-sync replicas have every message. When ctx
// ends it returns at once, with ctx's error; what is in flight may still arrive.
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
	flat := flatCost(msgs)
	s.window.flat.Store(flat)
	s.stall = stall{acked: s.window.acked.Load(), since: time.Now()}
	for i := range msgs {
		m := &msgs[i]
		name, err := s.topic(ctx, m.Topic)
		if err != nil {
			return err
		}
		if m.Op == kafkasync.Truncated {
			err = s.sendToAll(ctx, name, m, flat)
		} else {
			err = s.send(ctx, name, ck.PartitionAny, m, flat)
		}
		if err != nil {
			return err
		}
	}
	return s.wait(ctx, 0)
}

// sendToAll sends m to every partition that the topic has now. Asking again
// each time lets librdkafka know a new partition no later than we do, so no
// keyed record can be on one that this truncate misses.
func (s *Sink) sendToAll(ctx context.Context, name *string, m *kafkasync.Message, flat int64) error {
	partitions, err := s.partitions(ctx, *name)
	if err != nil {
		return err
	}
	for p := range partitions {
		if err := s.send(ctx, name, p, m, flat); err != nil {
			return err
		}
	}
	return nil
}

// send hands one record to librdkafka, once the window has room for it.
func (s *Sink) send(ctx context.Context, name *string, partition int32, m *kafkasync.Message, flat int64) error {
	charge := flat
	s.record.Opaque = nil
	if c := cost(m); c > largeRecord {
		charge = c
		s.record.Opaque = c
	}
	if held := s.window.held.Load(); held > 0 && held+charge > s.bound {
		// Half a window at a time, else each report would wake us for one record. A
		// record larger than the bound passes alone.
		if err := s.wait(ctx, max(0, min(s.bound/2, s.bound-charge))); err != nil {
			return err
		}
	}
	s.headers, s.values = m.AppendHeaders(s.headers[:0], s.values[:0])
	s.record.Headers = s.record.Headers[:0]
	for _, h := range s.headers {
		s.record.Headers = append(s.record.Headers, ck.Header(h))
	}
	s.record.TopicPartition.Topic, s.record.TopicPartition.Partition = name, partition
	s.record.Key, s.record.Value = m.Key, m.Value

	s.window.held.Add(charge) // before the report can take it away
	for {
		err := s.producer.Produce(&s.record, nil)
		if err == nil {
			return nil
		}
		if !isCode(err, ck.ErrQueueFull) {
			return s.produceFault(err, m)
		}
		// librdkafka counts otherwise than we do; this record is the charge that stays.
		if s.window.held.Load() <= charge {
			return s.produceFault(err, m)
		}
		if err := s.wait(ctx, max(charge, s.window.held.Load()/2)); err != nil {
			return err
		}
	}
}

// wait returns once at most low bytes are in flight, or something has failed.
func (s *Sink) wait(ctx context.Context, low int64) error {
	w := s.window
	w.low.Store(low)
	defer w.low.Store(-1)
	tick := time.NewTicker(stallAfter)
	defer tick.Stop()
	for {
		if err := w.failure(); err != nil {
			return err
		}
		if w.held.Load() <= low {
			s.moving()
			return nil
		}
		select {
		case <-w.wake:
		case <-tick.C:
			s.look(time.Now())
		case <-ctx.Done():
			return fmt.Errorf("waiting for Kafka's acknowledgements: %w", context.Cause(ctx))
		}
	}
}

// look tells Notify if nothing has been acknowledged for a while.
func (s *Sink) look(now time.Time) {
	if acked := s.window.acked.Load(); acked != s.stall.acked {
		s.stall.acked, s.stall.since = acked, now
		s.moving()
		return
	}
	if silent := now.Sub(s.stall.since); silent >= stallAfter {
		s.stall.told = true
		s.notify(s.silenceFault(silent))
	}
}

// moving tells Notify that what it was told of is over.
func (s *Sink) moving() {
	if s.stall.told {
		s.stall.told = false
		s.notify(nil)
	}
}

// cost is how many bytes a message takes while it is in flight.
func cost(m *kafkasync.Message) int64 {
	return recordOverhead + int64(len(m.Key)+len(m.Value)+len(m.Pipeline)+len(m.Table)+len(m.Pos))
}

// flatCost is the largest cost among the messages that do not carry their own.
func flatCost(msgs []kafkasync.Message) int64 {
	flat := int64(recordOverhead)
	for i := range msgs {
		if c := cost(&msgs[i]); c <= largeRecord && c > flat {
			flat = c
		}
	}
	return flat
}
