package rdkafka_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// counted returns a client that asks, and what tells how often it has tried to connect: of a broker
// that is not there, nobody else hears that. It looks again first.
func counted(t *testing.T, brokers []string) (*ck.AdminClient, func() int) {
	t.Helper()
	config := ck.ConfigMap{"statistics.interval.ms": 50}
	maps.Copy(config, *rdkafka.AdminConfig("test", brokers, nil))
	producer, err := ck.NewProducer(&config)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := ck.NewAdminClientFromProducer(producer)
	if err != nil {
		t.Fatal(err)
	}
	looks := make(chan string)
	go func() {
		defer close(looks)
		for event := range producer.Events() {
			if stats, ok := event.(*ck.Stats); ok {
				select {
				case looks <- stats.String():
				default: // nobody asks
				}
			}
		}
	}()
	t.Cleanup(func() {
		rdkafka.Release(admin.Close)
		producer.Close()
		<-looks
	})
	return admin, func() (sum int) {
		t.Helper()
		var look struct {
			Brokers map[string]struct{ Connects int }
		}
		if err := json.Unmarshal([]byte(<-looks), &look); err != nil {
			t.Fatal(err)
		}
		for _, b := range look.Brokers {
			sum += b.Connects
		}
		return sum
	}
}

func TestAQuestionThatWaitsForABrokerDoesNotConnectAgainWithoutAPause(t *testing.T) {
	cluster := broker(t, 2)
	admin, connects := counted(t, cluster.ListenAddrs())
	o := &rdkafka.Offsets{Admin: admin}
	questions := []struct {
		name string
		ask  func(context.Context) error
	}{
		{"which partitions there are", func(ctx context.Context) error {
			_, err := o.Partitions(ctx, []string{"products"})
			return err
		}},
		{"which offset a time has", func(ctx context.Context) error {
			_, err := o.At(ctx, "products", 0, time.Now())
			return err
		}},
	}
	for _, q := range questions {
		if err := q.ask(t.Context()); err != nil {
			t.Fatalf("asking %s: %v", q.name, err)
		}
	}
	cluster.Close()
	for _, q := range questions {
		before := connects()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if err := q.ask(ctx); err == nil {
			t.Errorf("asking %s: got no error, and the broker is away", q.name)
		}
		cancel()
		// 100 ms pass before the second, then about twice as long each time, up to a second.
		if tried := connects() - before; tried < 1 || tried > 20 {
			t.Errorf("asking %s: got %d connections tried in 2 s, want about 5", q.name, tried)
		}
	}
}

// late is a context that ends later than it says, so that librdkafka gives a question up first.
type late struct {
	context.Context //nolint:containedctx // it is one

	says time.Time
}

func (l late) Deadline() (time.Time, bool) { return l.says, true }

// librdkafka returns them as a success, with an offset of -1001.
func TestOffsetsThatNoBrokerHasToldAreAnError(t *testing.T) {
	cluster := broker(t, 2)
	admin, _ := counted(t, cluster.ListenAddrs())
	o := &rdkafka.Offsets{Admin: admin}
	partitions := []rdkafka.Standing{{Topic: "products", Number: 1}, {Topic: "products", Number: 0}}
	if ends, err := o.List(t.Context(), partitions, ck.LatestOffsetSpec); err != nil || !slices.Equal(ends, []int64{0, 0}) {
		t.Fatalf("got the ends %d, %v, want 0 and 0", ends, err)
	}
	cluster.Close()
	var failed ck.Error
	ends, err := o.List(late{t.Context(), time.Now().Add(200 * time.Millisecond)}, partitions, ck.LatestOffsetSpec)
	if !errors.As(err, &failed) || failed.Code() != ck.ErrTimedOut || !strings.Contains(err.Error(), "have not answered") {
		t.Errorf("got the ends %d, %v, want that it timed out", ends, err)
	}
}
