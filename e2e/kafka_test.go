package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
)

// offsets are the ends of partitions, by topic.
type offsets map[string]map[int32]int64

func (o offsets) total() int64 {
	var total int64
	for _, partitions := range o {
		for _, end := range partitions {
			total += end
		}
	}
	return total
}

func newClient(t testing.TB, brokers string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(brokers))...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// ends returns where the topics end now. A topic that does not exist has no partitions.
func ends(t testing.TB, brokers string, topics ...string) (found offsets) {
	t.Helper()
	client := newClient(t, brokers)
	defer client.Close()
	eventually(t, time.Minute, func() string { // on a busy machine a broker may be without a partition for a moment
		var err error
		if found, err = endsOf(t, client, topics); err != nil {
			return err.Error()
		}
		return ""
	})
	return found
}

func endsOf(t testing.TB, client *kgo.Client, topics []string) (offsets, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := offsets{}
	for topic, partitions := range partitionsOf(ctx, t, client, topics) {
		found[topic] = map[int32]int64{}
		req := kmsg.NewPtrListOffsetsRequest()
		asked := kmsg.NewListOffsetsRequestTopic()
		asked.Topic = topic
		for p := range partitions {
			partition := kmsg.NewListOffsetsRequestTopicPartition()
			partition.Partition, partition.Timestamp = p, -1 // the end
			asked.Partitions = append(asked.Partitions, partition)
		}
		req.Topics = append(req.Topics, asked)
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return nil, fmt.Errorf("asking for the end of %s: %w", topic, err)
		}
		for _, p := range resp.Topics[0].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("asking for the end of %s/%d: %w", topic, p.Partition, err)
			}
			found[topic][p.Partition] = p.Offset
		}
	}
	return found, nil
}

// partitionsOf counts the partitions of the topics that exist.
func partitionsOf(ctx context.Context, t testing.TB, client *kgo.Client, topics []string) map[string]int32 {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, name := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = new(name)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		t.Fatalf("asking for topics: %v", err)
	}
	found := map[string]int32{}
	for _, topic := range resp.Topics {
		switch err := kerr.ErrorForCode(topic.ErrorCode); {
		case err == nil:
			found[*topic.Topic] = int32(len(topic.Partitions))
		case errors.Is(err, kerr.UnknownTopicOrPartition): // nothing was published there yet
		default:
			t.Fatalf("asking for topic %s: %v", *topic.Topic, err)
		}
	}
	return found
}

// readTo reads everything from the beginning of the topics to the ends, each
// partition in order.
func readTo(t testing.TB, brokers string, to offsets, take func(*kgo.Record)) {
	t.Helper()
	readBetween(t, brokers, offsets{}, to, take)
}

// readBetween is readTo from other places on.
func readBetween(t testing.TB, brokers string, from, to offsets, take func(*kgo.Record)) {
	t.Helper()
	begin := map[string]map[int32]kgo.Offset{}
	left := int64(0)
	for topic, partitions := range to {
		begin[topic] = map[int32]kgo.Offset{}
		for p, end := range partitions {
			if at := from[topic][p]; at < end {
				begin[topic][p] = kgo.NewOffset().At(at)
				left += end - at
			}
		}
	}
	if left == 0 {
		return
	}
	client := newClient(t, brokers, kgo.ConsumePartitions(begin))
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("reading Kafka, %d records from the end: %v", left, err)
		}
		fetches.EachError(func(topic string, p int32, err error) { t.Fatalf("reading %s/%d: %v", topic, p, err) })
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= to[r.Topic][r.Partition] {
				return // written since
			}
			take(r)
			left--
		})
	}
}

// message is a record as kafkasync wrote it.
type message struct {
	kafkasync.Message

	appended time.Time // by the broker's clock
}

// parse reads a record; one that kafkasync cannot have written fails the test.
func parse(t testing.TB, r *kgo.Record) message {
	t.Helper()
	m := message{appended: r.Timestamp, Message: kafkasync.Message{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value,
	}}
	for _, h := range r.Headers {
		if err := m.SetHeader(h.Key, h.Value); err != nil {
			t.Fatalf("%s/%d@%d: %v", r.Topic, r.Partition, r.Offset, err)
		}
	}
	const logAppendTime = 1
	if r.Attrs.TimestampType() != logAppendTime {
		t.Fatalf("%s/%d@%d: its time is not the broker's, so nothing can be said about order in time", r.Topic, r.Partition, r.Offset)
	}
	return m
}

// createTopic does what an operator does when kafkasync may not.
func createTopic(t testing.TB, brokers, name string) {
	t.Helper()
	client := newClient(t, brokers)
	defer client.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 3, 1
	config := kmsg.NewCreateTopicsRequestTopicConfig()
	config.Name, config.Value = "message.timestamp.type", new("LogAppendTime")
	topic.Configs = append(topic.Configs, config)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("creating topic %s: %v", name, err)
	}
}
