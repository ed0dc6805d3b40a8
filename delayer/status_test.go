package delayer

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// While Kafka is away nothing can be looked at, and nothing is re-sent.
func TestWhatWaitsBecomesLaterWhileKafkaIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(slog.New(slog.DiscardHandler))
		overdue := func(want ...time.Duration) {
			t.Helper()
			counts, _ := s.Snapshot()
			for i, c := range counts {
				if c.Overdue != want[i] {
					t.Errorf("%s: got it overdue by %s, want %s", c.Topic, c.Overdue, want[i])
				}
			}
		}
		due := time.Now()
		found := map[string]backlog{"a late": {next: due, overdue: 2 * time.Second}, "b soon": {next: due, overdue: -5 * time.Second}, "c nothing": {}}
		s.surveyed(found)
		<-time.After(time.Minute)
		overdue(2*time.Second, 0, 0) // as of the last look: since then it may have been re-sent
		s.unsurveyed(errors.New("away"))
		overdue(62*time.Second, 55*time.Second, 0)
		s.surveyed(found)
		overdue(2*time.Second, 0, 0)
	})
}
