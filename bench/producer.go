package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkasync/kafkasync"
)

// partitions is how many a topic has that kafkasync creates by default.
const partitions = 12

// published returns how many records the topic has had; 0 if there is no topic.
func (b *bench) published(ctx context.Context) (int64, error) {
	offsets, err := b.openOffsets()
	if err != nil {
		return 0, err
	}
	defer offsets.close()
	ends, err := offsets.ends(ctx, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return 0, nil
	}
	return total(ends), err
}

// produce writes what the bulk UPDATE makes of the table straight through
// librdkafka, with nothing in the way: what Kafka takes on this machine.
func (b *bench) produce(ctx context.Context, round int) (sample, error) {
	name := "bare" + strconv.Itoa(round)
	producer, err := ck.NewProducer(&ck.ConfigMap{
		"bootstrap.servers": b.kafka.Brokers(), "acks": "all", "enable.idempotence": true, "linger.ms": "5",
		"partitioner": "murmur2_random", "message.timeout.ms": 0, "go.delivery.report.fields": "none",
	})
	if err != nil {
		return sample{}, fmt.Errorf("opening a producer: %w", err)
	}
	defer producer.Close()
	offsets, err := b.openOffsets()
	if err != nil {
		return sample{}, err
	}
	defer offsets.close()
	if err := offsets.create(ctx, name); err != nil {
		return sample{}, err
	}
	acked := make(chan error, 1)
	go func() { acked <- awaitReports(producer.Events(), b.o.rows) }()

	s := sample{rows: b.o.rows}
	before, err := usageOf(os.Getpid(), 0)
	if err != nil {
		return s, err
	}
	began := time.Now()
	if err := produceAll(ctx, producer, name, b.o.rows); err != nil {
		return s, err
	}
	if err := <-acked; err != nil {
		return s, err
	}
	s.took = time.Since(began)
	after, err := usageOf(os.Getpid(), 0)
	s.spent(before, after)
	return s, err
}

// produceAll hands over n records as those of the table: same keys, values and headers.
func produceAll(ctx context.Context, producer *ck.Producer, name string, n int) error {
	m := kafkasync.Message{
		Op: kafkasync.Updated, Pipeline: "bench", Table: "public.products", Seq: time.Now().UnixMicro(),
		Committed: time.Now(), Pos: "0/16B3748", Delay: 6 * time.Hour,
	}
	var record ck.Message
	record.TopicPartition = ck.TopicPartition{Topic: &name, Partition: ck.PartitionAny}
	var headers []kafkasync.Header
	var values []byte
	for id := 1; id <= n; id++ {
		m.Seq++
		headers, values = m.AppendHeaders(headers[:0], values[:0])
		record.Headers = record.Headers[:0]
		for _, h := range headers {
			record.Headers = append(record.Headers, ck.Header(h))
		}
		record.Key = strconv.AppendInt(record.Key[:0], int64(id), 10)
		record.Value = append(strconv.AppendInt(append(record.Value[:0], `{"id":`...), int64(id), 10), '}')
		for {
			err := producer.Produce(&record, nil)
			if err == nil {
				break
			}
			if e, ok := err.(ck.Error); !ok || e.Code() != ck.ErrQueueFull || ctx.Err() != nil { //nolint:errorlint // never wrapped
				return fmt.Errorf("producing: %w", err)
			}
			producer.Flush(10) // its queue is full
		}
	}
	return nil
}

// awaitReports returns once n records are acknowledged.
func awaitReports(events <-chan ck.Event, n int) error {
	for n > 0 {
		switch e := (<-events).(type) {
		case *ck.Message:
			if e.TopicPartition.Error != nil {
				return fmt.Errorf("producing: %w", e.TopicPartition.Error)
			}
			n--
		case ck.Error:
			return fmt.Errorf("producing: %w", e)
		case nil:
			return fmt.Errorf("producing: the producer was closed with %d records not acknowledged", n)
		}
	}
	return nil
}
