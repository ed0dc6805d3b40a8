package kafka_test

import (
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestPublishOutlivesTheDeathOfTheBroker(t *testing.T) {
	devtest.Kafka(t) // installs it; the one that dies is our own
	broker, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	const records, keys = 200_000, 100
	cfg := kafka.Config{
		Brokers: []string{broker.Brokers()}, Topics: kafka.Topics{Create: true, Partitions: 3, Replication: 1},
		Properties: map[string]string{"reconnect.backoff.max.ms": "500"},
	}
	heard, acked := make(chan error, 1000), make(chan error, 1)
	s := open(t, cfg, kafka.Options{Notify: func(err error) { heard <- err }})
	if err := s.Publish(t.Context(), sinktest.Messages("products", 1, 1)); err != nil {
		t.Fatal(err)
	}
	msgs := sinktest.Messages("products", 2, records)
	for i := range msgs {
		msgs[i].Key = msgs[i%keys].Key
	}
	go func() { acked <- s.Publish(t.Context(), msgs) }()
	if err := broker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := next(t, heard, "a word about the death"); kafkasync.ClassOf(err) != kafkasync.Wait {
		t.Errorf("got told %v, want a fault of class wait", err)
	}
	if len(acked) > 0 {
		t.Fatalf("got %v from Publish while the broker was dead, want it to wait", <-acked)
	}
	if err := broker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next(t, acked, "Publish"); err != nil {
		t.Fatalf("got %v, want nil", err)
	}
	seen, last := make(map[int64]bool), make(map[string]int64)
	for _, r := range readFrom(t, cfg.Brokers, "products", records+1) {
		if seen[r.Seq] {
			t.Fatalf("got seq %d twice, want the idempotent producer to see to it", r.Seq)
		}
		seen[r.Seq] = true
		if key := string(r.Key); r.Seq <= last[key] {
			t.Fatalf("key %s: got seq %d after %d, want them to grow", key, r.Seq, last[key])
		} else {
			last[key] = r.Seq
		}
	}
	if len(seen) != records+1 {
		t.Errorf("got %d of the messages, want all %d", len(seen), records+1)
	}
}
