// Package kafka makes messages durable in Apache Kafka.
//
// It promises that Publish returns nil only when every message has been
// acknowledged by all in-sync replicas, that messages of one key keep their
// order, and that what is in flight is bounded in bytes, librdkafka's overhead
// included. It never gives a message up while Kafka is away (it waits, and says
// so), never lets a broker create a topic by its own default, and never uses a
// producer again once something has failed.
//
// Two goroutines matter. The caller's, inside Publish, owns the Sink and hands
// records to librdkafka, some hundreds in one call. The watcher, which lives from
// Open to Close, takes reports and log lines from librdkafka, many records'
// reports at once. They share nothing but the window.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
	"github.com/kafkasync/kafkasync/sink"
)

// DefaultInFlight is how many bytes a Sink keeps unacknowledged by default.
const DefaultInFlight = 16 << 20

var _ sink.Sink = (*Sink)(nil)

var errClosed = errors.New("the sink is closed")

// Options are what a Sink needs of the program around it.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	// Notify, if set, is called inside Publish, in its goroutine: with the
	// reason, a *kafkasync.Fault, once Kafka has acknowledged nothing for a
	// second although something waits, each further second, and with nil when
	// it goes on. It must not block.
	Notify func(error)
	// Appended, if set, is called in the watcher's goroutine with the brokers' time
	// of an acknowledged record, where its topic has LogAppendTime: the newest of those
	// that were reported at once. It must not block. A record that was sent again, because an
	// answer got lost, shows the time of its first arrival, so a single one may lie in the past.
	Appended func(at time.Time)
	// InFlight bounds the bytes that are not acknowledged yet, librdkafka's own
	// overhead included. 0: DefaultInFlight.
	InFlight int64
}

// Sink publishes to Kafka. It is for one goroutine.
type Sink struct {
	cfg    Config
	log    *slog.Logger
	notify func(error)
	bound  int64

	producer *rdkafka.Producer
	admin    *ck.AdminClient // a client of its own, for topics
	window   *window
	watched  chan struct{} // closed when the watcher has ended
	broken   error         // the first failure; nothing is published after it

	topics map[string]*rdkafka.Topic // known to exist
	last   *rdkafka.Topic            // the topic of the message before
	stall  stall
	batch  batch
}

// Open makes a producer. It does not wait for Kafka: Publish does. Settings
// that librdkafka does not take are a Fault of class Stop.
func Open(_ context.Context, cfg Config, opts Options) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, &kafkasync.Fault{Class: kafkasync.Stop, What: "the settings of Kafka are wrong", Fix: "correct them in the file", Err: err}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Notify == nil {
		opts.Notify = func(error) {}
	}
	if opts.Appended == nil {
		opts.Appended = func(time.Time) {}
	}
	if opts.InFlight == 0 {
		opts.InFlight = DefaultInFlight
	}
	producer, err := rdkafka.NewProducer(cfg.producer(opts.InFlight))
	if err != nil {
		return nil, &kafkasync.Fault{
			Class: kafkasync.Stop, What: "librdkafka does not take the settings under kafka.config",
			Fix: "correct them in the file", Err: err,
		}
	}
	admin, err := ck.NewAdminClient(rdkafka.AdminConfig("kafkasync", cfg.Brokers, cfg.Properties))
	if err != nil {
		producer.Close()
		return nil, fmt.Errorf("opening Kafka's admin client: %w", err)
	}
	s := &Sink{
		cfg: cfg, log: opts.Logger, notify: opts.Notify, bound: opts.InFlight,
		producer: producer, admin: admin, window: newWindow(), watched: make(chan struct{}),
		topics: make(map[string]*rdkafka.Topic),
	}
	go func() {
		defer close(s.watched)
		watch(producer, s.window, s.log, opts.Appended)
	}()
	return s, nil
}

// Close gives up what is not yet acknowledged and frees the connections. It
// must not run beside Publish.
func (s *Sink) Close() error {
	if errors.Is(s.broken, errClosed) {
		return nil
	}
	s.broken = errClosed
	rdkafka.Release(s.admin.Close)
	s.window.closed.Store(true)
	s.producer.Interrupt() // so that the watcher sees it
	<-s.watched
	s.producer.Close()
	return nil
}

// stall notices that Kafka has stopped acknowledging. Publish's goroutine owns it.
type stall struct {
	acked int64     // as of since
	since time.Time // when that was first seen
	told  time.Time // when Notify last heard of it; zero: it has not
}
