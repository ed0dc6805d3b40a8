package kafka_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func brokers(t testing.TB) []string {
	t.Helper()
	return []string{devtest.Kafka(t).Brokers()}
}

// settings are those of a sink that creates topics with 4 partitions.
func settings(t testing.TB) kafka.Config {
	t.Helper()
	return kafka.Config{Brokers: brokers(t), Topics: kafka.Topics{Create: true, Partitions: 4, Replication: 1}}
}

func open(t testing.TB, cfg kafka.Config, opts kafka.Options) *kafka.Sink {
	t.Helper()
	s, err := kafka.Open(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// record is what a plain consumer gets.
type record struct {
	sinktest.Record
	headers   []ck.Header
	timestamp ck.TimestampType
}

// read returns all records of a topic once there are at least n.
func read(t testing.TB, topic string, n int) []record {
	t.Helper()
	return readFrom(t, brokers(t), topic, n)
}

func readFrom(t testing.TB, brokers []string, topic string, n int) []record {
	t.Helper()
	consumer, err := ck.NewConsumer(&ck.ConfigMap{
		"bootstrap.servers": strings.Join(brokers, ","), "group.id": "none", "enable.auto.commit": false,
		"enable.partition.eof": true,
		// By default a question for the beginning that fails, as it may just after a
		// topic was made, ends at the end.
		"auto.offset.reset": "earliest",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := consumer.Close(); err != nil {
			t.Errorf("closing the reader: %v", err)
		}
	}()
	metadata, err := consumer.GetMetadata(&topic, false, 10000)
	if err != nil {
		t.Fatal(err)
	}
	var places []ck.TopicPartition
	for _, p := range metadata.Topics[topic].Partitions {
		places = append(places, ck.TopicPartition{Topic: &topic, Partition: p.ID, Offset: ck.OffsetBeginning})
	}
	if err := consumer.Assign(places); err != nil {
		t.Fatal(err)
	}
	var records []record
	ended := make(map[int32]bool)
	for deadline := time.Now().Add(time.Minute); len(ended) < len(places) || len(records) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("topic %s: got %d records and the end of %d of %d partitions, want at least %d records; %s",
				topic, len(records), len(ended), len(places), n, missing(consumer, topic, records))
		}
		switch e := consumer.Poll(100).(type) {
		case *ck.Message:
			if e.TopicPartition.Error != nil {
				t.Logf("reading: %v", e.TopicPartition)
				continue
			}
			records = append(records, decode(t, e))
		case ck.PartitionEOF:
			ended[e.Partition] = true
		case ck.Error:
			t.Logf("reading: %v", e)
		}
	}
	return records
}

// missing tells whether records are not in Kafka or were only not read.
func missing(consumer *ck.Consumer, topic string, records []record) string {
	next := make(map[int32]int64)
	var found []string
	for _, r := range records {
		if r.Offset != next[r.Partition] {
			found = append(found, fmt.Sprintf("partition %d goes on from offset %d at %d", r.Partition, next[r.Partition], r.Offset))
		}
		next[r.Partition] = r.Offset + 1
	}
	for partition, read := range next {
		low, high, err := consumer.QueryWatermarkOffsets(topic, partition, 5000)
		found = append(found, fmt.Sprintf("partition %d was read up to %d and holds %d to %d (%v)", partition, read, low, high, err))
	}
	return strings.Join(found, "; ")
}

func decode(t testing.TB, e *ck.Message) record {
	t.Helper()
	r := record{headers: e.Headers, timestamp: e.TimestampType}
	r.Topic, r.Key, r.Value = *e.TopicPartition.Topic, e.Key, e.Value
	r.Partition, r.Offset = e.TopicPartition.Partition, int64(e.TopicPartition.Offset)
	for _, h := range e.Headers {
		if err := r.SetHeader(h.Key, h.Value); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// admin returns a client for what a person would do with Kafka's own tools.
func admin(t testing.TB) *ck.AdminClient {
	t.Helper()
	a, err := ck.NewAdminClient(&ck.ConfigMap{"bootstrap.servers": strings.Join(brokers(t), ","), "allow.auto.create.topics": false})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func createTopic(t testing.TB, name string, partitions int, config map[string]string) {
	t.Helper()
	a := admin(t)
	results, err := a.CreateTopics(t.Context(), []ck.TopicSpecification{{
		Topic: name, NumPartitions: partitions, ReplicationFactor: 1, Config: config,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if code := results[0].Error.Code(); code != ck.ErrNoError {
		t.Fatal(results[0].Error)
	}
	eventually(t, "the topic is there", func() bool { return exists(t, a, name) })
}

func drop(t *testing.T, topic string) {
	t.Helper()
	a := admin(t)
	if _, err := a.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic is gone", func() bool { return !exists(t, a, topic) })
}

func exists(t testing.TB, a *ck.AdminClient, name string) bool {
	t.Helper()
	result, err := a.DescribeTopics(t.Context(), ck.NewTopicCollectionOfTopicNames([]string{name}))
	if err != nil {
		t.Fatal(err)
	}
	return result.TopicDescriptions[0].Error.Code() == ck.ErrNoError
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long: %s", what)
		}
	}
}

// silent returns the address of something that takes connections and never answers.
func silent(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// free returns an address that nobody listens at.
func free(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
