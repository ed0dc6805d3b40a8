package kafka_test

import (
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink/kafka"
	"github.com/kafkasync/kafkasync/sink/sinktest"
)

func TestTheBrokersClockIsHeardOfWhereItIsInTheRecords(t *testing.T) {
	for _, kind := range []string{"LogAppendTime", "CreateTime"} {
		t.Run(kind, func(t *testing.T) {
			topic := devtest.Topic(t)
			createTopic(t, topic, 3, map[string]string{"message.timestamp.type": kind})
			heard := make(chan time.Time, 1000)
			s := open(t, settings(t), kafka.Options{Appended: func(at time.Time) { heard <- at }})
			before := time.Now().Truncate(time.Millisecond) // the brokers of a test have our clock
			for i := range 10 {
				if err := s.Publish(t.Context(), sinktest.Messages(topic, int64(1+100*i), 100)); err != nil {
					t.Fatal(err)
				}
			}
			after := time.Now()
			if err := s.Close(); err != nil { // from then on nobody is told anything
				t.Fatal(err)
			}
			close(heard)
			if got := len(heard); (got > 0) != (kind == "LogAppendTime") {
				t.Errorf("got told %d times, want it only of LogAppendTime", got)
			}
			for at := range heard {
				if at.Before(before) || at.After(after) {
					t.Errorf("got %s, want a time from %s to %s", at, before, after)
				}
			}
		})
	}
}
