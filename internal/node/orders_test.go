package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

// supervised runs the supervisor until the test says so.
func (tr *trial) supervised(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tr.supervise(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// untilInterrupted is a run without an end.
func (tr *trial) untilInterrupted() {
	tr.run = func(ctx context.Context, _ pipeline.Lease) error {
		tr.runs = append(tr.runs, time.Now())
		tr.status.SetState(pipeline.Streaming, nil)
		<-ctx.Done()
		return context.Cause(ctx)
	}
}

func nothing(context.Context, *raftstate.Lease) error { return nil }

func TestAnOrderInterruptsTheRunAndSupervisionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		defer tr.supervised(t)()
		synctest.Wait()
		var while int
		err := tr.orders.give(t.Context(), func(context.Context, *raftstate.Lease) error {
			while = len(tr.runs)
			return errors.New("it went wrong")
		}, nil)
		if err == nil || err.Error() != "it went wrong" || while != 1 {
			t.Errorf("got %v after %d runs, want the order's own error after one", err, while)
		}
		synctest.Wait()
		if got := tr.status.Snapshot(time.Now()); len(tr.runs) != 2 || got.State != pipeline.Streaming || len(got.Restarts) != 0 {
			t.Errorf("got %d runs, %s, restarts %v, want a second one at once, and no restart counted", len(tr.runs), got.State, got.Restarts)
		}
		if tr.said.String() != "" {
			t.Errorf("got %q, want nothing to be said of the interruption", tr.said.String())
		}
	})
}

func TestAnOrderEndsAPauseAndAStop(t *testing.T) {
	for name, class := range map[string]kafkasync.Class{"a pause": kafkasync.Wait, "a stop": kafkasync.Stop} {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(func(int) error { return &kafkasync.Fault{Class: class, What: "the slot is gone"} })
			defer tr.supervised(t)()
			synctest.Wait()
			if len(tr.runs) != 1 {
				t.Fatalf("%s: got %d runs, want 1", name, len(tr.runs))
			}
			tr.untilInterrupted()
			if err := tr.orders.give(t.Context(), nothing, nil); err != nil {
				t.Errorf("%s: got %v", name, err)
			}
			synctest.Wait()
			if len(tr.runs) != 2 || !tr.runs[1].Equal(tr.runs[0]) {
				t.Errorf("%s: got runs at %v, want a second one at once", name, tr.runs)
			}
		})
	}
}

func TestOrdersAreCarriedOutOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		defer tr.supervised(t)()
		release, first := make(chan struct{}), make(chan error, 1)
		go func() {
			first <- tr.orders.give(t.Context(), func(context.Context, *raftstate.Lease) error {
				<-release
				return nil
			}, nil)
		}()
		synctest.Wait()
		if err := tr.orders.give(t.Context(), nothing, nil); !errors.Is(err, errBusy) {
			t.Errorf("got %v for a second order, want errBusy", err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Errorf("got %v for the first order", err)
		}
		if err := tr.orders.give(t.Context(), nothing, nil); err != nil {
			t.Errorf("got %v for an order after it", err)
		}
	})
}

func TestAnOrderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		defer tr.supervised(t)()
		began := time.Now()
		err := tr.orders.give(t.Context(), func(ctx context.Context, _ *raftstate.Lease) error {
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		if !errors.Is(err, errLate) || time.Since(began) != orderLimit {
			t.Errorf("got %v after %s, want errLate after %s", err, time.Since(began), orderLimit)
		}
	})
}

func TestAnOrderThatBeganIsCarriedOutAlthoughNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		defer tr.supervised(t)()
		ctx, leave := context.WithCancel(t.Context())
		err := tr.orders.give(ctx, func(ctx context.Context, _ *raftstate.Lease) error {
			leave()
			synctest.Wait()
			return ctx.Err()
		}, nil)
		if err != nil {
			t.Errorf("got %v, want the order to be carried out", err)
		}
	})
}

func TestAnOrderAtTheEndOfTheNodeIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		stop := tr.supervised(t)
		under := make(chan struct{})
		answered := make(chan error, 1)
		go func() {
			answered <- tr.orders.give(t.Context(), func(ctx context.Context, _ *raftstate.Lease) error {
				close(under)
				<-ctx.Done()
				return ctx.Err()
			}, nil)
		}()
		<-under
		stop()
		if err := <-answered; !errors.Is(err, raftstate.ErrStopped) {
			t.Errorf("got %v for an order under way, want ErrStopped", err)
		}
		if err := tr.orders.give(t.Context(), nothing, nil); !errors.Is(err, raftstate.ErrStopped) {
			t.Errorf("got %v for one after the end, want ErrStopped", err)
		}
	})
}

func TestAfterAnOrderThatEndsThePipelineItStaysStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(nil)
		tr.untilInterrupted()
		defer tr.supervised(t)()
		dropped := errors.New("it was dropped")
		if err := tr.orders.give(t.Context(), func(context.Context, *raftstate.Lease) error { return errors.New("not yet") }, dropped); err == nil {
			t.Error("got no error from an order that failed")
		}
		synctest.Wait()
		if got := tr.status.Snapshot(time.Now()).State; got != pipeline.Streaming {
			t.Errorf("got %s after an order that failed, want streaming", got)
		}
		if err := tr.orders.give(t.Context(), nothing, dropped); err != nil {
			t.Errorf("got %v", err)
		}
		if err := tr.orders.give(t.Context(), nothing, nil); !errors.Is(err, dropped) {
			t.Errorf("got %v for another order, want to hear that it was dropped", err)
		}
		got := tr.status.Snapshot(time.Now())
		if got.State != pipeline.Stopped || got.Error != dropped.Error() || len(tr.runs) != 2 {
			t.Errorf("got %s %q after %d runs, want stopped, dropped, and no run after the order", got.State, got.Error, len(tr.runs))
		}
	})
}
