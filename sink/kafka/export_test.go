package kafka

import (
	"log/slog"
	"testing"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// InjectFatal makes librdkafka raise the fatal error of an idempotent producer that lost its place.
func (s *Sink) InjectFatal(t *testing.T) {
	t.Helper()
	if err := s.producer.InjectFatalError(ck.ErrOutOfOrderSequenceNumber, "injected by a test"); err != nil {
		t.Fatalf("injecting a fatal error: %v", err)
	}
}

// Held returns how many bytes are in flight.
func (s *Sink) Held() int64 { return s.window.held.Load() }

// Write logs lines of librdkafka as the watcher of one sink does.
func Write(log *slog.Logger, lines []ck.LogEvent) {
	j := journal{log: log}
	for _, line := range lines {
		j.add(line)
	}
}

// Producer returns what librdkafka is told.
func (c Config) Producer() map[string]string { return c.producer(DefaultInFlight) }

// Forbidden is forbidden, of which a broker without an authorizer shows nothing.
func Forbidden(allowed []ck.ACLOperation, t Topic) (what, why string) { return forbidden(allowed, t) }
