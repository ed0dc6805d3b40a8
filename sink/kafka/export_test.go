package kafka

import (
	"log/slog"
	"testing"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// InjectFatal makes librdkafka raise the fatal error of an idempotent producer that lost its place.
func (s *Sink) InjectFatal(t *testing.T) {
	t.Helper()
	if code := s.producer.TestFatalError(ck.ErrOutOfOrderSequenceNumber, "injected by a test"); code != ck.ErrNoError {
		t.Fatalf("injecting a fatal error: %v", code)
	}
}

// Write logs lines of librdkafka as the watcher of one sink does.
func Write(log *slog.Logger, lines []ck.LogEvent) {
	j := journal{log: log}
	for _, line := range lines {
		j.add(line)
	}
}

// Producer returns what librdkafka is told.
func (c Config) Producer() ck.ConfigMap { return *c.producer(DefaultInFlight) }
