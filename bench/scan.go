package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// span is what is known of the records of a topic that carry a certain header.
type span struct {
	records     int
	rows        int       // how many rows they are of
	first, last time.Time // when the broker appended them, by its own clock
}

// took is how long all were on their way, from the first append to the last.
func (s span) took() time.Duration {
	return max(s.last.Sub(s.first), time.Millisecond) // that is as exact as the broker is
}

// scan reads a topic from some offsets to others, and looks at the records that carry a header.
func (b *bench) scan(ctx context.Context, topic, header string, from, to []int64) (s span, err error) {
	starts := map[int32]kgo.Offset{}
	for p, end := range to {
		if from[p] < end {
			starts[int32(p)] = kgo.NewOffset().At(from[p])
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.Brokers()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))
	if err != nil {
		return s, fmt.Errorf("opening a consumer: %w", err)
	}
	defer client.Close()
	seen := make([]bool, b.o.rows+1)
	for left := total(to) - total(from); left > 0; {
		fetches := client.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			return s, fmt.Errorf("reading partition %d of topic %s: %w", failed.Partition, topic, failed.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= to[r.Partition] {
				return
			}
			left--
			if err == nil && slices.ContainsFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == header }) {
				err = s.add(r, seen)
			}
		})
		if err != nil {
			return s, fmt.Errorf("reading topic %s: %w", topic, err)
		}
	}
	return s, nil
}

func (s *span) add(r *kgo.Record, seen []bool) error {
	const logAppendTime = 1
	if r.Attrs.TimestampType() != logAppendTime {
		return fmt.Errorf("offset %d of partition %d: its time is not that of the broker", r.Offset, r.Partition)
	}
	id, err := strconv.Atoi(string(r.Key))
	if err != nil || id < 1 || id >= len(seen) {
		return fmt.Errorf("offset %d of partition %d: got key %q, want a row from 1 to %d", r.Offset, r.Partition, r.Key, len(seen)-1)
	}
	if !seen[id] {
		seen[id] = true
		s.rows++
	}
	s.records++
	if s.first.IsZero() || r.Timestamp.Before(s.first) {
		s.first = r.Timestamp
	}
	if r.Timestamp.After(s.last) {
		s.last = r.Timestamp
	}
	return nil
}
