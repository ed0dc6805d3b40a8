package delayer

import (
	"context"
	"fmt"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// kafkaOffsets are Offsets of Kafka.
type kafkaOffsets struct {
	admin    *ck.AdminClient
	consumer *rdkafka.Consumer
}

// at names a partition in what comes back from confluent-kafka-go, whose own keys hold pointers.
type at struct {
	topic  string
	number int32
}

// Survey is described at Offsets. The end is asked for first: what is written meanwhile waits.
func (o *kafkaOffsets) Survey(ctx context.Context, topics []string) ([]Partition, error) {
	partitions, err := o.partitions(ctx, topics)
	if err != nil || len(partitions) == 0 {
		return nil, err
	}
	ends, err := o.list(ctx, partitions, ck.LatestOffsetSpec)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of partitions: %w", err)
	}
	begins, err := o.list(ctx, partitions, ck.EarliestOffsetSpec)
	if err != nil {
		return nil, fmt.Errorf("asking for the beginnings of partitions: %w", err)
	}
	places := make([]rdkafka.Place, len(partitions))
	for i := range partitions {
		places[i] = rdkafka.Place{Topic: partitions[i].Topic, Partition: partitions[i].Number}
	}
	committed, err := o.consumer.Committed(ctx, places, remaining(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of the group: %w", err)
	}
	for i := range partitions {
		p := &partitions[i]
		key := at{p.Topic, p.Number}
		p.Begin, p.End = begins[key], ends[key]
		p.Committed, p.Note = committed[i].Offset, committed[i].Metadata
	}
	return partitions, nil
}

// partitions are those of the topics that exist.
func (o *kafkaOffsets) partitions(ctx context.Context, topics []string) ([]Partition, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	described, err := o.admin.DescribeTopics(ctx, ck.NewTopicCollectionOfTopicNames(topics), patience(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for topics: %w", err)
	}
	var found []Partition
	for _, t := range described.TopicDescriptions {
		switch code := t.Error.Code(); code {
		case ck.ErrNoError:
		case ck.ErrUnknownTopicOrPart, ck.ErrUnknownTopic:
			continue
		default:
			return nil, fmt.Errorf("asking for topic %s: %w", t.Name, t.Error)
		}
		id := ""
		if t.TopicID.GetMostSignificantBits() != 0 || t.TopicID.GetLeastSignificantBits() != 0 {
			id = t.TopicID.String() // brokers before 2.8 know none
		}
		for _, p := range t.Partitions {
			found = append(found, Partition{Topic: t.Name, ID: id, Number: int32(p.Partition)})
		}
	}
	return found, nil
}

// list asks the same of all partitions.
func (o *kafkaOffsets) list(ctx context.Context, partitions []Partition, spec ck.OffsetSpec) (map[at]int64, error) {
	asked := make(map[ck.TopicPartition]ck.OffsetSpec, len(partitions))
	for i := range partitions {
		asked[ck.TopicPartition{Topic: &partitions[i].Topic, Partition: partitions[i].Number}] = spec
	}
	answer, err := o.admin.ListOffsets(ctx, asked, ck.SetAdminIsolationLevel(ck.IsolationLevelReadUncommitted), patience(ctx))
	if err != nil {
		return nil, err
	}
	found := make(map[at]int64, len(asked))
	for p, one := range answer.ResultInfos {
		if one.Error.Code() != ck.ErrNoError {
			return nil, one.Error
		}
		found[at{*p.Topic, p.Partition}] = int64(one.Offset)
	}
	if len(found) != len(asked) {
		return nil, fmt.Errorf("got the offsets of %d partitions, want %d", len(found), len(asked))
	}
	return found, nil
}

// patience ends a question with ctx in librdkafka as well, which would go on for a minute, and be busy all the time
// while no broker can be reached.
func patience(ctx context.Context) ck.AdminOptionRequestTimeout {
	return ck.SetAdminRequestTimeout(remaining(ctx))
}

// remaining is how long a call that knows no context may take.
func remaining(ctx context.Context) time.Duration {
	if until, ok := ctx.Deadline(); ok {
		return max(time.Millisecond, time.Until(until))
	}
	return surveyLimit
}

// At is described at Offsets.
func (o *kafkaOffsets) At(ctx context.Context, topic string, partition int32, t time.Time) (int64, error) {
	one := []Partition{{Topic: topic, Number: partition}}
	found, err := o.list(ctx, one, ck.NewOffsetSpecForTimestamp(t.UnixMilli()))
	if err != nil {
		return 0, fmt.Errorf("asking for the offset at a time: %w", err)
	}
	if offset := found[at{topic, partition}]; offset >= 0 {
		return offset, nil
	}
	ends, err := o.list(ctx, one, ck.LatestOffsetSpec) // nothing is so young
	if err != nil {
		return 0, fmt.Errorf("asking for the end of a partition: %w", err)
	}
	return ends[at{topic, partition}], nil
}
