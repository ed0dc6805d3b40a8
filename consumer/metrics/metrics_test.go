package metrics_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/consumer/metrics"
)

func TestMetricsShowWhatIsDoneAndWhatFails(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "products"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for partition, n := range map[int32]int{0: 3, 1: 1} {
		for range n {
			r := &kgo.Record{Topic: "products", Partition: partition, Key: []byte("1"), Value: []byte(`{"id":1}`)}
			for name, value := range map[string]string{"op": "u", "pipeline": "shop", "table": "public.products", "seq": "1", "ts": "1763721000250"} {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
			}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := consumer.New(consumer.Config{Brokers: cluster.ListenAddrs(), Topics: []string{"products"}, Name: "indexer", RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
			if batch[0].Partition == 1 {
				return errors.New("the index is read-only")
			}
			return nil
		}))
	}()
	defer func() {
		cancel()
		<-ended
	}()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.Of("indexer", c))
	value := func(what, partition string) float64 {
		t.Helper()
		found, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range found {
			for _, m := range family.GetMetric() {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				if family.GetName() == "kafkasync_consumer_"+what && labels["partition"] == partition && labels["consumer"] == "indexer" {
					return m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		return -1
	}
	for deadline := time.Now().Add(time.Minute); value("done_offset", "0") < 3 || value("failing_attempts", "1") < 1; {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until one partition is done and the other one fails: %+v", c.Status())
		}
		<-time.After(10 * time.Millisecond)
	}
	for _, test := range []struct {
		what, partition string
		want            float64
	}{
		{"up", "", 1},
		{"dead_letters_total", "", 0},
		{"done_offset", "0", 3},
		{"done_offset", "1", 0},
		{"failing_seconds", "0", 0},
		{"failing_attempts", "0", 0},
		{"stuck", "0", 0},
		{"stuck", "1", 0},
	} {
		if got := value(test.what, test.partition); got != test.want {
			t.Errorf("%s of partition %q: got %v, want %v", test.what, test.partition, got, test.want)
		}
	}
	if got := value("failing_seconds", "1"); got <= 0 {
		t.Errorf("got a failure of %v seconds, want some", got)
	}
}
