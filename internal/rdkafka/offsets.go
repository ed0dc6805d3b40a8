package rdkafka

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// questionLimit bounds a question whose context has no deadline.
const questionLimit = 10 * time.Second

// Standing is what the brokers know of a partition and of the group's place in it.
type Standing struct {
	Topic     string
	ID        string // of the topic, as in kafkasync.Pair: one that was deleted and created again has another; "" if the brokers know none
	Number    int32
	Begin     int64 // the oldest offset that is there
	End       int64 // the next one to be written
	Committed int64 // by the group; -1: nothing
	Note      string
}

// Offsets asks about partitions. Any goroutine may call it.
type Offsets struct {
	Admin    *ck.AdminClient
	Consumer *Consumer // asked for what is committed: see Consumer.Committed; only Survey needs it
}

// AdminConfig are the settings of the client that asks: a user's properties, under what has to be.
func AdminConfig(clientID string, brokers []string, properties map[string]string) *ck.ConfigMap {
	m := ck.ConfigMap{"client.id": clientID, "reconnect.backoff.max.ms": "1000", "enable.metrics.push": "false"}
	for name, value := range properties {
		m[name] = value
	}
	maps.Copy(m, ck.ConfigMap{
		"bootstrap.servers":        strings.Join(brokers, ","),
		"allow.auto.create.topics": "false",
		"log_level":                "0", // what matters comes as an error
		// To all brokers, not only to those that there is a question for. For one that is away, a question that
		// waits for it would else have each failed connection followed by another one at once, 16,000 a second:
		// rd_kafka_broker_get_async asks for a connection whenever a broker's state changes, and that it fails is a change.
		"enable.sparse.connections": "false",
	})
	return &m
}

// at names a partition in what comes back from confluent-kafka-go, whose own keys hold pointers.
type at struct {
	topic  string
	number int32
}

// Survey returns the partitions of the topics that exist, in any order. The end is asked for first: what is written meanwhile comes later.
func (o *Offsets) Survey(ctx context.Context, topics []string) ([]Standing, error) {
	partitions, err := o.Partitions(ctx, topics)
	if err != nil || len(partitions) == 0 {
		return nil, err
	}
	ends, err := o.List(ctx, partitions, ck.LatestOffsetSpec)
	if err != nil {
		return nil, fmt.Errorf("asking for the ends of partitions: %w", err)
	}
	begins, err := o.List(ctx, partitions, ck.EarliestOffsetSpec)
	if err != nil {
		return nil, fmt.Errorf("asking for the beginnings of partitions: %w", err)
	}
	places := make([]Place, len(partitions))
	for i := range partitions {
		places[i] = Place{Topic: partitions[i].Topic, Partition: partitions[i].Number}
	}
	committed, err := o.Consumer.Committed(ctx, places, remaining(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of the group: %w", err)
	}
	for i := range partitions {
		p := &partitions[i]
		p.Begin, p.End = begins[i], ends[i]
		p.Committed, p.Note = committed[i].Offset, committed[i].Metadata
	}
	return partitions, nil
}

// Partitions are those of the topics that exist, without their offsets.
func (o *Offsets) Partitions(ctx context.Context, topics []string) ([]Standing, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	described, err := o.Admin.DescribeTopics(ctx, ck.NewTopicCollectionOfTopicNames(topics), patience(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for topics: %w", err)
	}
	var found []Standing
	for _, t := range described.TopicDescriptions {
		switch t.Error.Code() {
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
			found = append(found, Standing{Topic: t.Name, ID: id, Number: int32(p.Partition)})
		}
	}
	return found, nil
}

// List asks the same of all partitions, which are different ones, and returns their offsets in that order.
func (o *Offsets) List(ctx context.Context, partitions []Standing, spec ck.OffsetSpec) ([]int64, error) {
	asked, index := make(map[ck.TopicPartition]ck.OffsetSpec, len(partitions)), make(map[at]int, len(partitions))
	for i := range partitions {
		p := &partitions[i]
		asked[ck.TopicPartition{Topic: &p.Topic, Partition: p.Number}], index[at{p.Topic, p.Number}] = spec, i
	}
	// Uncommitted: what others write in transactions to the topic moves the end as soon as it is there.
	answer, err := o.Admin.ListOffsets(ctx, asked, ck.SetAdminIsolationLevel(ck.IsolationLevelReadUncommitted), patience(ctx))
	if err != nil {
		return nil, err
	}
	found, answered := make([]int64, len(partitions)), 0
	for p, one := range answer.ResultInfos {
		i, ok := index[at{*p.Topic, p.Partition}]
		switch {
		case one.Error.Code() != ck.ErrNoError:
			return nil, one.Error
		case ok && one.Offset != ck.OffsetInvalid:
			found[i] = int64(one.Offset)
			answered++
		}
	}
	// A partition whose leader has not answered in time comes back without an error and without an offset:
	// rd_kafka_ListOffsets_response_merge does not look at that of the leader's request.
	if answered != len(partitions) {
		return nil, ck.NewError(ck.ErrTimedOut, fmt.Sprintf("the leaders of %d of %d partitions have not answered", len(partitions)-answered, len(partitions)), false)
	}
	return found, nil
}

// patience ends a question with ctx in librdkafka as well, which would go on for a minute.
func patience(ctx context.Context) ck.AdminOptionRequestTimeout {
	return ck.SetAdminRequestTimeout(remaining(ctx))
}

// remaining is how long a call that knows no context may take.
func remaining(ctx context.Context) time.Duration {
	if until, ok := ctx.Deadline(); ok {
		return max(time.Millisecond, time.Until(until))
	}
	return questionLimit
}

// At returns the offset of the first record that was appended at the time or later; the end if there is none.
func (o *Offsets) At(ctx context.Context, topic string, partition int32, t time.Time) (int64, error) {
	one := []Standing{{Topic: topic, Number: partition}}
	found, err := o.List(ctx, one, ck.NewOffsetSpecForTimestamp(t.UnixMilli()))
	if err != nil {
		return 0, fmt.Errorf("asking for the offset at a time: %w", err)
	}
	if found[0] >= 0 {
		return found[0], nil
	}
	ends, err := o.List(ctx, one, ck.LatestOffsetSpec) // nothing is so young
	if err != nil {
		return 0, fmt.Errorf("asking for the end of a partition: %w", err)
	}
	return ends[0], nil
}
