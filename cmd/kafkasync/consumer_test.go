package main_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

func TestAConsumersLagIsShownAndItIsReset(t *testing.T) {
	broker := embedded(t)
	if got := command(t.Context(), "consumer", "lag", "indexer", "--brokers", broker); got.exit != 1 || !strings.Contains(got.stderr, "no consumer named indexer") {
		t.Errorf("a consumer that nobody knows: got %+v, want a failure that says so", got)
	}
	publish(t, broker, messages()[:4])
	run, cancel := context.WithCancel(t.Context())
	c, err := consumer.New(consumer.Config{Brokers: []string{broker}, Topics: []string{"products"}, Name: "indexer"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(run, consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error { return nil }))
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
	if got := command(t.Context(), "consumer", "reset", "indexer", "--brokers", broker, "--to", "earliest", "--yes"); got.exit != 1 || !strings.Contains(got.stderr, "stop all of its processes") {
		t.Errorf("of one that runs: got %+v, want a failure with what helps", got)
	}
	cancel()
	<-ended
	publish(t, broker, messages()[4:6])

	got := command(t.Context(), "consumer", "lag", "indexer", "-c", settingsOf(t, broker))
	if want := "TOPIC     PARTITION  DONE  END  BEHIND\nproducts  0          4     6    2\n\n2 behind in 1 partition.\n"; got.exit != 0 || got.stdout != want {
		t.Errorf("got %+v, want\n%s", got, want)
	}
	got = command(t.Context(), "consumer", "reset", "indexer", "--brokers", broker, "--to", "earliest")
	if got.exit != 1 || !strings.Contains(got.stdout, "2 behind") || !strings.Contains(got.stderr, "Nothing has been done") {
		t.Errorf("without --yes: got %+v, want what there is, and exit status 1", got)
	}
	got = command(t.Context(), "consumer", "reset", "indexer", "--brokers", broker, "--to", "earliest", "--yes", "--json")
	var lines []map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &lines); got.exit != 0 || err != nil || len(lines) != 1 || lines[0]["behind"] != 6.0 || lines[0]["done"] != 0.0 {
		t.Errorf("got %+v, want one partition with 6 behind", got)
	}
	got = command(t.Context(), "consumer", "reset", "indexer", "--brokers", broker, "--to", "2100-01-01T00:00:00Z", "--topic", "products", "--yes")
	if got.exit != 0 || !strings.Contains(got.stdout, "0 behind") {
		t.Errorf("to a time that is to come: got %+v, want nothing behind", got)
	}
	for _, to := range []string{"yesterday", "", "1960-01-01T00:00:00Z"} {
		if got := command(t.Context(), "consumer", "reset", "indexer", "--brokers", broker, "--to", to); got.exit != 2 || !strings.Contains(got.stderr, "--to is earliest, latest, or a time") {
			t.Errorf("--to %q: got %+v, want wrong usage", to, got)
		}
	}
}

func publish(t *testing.T, broker string, msgs []kafkasync.Message) {
	t.Helper()
	sink, err := kafka.Open(t.Context(), kafka.Config{Brokers: []string{broker}}, kafka.Options{})
	if err != nil {
		t.Fatalf("opening the sink: %v", err)
	}
	defer sink.Close()
	if err := sink.Publish(t.Context(), msgs); err != nil {
		t.Fatalf("publishing: %v", err)
	}
}
