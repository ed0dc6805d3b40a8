package kafka_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestWhatLibrdkafkaSaysIsLoggedByHowMuchItMatters(t *testing.T) {
	const retrying = "Failed to acquire idempotence PID from broker 127.0.0.1:9092/bootstrap: Broker handle destroyed without termination: retrying"
	pid := func(after time.Duration) ck.LogEvent {
		return ck.LogEvent{Tag: "GETPID", Level: 4, Message: retrying, Timestamp: time.Unix(1000, 0).Add(after)}
	}
	var everyHalfSecond []ck.LogEvent
	for i := range 21 {
		everyHalfSecond = append(everyHalfSecond, pid(time.Duration(i)*time.Second/2))
	}
	tests := []struct {
		name  string
		lines []ck.LogEvent
		last  string // the level of the last line; those before it are debug
	}{
		{"an error", []ck.LogEvent{{Tag: "FAIL", Level: 3}}, "WARN"},
		{"a warning", []ck.LogEvent{{Tag: "FAIL", Level: 4}}, "WARN"},
		{"a notice", []ck.LogEvent{{Tag: "GETSUBSCRIPTIONS", Level: 6}}, "INFO"},
		{"debugging", []ck.LogEvent{{Tag: "BROKER", Level: 7}}, "DEBUG"},
		{"a partition without a leader", []ck.LogEvent{{Tag: "METADATAUPDATE", Level: 4, Message: "Partition products(AAAA)[0]: new leader-1 not found in cache"}}, "DEBUG"},
		{"no id for the producer at first", []ck.LogEvent{pid(0)}, "DEBUG"},
		{"no id for the producer for ten seconds", everyHalfSecond, "WARN"},
		{"no id for the producer, again after an hour", []ck.LogEvent{pid(0), pid(time.Hour)}, "DEBUG"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			kafka.Write(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), test.lines)
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			for i, line := range lines {
				want := "DEBUG"
				if i == len(lines)-1 {
					want = test.last
				}
				if !strings.Contains(line, "level="+want) {
					t.Errorf("line %d: got %s, want level %s", i+1, line, want)
				}
			}
			if len(lines) != len(test.lines) {
				t.Errorf("got %d lines, want %d", len(lines), len(test.lines))
			}
		})
	}
}

func TestAHealthyStartIsQuiet(t *testing.T) {
	var out bytes.Buffer
	s, err := kafka.Open(t.Context(), settings(t), kafka.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), sinktest.Messages(devtest.Topic(t), 1, 10)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // from then on nobody writes to out
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("got %s, want nothing", out.String())
	}
}
