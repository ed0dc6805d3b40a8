package mysql

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// A batch ends at whichever comes first. Kafka takes some 100k messages a
// second, so a full batch is well under the 200 ms between two checkpoints.
const (
	maxBatchChanges = 8192
	maxBatchBytes   = 4 << 20
)

// stream is one open log. The library's goroutine fills the queue, whoever calls Next
// empties it, and the monitor looks at the server beside them.
type stream struct {
	source  *Source
	server  server
	dump    *dump
	journal *journal
	monitor *monitor
	cancel  context.CancelFunc
	waiting *event // was not read to its end, since the batch was full
	closing sync.Once
}

// newStream makes the stream that begins at a place.
func (s *Source) newStream(from server, d *dump, at place, c *coverage) *stream {
	catalog := lookup{s, from}
	at.set, at.maria = at.set.Clone(), at.maria.Clone() // they grow
	return &stream{
		source: s, server: from, dump: d,
		journal: &journal{
			folds: from.folds, selector: s.selector, tables: newTables(s.mariaDB(), s.selector, catalog),
			coverage: c, log: s.log, at: at,
		},
		monitor: newMonitor(catalog, s.log, func(err error) {
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
	for {
		err := s.fill(ctx, b)
		if err != nil {
			return s.source.explain(s.because(err))
		}
		if len(b.Changes) > 0 || b.Pos != "" {
			b.Behind = max(0, s.monitor.behind())
			return nil
		}
		select {
		case <-s.dump.queue.filled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fill reads what has arrived, up to the limit of a batch.
func (s *stream) fill(ctx context.Context, b *source.Batch) error {
	for len(b.Changes) < maxBatchChanges && b.Size() < maxBatchBytes {
		e := s.waiting
		if e == nil {
			next, ok, err := s.dump.queue.pop()
			if err != nil && len(b.Changes) == 0 && !s.journal.moved {
				return endOfLog{err}
			}
			if !ok {
				break
			}
			e = &next
		}
		s.waiting = e
		err := s.journal.read(ctx, b, e)
		if errors.Is(err, errFull) {
			break
		}
		if err != nil {
			return err
		}
		s.waiting = nil
	}
	s.monitor.reached(s.journal.file, s.journal.offset)
	if b.Pos = s.journal.take(); b.Pos != "" {
		return s.journal.coverage.reached(ctx, s.journal.at)
	}
	return nil
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
		s.journal.letGo()
	})
	return nil
}
