package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestKafkaIsASink(t *testing.T) {
	sinktest.Run(t, sinktest.Harness{
		Open: func(t *testing.T) sink.Sink {
			return open(t, settings(t), kafka.Options{InFlight: 1 << 20})
		},
		Topic: func(t *testing.T) (string, int32) { return devtest.Topic(t), 4 },
		Read: func(t *testing.T, topic string, n int) []sinktest.Record {
			var found []sinktest.Record
			for _, r := range read(t, topic, n) {
				found = append(found, r.Record)
			}
			return found
		},
		Drop:  drop,
		Break: func(t *testing.T, s sink.Sink) { s.(*kafka.Sink).InjectFatal(t) },
		Stuck: func(t *testing.T) sink.Sink {
			cfg := settings(t)
			cfg.Brokers = []string{silent(t)}
			return open(t, cfg, kafka.Options{})
		},
		Large: 4 << 20,
	})
}

func TestAPlainConsumerSeesTheDocumentedRecord(t *testing.T) {
	topic := devtest.Topic(t)
	at := time.UnixMilli(1700000000123)
	msgs := []kafkasync.Message{
		{
			Topic: topic, Key: []byte("42"), Value: []byte(`{"id":42}`), Op: kafkasync.Updated, Pipeline: "shop",
			Table: "public.products", Seq: 1700000000000001, Committed: at, Pos: "0/16B3748", Delay: 5 * time.Minute,
		},
		{
			Topic: topic, Key: []byte(`["acme",7]`), Op: kafkasync.Deleted, Pipeline: "shop",
			Table: "public.products", Seq: 1700000000000002, Committed: at, Pos: "0/16B3748",
		},
		{
			Topic: topic, Key: []byte("42"), Value: []byte(`{"id":42}`), Op: kafkasync.Refreshed, Pipeline: "shop",
			Table: "public.products", Seq: 1700000000000003, Committed: at,
		},
		{
			Topic: topic, Key: []byte("42"), Value: []byte(`{"id":42}`), Op: kafkasync.Created, Pipeline: "shop",
			Table: "public.products", Seq: 1700000000000004, Committed: at, Pos: "0/16B3748", Delayed: 5 * time.Minute,
		},
		{
			Topic: topic, Value: []byte(`{"id":null}`), Op: kafkasync.Truncated, Pipeline: "shop",
			Table: "public.products", Seq: 1700000000000005, Committed: at, Pos: "0/16B3748",
		},
	}
	cfg := settings(t)
	cfg.Topics.Partitions = 1
	if err := open(t, cfg, kafka.Options{}).Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`0 key="42" value="{\"id\":42}" op=u pipeline=shop table=public.products ts=1700000000123 pos=0/16B3748 delay=300000 seq=1700000000000001`,
		`1 key="[\"acme\",7]" value=none op=d pipeline=shop table=public.products ts=1700000000123 pos=0/16B3748 seq=1700000000000002`,
		`2 key="42" value="{\"id\":42}" op=r pipeline=shop table=public.products ts=1700000000123 seq=1700000000000003`,
		`3 key="42" value="{\"id\":42}" op=c pipeline=shop table=public.products ts=1700000000123 pos=0/16B3748 delayed=300000 seq=1700000000000004`,
		`4 key=none value="{\"id\":null}" op=t pipeline=shop table=public.products ts=1700000000123 pos=0/16B3748 seq=1700000000000005`,
	}
	for i, r := range read(t, topic, len(want)) {
		if got := golden(r); got != want[i] {
			t.Errorf("got  %s\nwant %s", got, want[i])
		}
		if r.timestamp != ck.TimestampLogAppendTime {
			t.Errorf("timestamp: got %s, want the broker's", r.timestamp)
		}
	}
}

func golden(r record) string {
	var b strings.Builder
	field := func(name string, value []byte) {
		if value == nil {
			fmt.Fprintf(&b, " %s=none", name)
		} else {
			fmt.Fprintf(&b, " %s=%q", name, value)
		}
	}
	fmt.Fprint(&b, r.Offset)
	field("key", r.Key)
	field("value", r.Value)
	for _, h := range r.headers {
		fmt.Fprintf(&b, " %s=%s", h.Key, h.Value)
	}
	return b.String()
}

func TestAKeyIsOnThePartitionThatJavaClientsChoose(t *testing.T) {
	// Computed with org.apache.kafka.common.utils.Utils.murmur2, positive, modulo 4.
	want := map[string]int32{"1": 3, "42": 0, "products": 0, `["acme",7]`: 3}
	topic := devtest.Topic(t)
	var msgs []kafkasync.Message
	for key := range want {
		m := sinktest.Messages(topic, 1, 1)[0]
		m.Key = []byte(key)
		msgs = append(msgs, m)
	}
	if err := open(t, settings(t), kafka.Options{}).Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	for _, r := range read(t, topic, len(msgs)) {
		if r.Partition != want[string(r.Key)] {
			t.Errorf("key %s: got partition %d, want %d", r.Key, r.Partition, want[string(r.Key)])
		}
	}
}

func TestAFatalProducerIsReplacedByANewOne(t *testing.T) {
	topic := devtest.Topic(t)
	s := open(t, settings(t), kafka.Options{})
	msgs := sinktest.Messages(topic, 1, 1000)
	if err := s.Publish(t.Context(), msgs[:500]); err != nil {
		t.Fatal(err)
	}
	s.InjectFatal(t)
	err := s.Publish(t.Context(), msgs[500:])
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != kafkasync.Retry {
		t.Fatalf("got %v, want a fault of class retry", err)
	}
	// What a supervisor does: a new sink, from the last acknowledged position.
	if err := open(t, settings(t), kafka.Options{}).Publish(t.Context(), msgs[500:]); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int64]bool)
	for _, r := range read(t, topic, len(msgs)) {
		seen[r.Seq] = true
	}
	if len(seen) != len(msgs) {
		t.Errorf("got %d of the messages, want all %d", len(seen), len(msgs))
	}
}

func TestAMessageThatIsTooLargeStopsAndIsNamedWithoutItsContent(t *testing.T) {
	random := make([]byte, 700_000) // does not compress
	for i := range random {
		random[i] = byte('a' + rand.IntN(26))
	}
	tests := map[string]struct {
		size  int
		topic map[string]string
	}{
		"for librdkafka":  {size: 3 * len(random)},
		"for the brokers": {size: len(random), topic: map[string]string{"max.message.bytes": "100000"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			topic := devtest.Topic(t)
			createTopic(t, topic, 1, test.topic)
			msgs := sinktest.Messages(topic, 1, 20)
			msgs[10].Table = "public.documents"
			msgs[10].Value = slices.Concat([]byte(`{"id":11,"text":"`), bytes.Repeat(random, test.size/len(random)), []byte(`"}`))
			err := open(t, settings(t), kafka.Options{}).Publish(t.Context(), msgs)
			var fault *kafkasync.Fault
			if !errors.As(err, &fault) || fault.Class != kafkasync.Stop {
				t.Fatalf("got %v, want a fault of class stop", err)
			}
			for _, part := range []string{"public.documents", topic, "key 2 bytes", "max.message.bytes"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want it to name %q", err, part)
				}
			}
			if strings.Contains(err.Error(), string(random[:20])) {
				t.Error("the error shows the content")
			}
		})
	}
}

func TestAMissingTopicIsNeitherCreatedNorPassedOver(t *testing.T) {
	// The broker would create it: auto.create.topics.enable is true by default.
	topic := devtest.Topic(t)
	cfg := settings(t)
	cfg.Topics.Create = false
	msgs := sinktest.Messages(topic, 1, 10)
	err := open(t, cfg, kafka.Options{}).Publish(t.Context(), msgs)
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != kafkasync.Wait {
		t.Fatalf("got %v, want a fault of class wait", err)
	}
	if want := "kafka-topics.sh --bootstrap-server " + cfg.Brokers[0] + " --create --topic " + topic; !strings.Contains(fault.Fix, want) {
		t.Errorf("got fix %q, want %q", fault.Fix, want)
	}
	if exists(t, admin(t), topic) {
		t.Fatal("the topic was created behind our back")
	}
	createTopic(t, topic, 3, nil)
	if err := open(t, cfg, kafka.Options{}).Publish(t.Context(), msgs); err != nil {
		t.Errorf("after it was created: got %v, want nil", err)
	}
}

func TestADeletedTopicIsNotCreatedByTheBroker(t *testing.T) {
	topic := devtest.Topic(t)
	cfg := settings(t)
	cfg.Properties = map[string]string{"topic.metadata.propagation.max.ms": "1000"} // by default it waits 30 s for the topic to come back
	s := open(t, cfg, kafka.Options{})
	if err := s.Publish(t.Context(), sinktest.Messages(topic, 1, 10)); err != nil {
		t.Fatal(err)
	}
	drop(t, topic)
	err := s.Publish(t.Context(), sinktest.Messages(topic, 11, 10))
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), topic) {
		t.Errorf("got %v, want a fault of class wait that names the topic", err)
	}
	if exists(t, admin(t), topic) {
		t.Fatal("the topic was created behind our back")
	}
	if err := open(t, settings(t), kafka.Options{}).Publish(t.Context(), sinktest.Messages(topic, 11, 10)); err != nil {
		t.Errorf("a new sink: got %v, want nil", err)
	}
}

func TestNothingIsLoggedOrHeldWhileAllIsWell(t *testing.T) {
	var log bytes.Buffer
	s := open(t, settings(t), kafka.Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Notify: func(err error) { t.Errorf("got told %v, want silence", err) },
	})
	for i := range 20 {
		if err := s.Publish(t.Context(), sinktest.Messages(devtest.Topic(t), int64(i), 10)); err != nil {
			t.Fatal(err)
		}
		if held := s.Held(); held != 0 {
			t.Errorf("got %d bytes held when all is acknowledged, want 0", held)
		}
	}
	if err := s.Close(); err != nil { // also the end of the one who writes the log
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("got log\n%s\nwant none", log.String())
	}
}

// A user's linger.ms is how long records may wait for more, and no more come while Publish waits: for the end, for
// the first record of a partition, or for room.
func TestPublishDoesNotWaitForLinger(t *testing.T) {
	cfg := settings(t)
	cfg.Properties = map[string]string{"linger.ms": "900000"} // 15 minutes, the most there is
	topic := devtest.Topic(t)
	s := open(t, cfg, kafka.Options{InFlight: 128 << 10}) // some 100 records
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const records = 1000
	if err := s.Publish(ctx, sinktest.Messages(topic, 1, records)); err != nil {
		t.Fatal(err)
	}
	if got := len(read(t, topic, records)); got != records {
		t.Errorf("got %d records, want %d", got, records)
	}
}

func TestNothingIsHandedOverAfterTheEndOfTheContext(t *testing.T) {
	topic := devtest.Topic(t)
	s := open(t, settings(t), kafka.Options{})
	if err := s.Publish(t.Context(), sinktest.Messages(topic, 1, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Publish(ctx, sinktest.Messages(topic, 2, 10_000)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if got := len(read(t, topic, 1)); got != 1 {
		t.Errorf("got %d records, want only the first", got)
	}
}

func TestOpenRefusesWhatLibrdkafkaDoesNotKnow(t *testing.T) {
	cfg := settings(t)
	cfg.Properties = map[string]string{"no.such.property": "1"}
	_, err := kafka.Open(context.Background(), cfg, kafka.Options{})
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "no.such.property") {
		t.Errorf("got %v, want a fault of class stop that names the property", err)
	}
}

// A broker that does not know a producer takes any sequence number from it. If it becomes the partition's leader between
// the first request and the second, librdkafka calls the first one's records delivered: KAFKA-15591.
func TestWhatALeaderRefusesAtFirstIsNotLost(t *testing.T) {
	topics := []string{"warm", "t1", "t2", "t3", "t4"}
	cluster, cfg := fake(t, kfake.SeedTopics(4, topics...), kfake.MaxVersions(kversion.V4_0_0()))
	s := open(t, cfg, kafka.Options{})
	// With a connection that is there the first request leaves with a record or two.
	if err := s.Publish(t.Context(), sinktest.Messages(topics[0], 1, 100)); err != nil {
		t.Fatal(err)
	}
	refused := make(map[string]bool)
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req := r.(*kmsg.ProduceRequest)
		topic, partition := req.Topics[0].Topic, req.Topics[0].Partitions[0].Partition // librdkafka writes to one at a time
		if place := fmt.Sprint(topic, partition); !refused[place] {
			refused[place] = true
			select { // if the next requests do not wait, they are on their way by then
			case <-time.After(20 * time.Millisecond):
			case <-t.Context().Done():
			}
			return notLeader(req), nil, true
		}
		return nil, nil, false
	})
	for _, topic := range topics[1:] {
		msgs := sinktest.Messages(topic, 1, 1000)
		if err := s.Publish(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
		seen := make(map[int64]int)
		for _, r := range readFrom(t, cfg.Brokers, topic, 0) {
			seen[r.Seq]++
		}
		for _, m := range msgs {
			if seen[m.Seq] != 1 {
				t.Errorf("topic %s, seq %d: got it %d times after its acknowledgement, want once", topic, m.Seq, seen[m.Seq])
			}
		}
	}
	if len(refused) != 4*(len(topics)-1) {
		t.Errorf("got the first request of %d partitions refused, want all %d", len(refused), 4*(len(topics)-1))
	}
}

// notLeader answers a request for one partition.
func notLeader(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	partition := kmsg.NewProduceResponseTopicPartition()
	partition.Partition, partition.ErrorCode = req.Topics[0].Partitions[0].Partition, kerr.NotLeaderForPartition.Code
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.Partitions = req.Topics[0].Topic, []kmsg.ProduceResponseTopicPartition{partition}
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	resp.Topics = []kmsg.ProduceResponseTopic{topic}
	return resp
}
