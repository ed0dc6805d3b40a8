package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

func TestDeadLettersAreListedAndSentBack(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "products", "products-dead"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]
	sent := messages()[:4]
	publish(t, broker, sent)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("products"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	// Beside the letters lie somebody else's.
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "products-dead", Value: []byte("not a letter")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c, err := consumer.New(consumer.Config{
		Brokers: []string{broker}, Topics: []string{"products"}, Name: "indexer", DeadLetters: "products-dead", Retries: 1, RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	run, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(run, consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
			var failed []error
			for _, m := range batch {
				failed = append(failed, consumer.Failed(m, errors.New("the row\nis too large")))
			}
			return errors.Join(failed...)
		}))
	}()
	for done := false; !done; {
		p := c.Status().Partitions
		done = len(p) == 1 && p[0].Done == 4
		select {
		case <-time.After(10 * time.Millisecond):
		case err := <-ended:
			t.Fatalf("the consumer has ended: %v", err)
		}
	}
	cancel()
	<-ended

	got := command(t.Context(), "dlq", "list", "products-dead", "--brokers", broker)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.exit != 0 || len(lines) == 0 || !strings.Contains(lines[len(lines)-1], `  indexer  products 0@2  ["a<b",7]  {"tenant":"a<b","line":7}  2 attempts  the row is too large`) {
		t.Errorf("got %+v, want a line for each row, the last of products 0@2", got)
	}
	if want := "the topic also has 1 record without the headers of a dead letter"; !strings.Contains(got.stderr, want) {
		t.Errorf("got %q, want %q: somebody else's is there", got.stderr, want)
	}
	got = command(t.Context(), "dlq", "list", "products-dead", "-c", settingsOf(t, broker), "--json", "--limit", "1", "--topic", "products", "--consumer", "indexer", "--since", "2026-01-01T00:00:00Z")
	var one map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &one); got.exit != 0 || err != nil || one["topic"] != "products" || one["attempts"] != 2.0 || one["error"] != "the row\nis too large" {
		t.Errorf("got %+v, want one object", got)
	}
	for _, filter := range [][]string{{"--topic", "orders"}, {"--consumer", "cache"}, {"--since", "2100-01-01T00:00:00Z"}} {
		if got := command(t.Context(), append([]string{"dlq", "list", "products-dead", "--brokers", broker}, filter...)...); got.exit != 0 || got.stdout != "" {
			t.Errorf("%s: got %+v, want nothing", filter, got)
		}
	}

	got = command(t.Context(), "dlq", "redrive", "products-dead", "--brokers", broker)
	if got.exit != 1 || !strings.Contains(got.stderr, "Nothing has been done") || strings.Count(got.stdout, "\n") != len(lines) {
		t.Errorf("without --yes: got %+v, want the list and exit status 1", got)
	}
	got = command(t.Context(), "dlq", "redrive", "products-dead", "--brokers", broker, "--yes")
	if want := "sent back.\n"; got.exit != 0 || !strings.HasSuffix(got.stdout, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	var records []*kgo.Record
	for len(records) < len(sent)+len(lines) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		fetched := client.PollFetches(ctx)
		cancel()
		if err := fetched.Err(); err != nil {
			t.Fatalf("got %d records: %v", len(records), err)
		}
		records = append(records, fetched.Records()...)
	}
	before, after := records[2], records[len(records)-1]
	same := slices.EqualFunc(before.Headers, after.Headers, func(a, b kgo.RecordHeader) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) })
	if string(before.Key) != string(after.Key) || string(before.Value) != string(after.Value) || !same {
		t.Errorf("got %s %s %v back, want %s %s %v", after.Key, after.Value, after.Headers, before.Key, before.Value, before.Headers)
	}

	got = command(t.Context(), "dlq", "list", "nosuch", "--brokers", broker)
	if got.exit != 1 || !strings.Contains(got.stderr, "has no topic nosuch") {
		t.Errorf("a topic that does not exist: got %+v, want a failure that says so", got)
	}
	for _, wrong := range [][]string{{"--since", "yesterday"}, {"--limit", "-1"}} {
		if got := command(t.Context(), append([]string{"dlq", "list", "products-dead", "--brokers", broker}, wrong...)...); got.exit != 2 {
			t.Errorf("%s: got %+v, want wrong usage", wrong, got)
		}
	}
}
