package pipeline

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
)

// carry runs reader, publisher and committer until one of them fails or ctx
// ends, joins them, and commits what was acknowledged last.
func (p *Pipeline) carry(ctx context.Context, lease Lease, from source.Position, stream source.Stream, out sink.Sink) error {
	ctx, end := context.WithCancelCause(ctx) // the first cause wins
	defer end(nil)
	flight, land := outliving(ctx, flightGrace)
	defer land()

	acked := &progress{}
	read := &reader{stream: stream, acked: acked, status: p.status}
	publish := &publisher{
		router: p.cfg.Router, sink: out, lease: lease, acked: acked, status: p.status,
		seq: newSequence(lease.Floor()), twins: &promises{sink: out, pairs: lease, made: map[promise]bool{}},
	}
	commit := &committer{
		every: p.cfg.CommitEvery, lease: lease, stream: stream, acked: acked, status: p.status,
		committed: from, confirmed: from, // by opening the stream
	}

	if plantedSkipFirstBatch && lease.Epoch() > 1 {
		if err := stream.Next(ctx, &source.Batch{}); err != nil {
			return fmt.Errorf("reading: %w", err)
		}
	}

	// Only these two exist: with one in flight, reading gets at most one ahead.
	free, full := make(chan *source.Batch, 2), make(chan *source.Batch, 2)
	free <- &source.Batch{}
	free <- &source.Batch{}

	var all sync.WaitGroup
	start := func(part func() error) {
		all.Go(func() {
			if err := part(); err != nil {
				end(err)
			}
		})
	}
	start(func() error { return read.run(ctx, free, full) })
	start(func() error { return publish.run(ctx, flight, full, free) })
	start(func() error { return commit.run(ctx) })
	all.Wait()

	if err := p.settle(ctx, commit); err != nil {
		// Expected when the lease is lost: the next run publishes again what came after the last checkpoint.
		p.log.Info("the last checkpoint was not committed", "err", err)
	}
	return context.Cause(ctx)
}

// settle commits and confirms what was acknowledged since the last tick.
func (p *Pipeline) settle(ctx context.Context, c *committer) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCommitLimit)
	defer cancel()
	return c.checkpoint(ctx)
}

// outliving returns a context that ends d after ctx, or when cancel is called.
func outliving(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			end(fmt.Errorf("waiting %v after the end of the run: %w", d, context.Cause(ctx)))
		case <-late.Done():
		}
	})
	return late, func() {
		stop()
		end(nil)
	}
}

// progress is the newest position whose changes are all acknowledged.
type progress struct {
	mu  sync.Mutex
	pos source.Position
}

func (p *progress) set(pos source.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pos = pos
}

// newest returns "" before the first one.
func (p *progress) newest() source.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pos
}

// reader fills batches. It alone calls Next, and has ended when Close is called.
type reader struct {
	stream source.Stream
	acked  *progress
	status *Status
}

// run sends batches on full, in the order of the log, until ctx ends or the stream fails.
func (r *reader) run(ctx context.Context, free <-chan *source.Batch, full chan<- *source.Batch) error {
	defer close(full)
	for {
		var b *source.Batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := r.stream.Next(ctx, b); err != nil {
			return err // it says itself what was being done
		}
		r.status.reading(b)
		if plantedConfirmBeforeAck && b.Pos != "" {
			r.acked.set(b.Pos)
		}
		full <- b // never blocks: it holds all the batches that there are
	}
}
