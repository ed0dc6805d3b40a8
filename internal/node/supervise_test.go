package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

// trial is a supervisor whose runs end as they are told to.
type trial struct {
	supervisor

	runs []time.Time
	said strings.Builder
}

func newTrial(run func(n int) error) *trial {
	t := &trial{}
	t.supervisor = supervisor{
		name: "shop",
		hold: func(ctx context.Context, _ string, fn func(context.Context, *raftstate.Lease) error) error {
			return fn(ctx, nil)
		},
		run: func(context.Context, pipeline.Lease) error {
			t.runs = append(t.runs, time.Now())
			return run(len(t.runs))
		},
		status: pipeline.NewStatus("shop"),
		log:    slog.New(slog.NewTextHandler(&t.said, nil)),
		orders: newOrders(),
	}
	return t
}

// superviseFor lets the supervisor run for a while of the bubble's time.
func (tr *trial) superviseFor(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tr.supervise(ctx)
}

func TestARunIsRepeatedWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(int) error { return errors.New("connection reset") })
		tr.superviseFor(t, 5*time.Minute)
		for i := 1; i < len(tr.runs); i++ {
			pause := tr.runs[i].Sub(tr.runs[i-1])
			if limit := min(firstPause<<(min(i, 10)-1), maxPause); pause > limit || pause < limit/2 {
				t.Errorf("got a pause of %v before run %d, want %v to %v", pause, i+1, limit/2, limit)
			}
		}
		if got := strings.Count(tr.said.String(), "connection reset"); got != 1 {
			t.Errorf("the same error was logged %d times, want once", got)
		}
		if got := tr.status.Snapshot(time.Now()); got.State != pipeline.Waiting || got.Restarts["retry"] == 0 {
			t.Errorf("got state %s with restarts %v, want waiting and retries counted", got.State, got.Restarts)
		}
	})
}

func TestARunThatHadRecoveredStartsAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(n int) error {
			if n == 8 {
				time.Sleep(recovered + time.Second) //nolint:forbidigo // the bubble's time: it has run well for so long
			}
			return errors.New("connection reset")
		})
		tr.superviseFor(t, 2*time.Minute)
		if pause := tr.runs[8].Sub(tr.runs[7]) - recovered - time.Second; pause > firstPause {
			t.Errorf("got a pause of %v, want at most %v", pause, firstPause)
		}
	})
}

func TestAStopIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(int) error {
			return &kafkasync.Fault{Class: kafkasync.Stop, What: "the slot is gone", Fix: "recover"}
		})
		tr.superviseFor(t, time.Hour)
		if len(tr.runs) != 1 {
			t.Errorf("got %d runs, want 1", len(tr.runs))
		}
		got := tr.status.Snapshot(time.Now())
		if got.State != pipeline.Stopped || !strings.Contains(got.Error, "to fix: recover") {
			t.Errorf("got %s %q, want stopped with the fix", got.State, got.Error)
		}
	})
}

func TestALostLeaseIsCountedAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(func(int) error { return raftstate.ErrFenced })
		tr.superviseFor(t, time.Second)
		if got := tr.status.Snapshot(time.Now()); got.Restarts["lease"] == 0 {
			t.Errorf("got restarts %v, want the cause lease", got.Restarts)
		}
	})
}

// The status of the node that leads says how the pipeline is.
func TestALeaderThatIsOneNoMoreSaysNothingOfThePipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.run = func(context.Context, pipeline.Lease) error {
			err := fmt.Errorf("preparing the topics: %w", raftstate.ErrLeadershipLost)
			tr.status.SetState(pipeline.Waiting, err) // as the pipeline does
			return err
		}
		tr.superviseFor(t, time.Minute)
		if got := tr.status.Snapshot(time.Now()); got.State != pipeline.Starting || got.Error != "" || got.LagSeconds != -1 || got.Restarts["lease"] == 0 {
			t.Errorf("got %+v, want it to wait for the next lease, no lag, and the restart counted", got)
		}
	})
}

func TestWhatBecomesOfThePipelineIsSaidByTheClassOfTheError(t *testing.T) {
	for class, want := range map[kafkasync.Class]string{
		kafkasync.Retry: `level=WARN msg="the pipeline starts again"`,
		kafkasync.Wait:  `level=WARN msg="the pipeline waits"`,
		kafkasync.Stop:  `level=ERROR msg="the pipeline has stopped"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(func(int) error { return &kafkasync.Fault{Class: class, What: "it is so"} })
			tr.superviseFor(t, time.Minute)
			if got := tr.said.String(); strings.Count(got, "msg=") != 1 || !strings.Contains(got, want) {
				t.Errorf("class %s: got %q, want one line with %q", class, got, want)
			}
		})
	}
}

func TestAKafkaThatIsAwayIsLoggedOnceAndShownEachTime(t *testing.T) {
	var said strings.Builder
	status := pipeline.NewStatus("shop")
	status.SetState(pipeline.Streaming, nil)
	notify := stalled(status, slog.New(slog.NewTextHandler(&said, nil)))
	lines := func() int { return strings.Count(said.String(), "msg=") }
	for outage := 1; outage <= 2; outage++ {
		for _, err := range []error{errors.New("acknowledged nothing for 1s"), errors.New("unreachable"), errors.New("unreachable")} {
			notify(err)
			if got := status.Snapshot(time.Now()); got.State != pipeline.Waiting || got.Error != err.Error() {
				t.Errorf("got state %s with %q, want waiting with %q", got.State, got.Error, err)
			}
			if got, want := lines(), 2*outage-1; got != want {
				t.Errorf("outage %d, %v: got %d lines, want %d", outage, err, got, want)
			}
		}
		for range 2 {
			notify(nil)
		}
		if got := status.Snapshot(time.Now()); got.State != pipeline.Streaming || got.Error != "" {
			t.Errorf("got state %s with %q, want streaming", got.State, got.Error)
		}
		if got, want := lines(), 2*outage; got != want {
			t.Errorf("after outage %d: got %d lines, want %d", outage, got, want)
		}
	}
	want := `level=WARN msg="the pipeline waits for Kafka" err="acknowledged nothing for 1s"`
	if strings.Count(said.String(), want) != 2 || strings.Count(said.String(), `level=INFO msg="Kafka answers again"`) != 2 {
		t.Errorf("got %s, want a warning and an end for each outage", said.String())
	}
}
