package kafka

import (
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
