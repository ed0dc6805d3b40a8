package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsets asks Kafka, without reading a record, how far topics and groups are. Not
// with librdkafka: asked about a topic whose partitions had no leader yet, it still said
// so a minute later.
type offsets struct{ client *kgo.Client }

func (b *bench) openOffsets() (offsets, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.kafka.Brokers()))
	if err != nil {
		return offsets{}, fmt.Errorf("opening a client of Kafka: %w", err)
	}
	return offsets{client}, nil
}

func (o offsets) close() { o.client.Close() }

// create makes a topic as kafkasync does by default, and returns once all its partitions answer.
func (o offsets) create(ctx context.Context, topic string) error {
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
	clock := kmsg.NewCreateTopicsRequestTopicConfig()
	clock.Name, clock.Value = "message.timestamp.type", new("LogAppendTime")
	wanted.Configs = append(wanted.Configs, clock)
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, wanted)
	answer, err := request.RequestWith(ctx, o.client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	err = every(ctx, 50*time.Millisecond, func() (bool, error) {
		_, last = o.ends(ctx, topic) // for a moment they have no leader
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, errors.Join(err, last))
	}
	return nil
}

// ends returns where the partitions of a topic end.
func (o offsets) ends(ctx context.Context, topic string) ([]int64, error) {
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for p := range int32(partitions) {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, -1 // the end
		asked.Partitions = append(asked.Partitions, one)
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.Topics = append(request.Topics, asked)
	answer, err := request.RequestWith(ctx, o.client)
	if err != nil {
		return nil, fmt.Errorf("asking Kafka for the ends of topic %s: %w", topic, err)
	}
	ends := make([]int64, partitions)
	for _, p := range answer.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return nil, fmt.Errorf("asking Kafka for the end of partition %d of topic %s: %w", p.Partition, topic, err)
		}
		ends[p.Partition] = p.Offset
	}
	return ends, nil
}

// caughtUp reports whether a group has committed all that a topic holds.
func (o offsets) caughtUp(ctx context.Context, group, topic string) (bool, error) {
	request := kmsg.NewPtrOffsetFetchRequest() // without topics: of all
	request.Group = group
	answer, err := request.RequestWith(ctx, o.client)
	if err == nil {
		err = kerr.ErrorForCode(answer.ErrorCode)
	}
	if err != nil {
		return false, fmt.Errorf("asking Kafka how far group %s is: %w", group, err)
	}
	left, err := o.ends(ctx, topic)
	if err != nil {
		return false, err
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if t.Topic == topic {
				left[p.Partition] -= p.Offset
			}
		}
	}
	// Of an empty partition there is nothing to commit.
	return !slices.ContainsFunc(left, func(n int64) bool { return n > 0 }), nil
}

func total(offsets []int64) (sum int64) {
	for n := range slices.Values(offsets) {
		sum += n
	}
	return sum
}

// logSize returns how large the segments of a topic are on the broker's disk. The
// indexes beside them are no records.
func (b *bench) logSize(topic string) (int64, error) {
	segments, err := filepath.Glob(filepath.Join(b.kafka.Dir(), "data", topic+"-[0-9]*", "*.log"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, segment := range segments {
		info, err := os.Stat(segment)
		if err != nil {
			return 0, fmt.Errorf("measuring the log of topic %s: %w", topic, err)
		}
		sum += info.Size()
	}
	if sum == 0 {
		return 0, fmt.Errorf("measuring the log of topic %s: there is nothing in %s", topic, b.kafka.Dir())
	}
	return sum, nil
}
