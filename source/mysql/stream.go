package mysql

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// stream is one open log. The dump's goroutine fills the queue, whoever calls Next
// empties it, and the monitor looks at the server beside them.
type stream struct {
	source   *Source
	server   server
	dump     *dump
	journal  *journal
	settling *settling
	monitor  *monitor
	cancel   context.CancelFunc
	waiting  *event // was not read to its end, since the batch was full
	closing  sync.Once
}

// newStream makes the stream that begins at a place; waits is whether the server waits for a replica before it commits.
func (s *Source) newStream(from server, d *dump, at place, c *coverage, waits bool) *stream {
	settling := newSettling(waits)
	catalog := lookup{s, from}
	at.set, at.maria = at.set.Clone(), at.maria.Clone() // they grow
	return &stream{
		source: s, server: from, dump: d,
		journal: &journal{
			folds: from.folds, selector: s.selector, tables: newTables(s.mariaDB(), s.selector, catalog, c.seen),
			coverage: c, log: s.log, at: at,
		},
		settling: settling,
		monitor: newMonitor(catalog, s.log, settling, d.line.answers, func(err error) {
			d.queue.end(err)
			d.line.close()
		}),
	}
}

// launch starts the monitor. It lives until Close, longer than the call that opens the stream.
func (s *stream) launch(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go s.monitor.run(ctx)
}

// Next is described at source.Stream.
func (s *stream) Next(ctx context.Context, b *source.Batch) error {
	b.Reset()
	var g source.Gathering
	for {
		if err := s.fill(ctx, b); err != nil {
			return s.source.explain(s.because(err))
		}
		b.Behind = max(0, s.monitor.behind())
		if g.Enough(b, time.Now()) {
			return nil
		}
		if err := s.wait(ctx, g.Until()); err != nil {
			if g.Begun() {
				return nil // what is in the batch will not come again
			}
			return err
		}
	}
}

// wait waits for more of the log, at most until then if that is set.
func (s *stream) wait(ctx context.Context, until time.Time) error {
	var late <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-s.dump.queue.filled:
	case <-s.settling.given:
	case <-late:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// fill reads what has arrived, up to the limit of a batch.
func (s *stream) fill(ctx context.Context, b *source.Batch) error {
	ended, err := s.read(ctx, b)
	if err != nil {
		return err
	}
	s.monitor.reached(s.journal.file, s.journal.offset)
	s.journal.tellHeld(ctx)
	if at, ok := s.settling.take(s.journal.take); ok {
		b.Pos = at.position()
		return s.journal.coverage.reached(ctx, at)
	}
	if ended != nil && len(b.Changes) == 0 && b.Pos == "" {
		return endOfLog{ended}
	}
	return nil
}

// read reads until nothing is there or the batch is full, and returns why nothing will come any more.
func (s *stream) read(ctx context.Context, b *source.Batch) (ended, err error) {
	for len(b.Changes) < source.MaxBatchChanges && b.Size() < source.MaxBatchBytes {
		e := s.waiting
		if e == nil {
			next, ok, ended := s.dump.queue.pop()
			if !ok {
				return ended, nil
			}
			e = &next
		}
		s.waiting = e
		err := s.journal.read(ctx, b, e)
		if errors.Is(err, errFull) {
			break
		}
		if err != nil {
			return nil, err
		}
		s.waiting = nil
	}
	return nil, nil
}

// endOfLog is an error that the server, or the connection, has ended the log with.
type endOfLog struct{ err error } //nolint:errname // says where an error is from, it is not one of its own

func (e endOfLog) Error() string { return e.err.Error() }
func (e endOfLog) Unwrap() error { return e.err }

// because says why the log has ended, if that is what err is about.
func (s *stream) because(err error) error {
	var end endOfLog
	if !errors.As(err, &end) || errors.Is(err, errClosed) {
		return err
	}
	return s.source.dumpFault(s.dump, s.server, end.err)
}

// Behind is described at source.Watched.
func (s *stream) Behind() (bytes int64, since time.Time) {
	return s.monitor.behind(), s.monitor.since()
}

// Confirm looks at the position, and does nothing else: a server keeps its log by its own rules.
func (s *stream) Confirm(_ context.Context, p source.Position) error {
	if _, err := parsePosition(p); err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	return nil
}

// Close is described at source.Stream.
func (s *stream) Close() error {
	s.closing.Do(func() {
		s.cancel()
		s.dump.close()
		s.monitor.wait()
		if s.waiting != nil {
			s.waiting.more.free()
			s.waiting = nil
		}
		s.journal.letGo()
	})
	return nil
}
