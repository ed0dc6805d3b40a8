package delayer

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/tail"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

func TestMain(m *testing.M) { devtest.Main(m) }

func TestSmoke(t *testing.T) {
	brokers := []string{devtest.Kafka(t).Brokers()}
	topic := devtest.Topic(t)
	clock := NewClock(time.Now)
	open := func(ctx context.Context) (sink.Sink, error) {
		return kafka.Open(ctx, kafka.Config{Brokers: brokers, Topics: kafka.Topics{Create: true, Partitions: 3}}, kafka.Options{Appended: clock.Appended})
	}
	out, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pair, err := out.(sink.Locator).Locate(t.Context(), topic, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var msgs []kafkasync.Message
	for i := range 1000 {
		msgs = append(msgs, kafkasync.Message{
			Topic: topic, Key: fmt.Appendf(nil, "%d", i%500), Value: fmt.Appendf(nil, `{"id":%d}`, i%500), Op: 'u', Pipeline: "shop", Table: "public.t",
			Seq: int64(i + 1), Committed: time.Now(), Pos: "0/1", Delay: 2 * time.Second,
		})
	}
	if err := out.Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{
		Name: topic, Delay: 2 * time.Second, Brokers: brokers, Clock: clock,
		Pairs:    func() ([]kafkasync.Pair, <-chan struct{}) { return []kafkasync.Pair{pair}, nil },
		OpenSink: open, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	n := 0
	err = tail.Run(ctx, tail.Options{Brokers: brokers, Topic: topic, FromBeginning: true}, func(m kafkasync.Message) error {
		if m.Delayed != 0 {
			n++
		}
		return nil
	})
	fmt.Println(n, err, strings.Repeat("-", 10), <-done)
	fmt.Println(d.Status().Snapshot())
}
