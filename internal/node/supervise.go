package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
	// A run that lasted this long had recovered: the next pause is short again.
	recovered = 30 * time.Second
)

// supervisor runs one pipeline again and again, each time under a new lease.
// It is the only place that retries a run. Nothing is skipped to get going:
// every run starts at the checkpoint, which only an operator's order moves by hand.
type supervisor struct {
	name   string
	hold   func(ctx context.Context, pipeline string, fn func(context.Context, *raftstate.Lease) error) error
	run    func(ctx context.Context, lease pipeline.Lease) error
	status *pipeline.Status
	log    *slog.Logger
	orders *orders
}

// supervise returns when ctx has ended.
func (s *supervisor) supervise(ctx context.Context) {
	defer s.orders.close()
	pause, said := firstPause, ""
	for ctx.Err() == nil {
		began := time.Now()
		o, err := s.runUntilOrdered(ctx)
		if o == nil && ctx.Err() == nil {
			if time.Since(began) > recovered {
				pause, said = firstPause, ""
			}
			if text := err.Error(); text != said { // once, however often it is tried
				s.report(ctx, err)
				said = text
			}
			o = s.rest(ctx, err, pause)
			pause = min(2*pause, maxPause)
		}
		if o != nil {
			s.obey(ctx, o)
			pause, said = firstPause, ""
		}
	}
}

// runUntilOrdered runs the pipeline until it fails, ctx ends, or an order
// interrupts it, which it returns.
func (s *supervisor) runUntilOrdered(ctx context.Context) (*order, error) {
	ctx, interrupt := context.WithCancelCause(ctx)
	received := make(chan *order, 1)
	go func() {
		defer close(received)
		if o := s.orders.next(ctx, nil); o != nil {
			received <- o
			interrupt(errOrdered)
		}
	}()
	err := s.hold(ctx, s.name, func(ctx context.Context, l *raftstate.Lease) error { return s.run(ctx, l) })
	interrupt(nil)
	return <-received, err
}

// rest shows what ended a run, and waits until the next one is due: for a pause,
// or until a person decides. An order ends it early.
func (s *supervisor) rest(ctx context.Context, err error, pause time.Duration) *order {
	class := kafkasync.ClassOf(err)
	if class == kafkasync.Stop {
		s.status.SetState(pipeline.Stopped, err)
		return s.orders.next(ctx, nil)
	}
	if errors.Is(err, raftstate.ErrLeadershipLost) { // the node that leads knows more
		s.status.Left()
	} else {
		s.status.SetState(pipeline.Waiting, err)
	}
	s.status.Restarted(cause(class, err))
	timer := time.NewTimer(jitter(pause))
	defer timer.Stop()
	return s.orders.next(ctx, timer.C)
}

// obey carries an order out under a lease of its own, so that no run can be under way. After one that
// says so the pipeline stays as it is, until the node ends.
func (s *supervisor) obey(ctx context.Context, o *order) {
	err := o.carryOut(ctx, s.name, s.hold)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", raftstate.ErrStopped, err)
	}
	switch {
	case err == nil && o.after != nil:
		s.status.SetState(pipeline.Stopped, o.after)
	case err == nil: // what was wrong may be over: an order that came now would not know why
		s.status.SetState(pipeline.Starting, nil)
	}
	o.done <- err
	for err == nil && o.after != nil && ctx.Err() == nil {
		if next := s.orders.next(ctx, nil); next != nil {
			next.done <- o.after
		}
	}
}

func (s *supervisor) report(ctx context.Context, err error) {
	class := kafkasync.ClassOf(err)
	about := []any{"pipeline", s.name, "class", class.String(), "err", err}
	switch {
	case errors.Is(err, raftstate.ErrStopped): // the node ends, and says why
		return
	case errors.Is(err, raftstate.ErrLeadershipLost):
		s.log.InfoContext(ctx, "the pipeline has ended here: the node that leads now runs it", "pipeline", s.name)
		return
	}
	switch class {
	case kafkasync.Stop:
		s.log.ErrorContext(ctx, "the pipeline has stopped", about...)
	case kafkasync.Wait:
		s.log.WarnContext(ctx, "the pipeline waits", about...)
	default:
		s.log.WarnContext(ctx, "the pipeline starts again", about...)
	}
}

// cause is the label of a restart in the metrics.
func cause(class kafkasync.Class, err error) string {
	if errors.Is(err, raftstate.ErrLeadershipLost) || errors.Is(err, raftstate.ErrFenced) {
		return "lease"
	}
	return class.String()
}

// jitter spreads d over its upper half, so that nodes and pipelines do not
// knock on a server's door in step.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}
