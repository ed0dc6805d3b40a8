package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// PartitionLag is how far a consumer is in a partition.
type PartitionLag struct {
	Topic     string
	Partition int32
	Begin     int64 // the oldest offset that is there
	End       int64 // the next one to be written
	Done      int64 // offset before which nothing is left to do; -1: this name has not begun with the partition
}

// Behind is how many offsets are left to do.
func (l PartitionLag) Behind() int64 { return max(0, l.End-max(l.Done, l.Begin)) }

// Lag returns how far the consumer of the name cfg.Name is in every partition of cfg.Topics, in their order. Any process may ask; it joins
// nothing. Of cfg it needs Brokers, Topics, Name and Kafka.
func Lag(ctx context.Context, cfg Config) ([]PartitionLag, error) {
	o, found, err := cfg.standing(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer o.close()
	return lags(found), nil
}

// standing is how far the group is, and who has asked for it, by librdkafka with these further properties.
func (c Config) standing(ctx context.Context, more map[string]string) (*onlooker, []rdkafka.Standing, error) {
	c = c.withDefaults()
	if err := errors.Join(c.validate(), c.reachable()); err != nil {
		return nil, nil, err
	}
	o, err := c.look(more)
	if err != nil {
		return nil, nil, err
	}
	found, err := o.soon(ctx, c.Topics)
	if err != nil {
		o.close()
		return nil, nil, c.explain(err)
	}
	return o, found, nil
}

func lags(found []rdkafka.Standing) []PartitionLag {
	all := make([]PartitionLag, 0, len(found))
	for i := range found {
		p := &found[i]
		all = append(all, PartitionLag{Topic: p.Topic, Partition: p.Number, Begin: p.Begin, End: p.End, Done: p.Committed})
	}
	slices.SortFunc(all, func(a, b PartitionLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}

// Reset sets where the consumer of the name cfg.Name goes on in every partition of cfg.Topics, and returns how far it is then. It
// is refused while a process of that name runs. Of cfg it needs Brokers, Topics, Name and Kafka.
func Reset(ctx context.Context, cfg Config, to Start) ([]PartitionLag, error) {
	o, found, err := cfg.standing(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if len(found) == 0 {
		return nil, fmt.Errorf("consumer: none of the topics %s is there", strings.Join(cfg.Topics, ", "))
	}
	places, err := o.places(ctx, found, to, time.Now())
	if err != nil {
		return nil, cfg.explain(err)
	}
	// The broker takes it from somebody who is no member only while there are none.
	if err := o.Consumer.Commit(places, true); err != nil {
		if isFenced(err) {
			return nil, &kafkasync.Fault{
				Class: kafkasync.Stop, What: fmt.Sprintf("consumer %s runs, and goes on where it is", cfg.Name),
				Fix: "stop all of its processes, and try again", Err: err,
			}
		}
		return nil, cfg.explain(err)
	}
	for i := range found {
		found[i].Committed = places[i].Offset
	}
	return lags(found), nil
}

// places are where the partitions go on.
func (o *onlooker) places(ctx context.Context, found []rdkafka.Standing, to Start, now time.Time) ([]rdkafka.Place, error) {
	counts := map[string]int{}
	for i := range found {
		counts[found[i].Topic]++
	}
	places := make([]rdkafka.Place, len(found))
	for i := range found {
		p := &found[i]
		n := note{id: p.ID, count: counts[p.Topic]}
		at := p.Begin
		switch {
		case to.latest:
			at, n.from = p.End, now.UnixMilli()
		case !to.at.IsZero():
			var err error
			if at, err = o.At(ctx, p.Topic, p.Number, to.at); err != nil {
				return nil, err
			}
			n.from = max(1, to.at.UnixMilli())
		}
		places[i] = rdkafka.Place{Topic: p.Topic, Partition: p.Number, Offset: at, Metadata: n.String()}
	}
	return places, nil
}
