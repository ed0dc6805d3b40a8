package devstack_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

func TestKafkaKeepsItsRecordsAndAddressOverStopAndKill(t *testing.T) {
	install(t, devstack.ComponentKafka)
	k, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{
		Settings: map[string]string{"num.partitions": "1"},
		Java:     []string{"-XX:TieredStopAtLevel=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	addr := k.Brokers()
	produce(t, addr, "before")
	for _, stop := range []func() error{k.Stop, k.Kill} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := first(t, addr); got != "before" || k.Brokers() != addr {
			t.Errorf("got %q at %s, want before at %s", got, k.Brokers(), addr)
		}
	}
	if !strings.Contains(k.Log(), "Kafka Server started") {
		t.Errorf("log: got %q, want what the server printed", k.Log())
	}
}

func produce(t *testing.T, addr, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func first(t *testing.T, addr string) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("kept"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fetches := client.PollRecords(t.Context(), 1)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	return string(fetches.Records()[0].Value)
}

func TestKafkaThatDoesNotStartShowsItsLog(t *testing.T) {
	install(t, devstack.ComponentKafka)
	_, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{Settings: map[string]string{"num.partitions": "-1"}})
	if err == nil || !strings.Contains(err.Error(), "num.partitions") {
		t.Errorf("got %v, want what the server said", err)
	}
}
