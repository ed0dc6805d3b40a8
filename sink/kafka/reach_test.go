package kafka_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

// mute takes connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return l.Addr().String()
}

func TestWhetherKafkaIsReached(t *testing.T) {
	_, answers := fake(t)
	_, refuses := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "cdc", "another"))
	silent := mute(t)
	tests := []struct {
		name        string
		cfg         kafka.Config
		limit       time.Duration
		says        string // "" if it is reached
		unreachable bool
	}{
		{"a broker answers", answers, time.Minute, "", false},
		{"nobody listens", kafka.Config{Brokers: []string{"127.0.0.1:1"}}, time.Second, "Kafka at 127.0.0.1:1 is unreachable", true},
		{"a broker is silent", kafka.Config{Brokers: []string{silent}}, time.Second, "Kafka at " + silent + " is unreachable", true},
		{"a broker refuses the login", login(refuses, secret), 2 * time.Second, "refuses the login", false},
		{"there are no brokers", kafka.Config{}, time.Second, "correct them in the file", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			defer cancel()
			err := kafka.Reach(ctx, tt.cfg)
			if tt.says == "" {
				if err != nil {
					t.Errorf("got %v, want that it is reached", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || kafkasync.Unreachable(err) != tt.unreachable {
				t.Errorf("got %v, unreachable %t, want %s, unreachable %t", err, kafkasync.Unreachable(err), tt.says, tt.unreachable)
			}
		})
	}
}
