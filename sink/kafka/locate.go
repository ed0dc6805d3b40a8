package kafka

import (
	"context"
	"fmt"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
	"github.com/kafkasync/kafkasync/sink"
)

var _ sink.Locator = (*Sink)(nil)

// Locate is described at sink.Locator.
func (s *Sink) Locate(ctx context.Context, topic string, delay time.Duration) (kafkasync.Pair, error) {
	if s.broken != nil {
		return kafkasync.Pair{}, fmt.Errorf("locating topic %s through a sink that is of no further use: %w", topic, s.broken)
	}
	s.stall = stall{acked: s.window.acked.Load(), since: time.Now()}
	_, err := s.topic(ctx, topic)
	pair := kafkasync.Pair{Topic: topic, Delay: delay}
	if err == nil {
		pair.ID, pair.Ends, err = s.ends(ctx, topic)
	}
	if err != nil {
		err = s.explain(err, nil)
		s.broken = err
		return kafkasync.Pair{}, err
	}
	return pair, nil
}

// ends returns the topic's id and the end of each of its partitions.
func (s *Sink) ends(ctx context.Context, name string) (id string, ends []int64, err error) {
	started := time.Now()
	err = s.insist(ctx, func(ctx context.Context) error {
		// The id is asked for first. When the topic is deleted and created again between the
		// two questions, an id that is no longer true stands beside ends that are, and who
		// compares ids notices; the other way round, ends of a log that is gone would hide the new one's beginning.
		described, err := s.describe(ctx, name)
		if err == nil {
			id = textOf(described.TopicID)
			ends, err = s.offsets(ctx, described, ck.LatestOffsetSpec)
		}
		if isUnknownTopic(err) && time.Since(started) < settle {
			return transientError{err} // it has just been created, and not every broker knows
		}
		return err
	})
	if err != nil {
		return "", nil, s.topicFault(name, err)
	}
	return id, ends, nil
}

// textOf returns an id as text, or "" if it stands for none: that of brokers before 2.8.
func textOf(id ck.UUID) string {
	if id.GetMostSignificantBits() == 0 && id.GetLeastSignificantBits() == 0 {
		return ""
	}
	return id.String()
}

// offsets asks the same of all partitions of a topic at once and returns the answers by partition.
func (s *Sink) offsets(ctx context.Context, topic ck.TopicDescription, wanted ck.OffsetSpec) ([]int64, error) {
	if len(topic.Partitions) == 0 {
		return nil, transientError{fmt.Errorf("topic %s has no partitions yet", topic.Name)}
	}
	partitions := make([]rdkafka.Standing, len(topic.Partitions))
	for i := range partitions {
		partitions[i] = rdkafka.Standing{Topic: topic.Name, Number: int32(i)}
	}
	return (&rdkafka.Offsets{Admin: s.admin}).List(ctx, partitions, wanted)
}
