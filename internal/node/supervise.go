package node

import (
	"context"
	"errors"
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
// every run starts at the checkpoint.
type supervisor struct {
	name   string
	hold   func(ctx context.Context, pipeline string, fn func(context.Context, *raftstate.Lease) error) error
	run    func(ctx context.Context, lease pipeline.Lease) error
	status *pipeline.Status
	log    *slog.Logger
}

// supervise returns when ctx has ended.
func (s *supervisor) supervise(ctx context.Context) {
	pause, said := firstPause, ""
	for {
		began := time.Now()
		err := s.hold(ctx, s.name, func(ctx context.Context, l *raftstate.Lease) error { return s.run(ctx, l) })
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > recovered {
			pause, said = firstPause, ""
		}
		class := kafkasync.ClassOf(err)
		if text := err.Error(); text != said { // once, however often it is tried
			s.report(ctx, class, err)
			said = text
		}
		if class == kafkasync.Stop {
			s.status.SetState(pipeline.Stopped, err)
			<-ctx.Done() // a person decides, then starts the node again
			return
		}
		s.status.SetState(pipeline.Waiting, err)
		s.status.Restarted(cause(class, err))
		if !sleep(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

func (s *supervisor) report(ctx context.Context, class kafkasync.Class, err error) {
	about := []any{"pipeline", s.name, "class", class.String(), "err", err}
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

// sleep reports whether ctx still lives when d has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
