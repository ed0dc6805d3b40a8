package consumertest

import (
	"context"
	"slices"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// group is the consumer's membership.
type group struct{ *memory }

func (g *group) Subscribe([]string) error { return nil }

func (g *group) Size() int { return Partitions * len(g.topics) }

func (g *group) Close() {}

// Poll is described at broker.Membership.
func (g *group) Poll(limit time.Duration) (any, error) {
	if event := g.next(); event != nil {
		return event, nil
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.wake:
	}
	return g.next(), nil
}

func (g *group) next() any {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.events) == 0 {
		return nil
	}
	event := g.events[0]
	g.events = g.events[1:]
	if r, ok := event.(rdkafka.Revoked); ok && r.Lost {
		for _, p := range r.Places { // what it commits is refused from now on
			delete(g.holds, place{p.Topic, p.Partition})
		}
	}
	return event
}

// Assign is described at broker.Holder.
func (g *group) Assign(places []rdkafka.Place) ([]broker.Feed, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var feeds []broker.Feed
	for _, p := range places {
		at := place{p.Topic, p.Partition}
		g.holds[at] = true
		feeds = append(feeds, &feed{memory: g.memory, at: at, next: p.Offset})
	}
	return feeds, nil
}

// Unassign is described at broker.Holder.
func (g *group) Unassign(places []rdkafka.Place) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range places {
		delete(g.holds, place{p.Topic, p.Partition})
	}
	return nil
}

// Commit is described at broker.Holder.
func (g *group) Commit(places []rdkafka.Place, wait bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.refuse
	for _, p := range places {
		if !g.holds[place{p.Topic, p.Partition}] {
			err = errNotOurs()
		}
	}
	if err == nil {
		for _, p := range places {
			g.offsets[place{p.Topic, p.Partition}] = p
		}
	}
	if wait {
		return err
	}
	g.happen(rdkafka.Committed{Err: err})
	return nil
}

// Survey is described at broker.Offsets.
func (g *group) Survey(_ context.Context, topics []string) ([]broker.Partition, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var found []broker.Partition
	for _, t := range topics {
		for n := range int32(Partitions) {
			log, at := g.logs[place{t, n}], rdkafka.Place{Offset: -1}
			if p, is := g.offsets[place{t, n}]; is {
				at = p
			}
			found = append(found, broker.Partition{
				Topic: t, ID: "in-memory", Number: n, Begin: log.begin, End: log.end(), Committed: at.Offset, Note: at.Metadata,
			})
		}
	}
	return found, nil
}

// At is described at broker.Offsets.
func (g *group) At(_ context.Context, topic string, partition int32, t time.Time) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	log := g.logs[place{topic, partition}]
	if log == nil {
		return 0, errNoPartition
	}
	i := slices.IndexFunc(log.all, func(s stored) bool { return !s.at.Before(t) })
	if i < 0 {
		return log.end(), nil
	}
	return log.begin + int64(i), nil
}

// feed is the records of one partition.
type feed struct {
	*memory

	at   place
	next int64
}

// Take is described at broker.Feed.
func (f *feed) Take(most, size int, each func(*broker.Record)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.logs[f.at]
	if f.next < log.begin {
		return ck.NewError(ck.ErrAutoOffsetReset, "the offset is out of range", false)
	}
	for taken := 0; taken < most && f.next < log.end(); taken++ {
		s := &log.all[f.next-log.begin]
		size -= len(s.key) + len(s.value)
		if taken > 0 && size < 0 {
			return nil
		}
		r := broker.Record{Offset: f.next, Key: s.key, Value: s.value}
		for _, h := range s.headers {
			r.Headers = append(r.Headers, broker.Header{Name: []byte(h.Key), Value: h.Value})
		}
		f.next++
		each(&r)
	}
	return nil
}

func (f *feed) Close() {}
