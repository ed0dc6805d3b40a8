package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

func TestABarrierWaitsUntilAllIsDone(t *testing.T) {
	s := newStage(t, 3) // of which one stays empty
	s.publish(t, 0, 0, 100)
	s.publish(t, 1, 0, 10)
	soon := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		return consumer.Barrier(ctx, s.config())
	}
	if err := soon(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v of a consumer that has never run, want that the time is over", err)
	}
	open := make(chan struct{})
	run(t, s.config(), consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
		if batch[0].Partition == 1 {
			<-open
		}
		return nil
	}))
	eventually(t, "one partition is done", func() bool { return s.committed(t, 3)[0] == 100 })
	if err := soon(); err == nil || !strings.Contains(err.Error(), "offset 10 of partition 1") || strings.Contains(err.Error(), "partition 0") {
		t.Errorf("got %v, want that partition 1 is behind", err)
	}
	passed := make(chan error, 1)
	go func() { passed <- consumer.Barrier(t.Context(), s.config()) }()
	close(open)
	select {
	case err := <-passed:
		if err != nil {
			t.Error(err)
		}
		if got := s.committed(t, 3)[1]; got != 10 {
			t.Errorf("the barrier was passed with %d of 10 done", got)
		}
	case <-time.After(patience):
		t.Error("the barrier does not open")
	}
	cfg := s.config()
	cfg.Topics = []string{"nobody-has-made-this"}
	if err := consumer.Barrier(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "nobody-has-made-this") {
		t.Errorf("got %v for a topic that is not there, want an error that names it", err)
	}
}

func TestLagIsShownAndAConsumerThatIsEndedCanBeReset(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 10)
	lag := func() (behind int64, begun bool) {
		t.Helper()
		all, err := consumer.Lag(t.Context(), s.config())
		if err != nil || len(all) != 2 || all[0].Partition != 0 || all[0].Topic != s.topic {
			t.Fatalf("got %+v (%v), want both partitions", all, err)
		}
		return all[0].Behind() + all[1].Behind(), all[0].Done >= 0
	}
	if behind, begun := lag(); behind != 10 || begun {
		t.Errorf("before it began: got %d behind, begun %t, want 10, false", behind, begun)
	}
	var first recorder
	c := run(t, s.config(), &first)
	eventually(t, "all is done", func() bool { return s.committed(t, 2)[0] == 10 })
	if behind, begun := lag(); behind != 0 || !begun {
		t.Errorf("afterwards: got %d behind, begun %t, want 0, true", behind, begun)
	}
	if _, err := consumer.Reset(t.Context(), s.config(), consumer.Earliest()); err == nil || !strings.Contains(err.Error(), "stop all of its processes") {
		t.Errorf("got %v while it runs, want that it has to be stopped", err)
	}
	_ = c.end(t)

	after, err := consumer.Reset(t.Context(), s.config(), consumer.Earliest())
	if err != nil || len(after) != 2 || after[0].Behind() != 10 {
		t.Fatalf("got %+v (%v), want 10 behind", after, err)
	}
	var second recorder
	c = run(t, s.config(), &second)
	eventually(t, "all is handed over again", func() bool { return len(second.all()) == 10 })
	_ = c.end(t)

	<-time.After(2 * time.Millisecond) // the clock of the records has milliseconds
	now := time.Now()
	s.publish(t, 0, 50, 3)
	if after, err = consumer.Reset(t.Context(), s.config(), consumer.At(now)); err != nil || after[0].Done != 10 {
		t.Errorf("at a time: got %+v (%v), want offset 10", after, err)
	}
	if after, err = consumer.Reset(t.Context(), s.config(), consumer.Latest()); err != nil || after[0].Done != 13 || after[0].Behind() != 0 {
		t.Errorf("latest: got %+v (%v), want offset 13", after, err)
	}
	s.publish(t, 0, 60, 1)
	var third recorder
	run(t, s.config(), &third)
	eventually(t, "what is new is handed over", func() bool { return len(third.all()) > 0 })
	if got := third.all(); len(got) != 1 || string(got[0].Key) != "60" {
		t.Errorf("got %+v, want row 60 alone", got)
	}
}
