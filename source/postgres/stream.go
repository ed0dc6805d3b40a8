package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

const (
	feedbackEvery    = 5 * time.Second // or a third of wal_sender_timeout, which is 60 s by default
	minFeedbackEvery = 10 * time.Millisecond
	writeTimeout     = 10 * time.Second
	closeTimeout     = time.Second
	// A server that is alive answers a request for a keepalive at once, unless
	// it decodes a huge transaction; a dead one would leave us waiting for ever. The vigil
	// notices sooner, unless only this one connection is dead.
	silenceLimit = 5 * time.Minute
)

// stream is one open log. Its own goroutine, and no other, touches the
// connection; it lives on while nobody calls Next, so that the server hears
// from us while Kafka is away.
type stream struct {
	source  *Source
	conn    *pgconn.PgConn
	wire    *wire
	decoder pgoutput
	monitor *monitor
	vigil   *vigil

	feedbackEvery time.Duration

	requests  chan request
	confirm   chan struct{} // holds one: confirmed has grown
	confirmed atomic.Uint64 // LSN that the server may forget its log before
	reached   atomic.Uint64 // LSN of at, for others to see
	cancel    context.CancelCauseFunc
	ended     chan struct{} // closed when the goroutine has ended; err says why
	err       error
	closed    bool // of the caller of Close

	// Of the goroutine.
	at      place // the end of what Next has returned
	told    pglogrepl.LSN
	toldAt  time.Time
	heardAt time.Time

	opened time.Time
	heard  atomic.Int64 // heardAt for others to see, as nanoseconds since opened; -1 while nobody listens
}

// request asks the goroutine to fill a batch. It always answers on done, soon
// after stop is closed and wake was called.
type request struct {
	batch *source.Batch
	stop  <-chan struct{}
	done  chan<- error
}

// errClosed ends the goroutine.
var errClosed = errors.New("the stream is closed")

// errStopped is the answer to a request that was stopped; the stream lives on.
var errStopped = errors.New("stopped")

// run owns the connection until ctx ends or it breaks.
func (s *stream) run(ctx context.Context) {
	defer close(s.ended)
	defer func() {
		if s.err != nil { // whoever owns the stream may be busy for long, and the server wait for us
			_ = s.conn.Conn().Close()
		}
	}()
	tick := time.NewTicker(s.feedbackEvery)
	defer tick.Stop()
	for s.err == nil {
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, errClosed) {
				s.err = cause
			}
			return
		case r := <-s.requests:
			err := s.fill(ctx, r)
			if !errors.Is(err, errStopped) {
				s.err = err
			}
			r.done <- err
		case <-s.confirm:
			s.err = s.feedback()
		case <-tick.C:
			s.err = s.feedback()
		}
	}
}

// Next is described at source.Stream.
func (s *stream) Next(ctx context.Context, b *source.Batch) error {
	b.Reset()
	stop := context.AfterFunc(ctx, s.wake)
	defer stop()
	done := make(chan error, 1)
	select {
	case s.requests <- request{b, ctx.Done(), done}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ended:
		return s.endError()
	}
	err := <-done // b is ours again only now
	if errors.Is(err, errStopped) {
		return context.Cause(ctx)
	}
	return s.source.explain(err)
}

func (s *stream) endError() error {
	if s.err != nil {
		return s.source.explain(s.err)
	}
	return errClosed
}

// wake ends a read that blocks, and is safe beside it.
func (s *stream) wake() {
	// The only failure is a closed connection, which ends the read as well.
	_ = s.conn.Conn().SetReadDeadline(time.Unix(1, 0))
}

// fill reads until the batch holds something.
func (s *stream) fill(ctx context.Context, r request) error {
	s.hear() // nobody has listened since the last request
	defer s.heard.Store(-1)
	var g source.Gathering
	for {
		if err := s.drain(ctx, r.batch); err != nil {
			return err
		}
		if g.Enough(r.batch, time.Now()) {
			return nil
		}
		err := s.receive(ctx, r.stop, g.Until())
		if errors.Is(err, errStopped) && g.Begun() {
			return nil // what is in the batch will not come again
		}
		if err != nil {
			return err
		}
	}
}

// receive waits for the next bytes, at most until then if that is set, speaking to
// the server when it is time.
func (s *stream) receive(ctx context.Context, stop <-chan struct{}, until time.Time) error {
	if time.Since(s.toldAt) >= s.feedbackEvery || s.told != s.flushed() {
		if err := s.feedback(); err != nil {
			return err
		}
	}
	deadline := s.toldAt.Add(s.feedbackEvery)
	if !until.IsZero() && until.Before(deadline) {
		deadline = until
	}
	if err := s.conn.Conn().SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	// wake may have come before the deadline was set and be lost: then its reason
	// is visible here. If it comes after this look, the deadline it sets ends the read.
	select {
	case <-stop:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	if s.told != s.flushed() {
		return nil
	}
	err := s.wire.fill()
	switch {
	case err == nil:
		s.hear()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return classify(err, "reading the log")
	case time.Since(s.heardAt) > silenceLimit:
		return &kafkasync.Fault{What: fmt.Sprintf("the server has been silent for %v", silenceLimit)}
	}
	return nil
}

// hear notes that the server has said something.
func (s *stream) hear() {
	s.heardAt = time.Now()
	s.heard.Store(int64(s.heardAt.Sub(s.opened)))
}

// silence is for how long the server has said nothing to somebody who listens.
func (s *stream) silence() time.Duration {
	heard := s.heard.Load()
	if heard < 0 {
		return 0
	}
	return time.Since(s.opened) - time.Duration(heard)
}

// drain decodes the messages that have arrived, up to the limit of a batch.
func (s *stream) drain(ctx context.Context, b *source.Batch) error {
	for len(b.Changes) < source.MaxBatchChanges && b.Size() < source.MaxBatchBytes {
		kind, body, ok, err := s.wire.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := s.message(ctx, b, kind, body); err != nil {
			return err
		}
	}
	if s.decoder.end > s.at.lsn {
		s.at.lsn = s.decoder.end
		s.reached.Store(uint64(s.at.lsn))
		b.Pos = s.at.position()
	}
	b.Behind = s.monitor.behind(s.at.lsn)
	return nil
}

func (s *stream) message(ctx context.Context, b *source.Batch, kind byte, body []byte) error {
	switch kind {
	case 'd':
		return s.copyData(ctx, b, body)
	case 'E':
		return serverError(body)
	case 'c', 'C': // when it shuts down, it only says that the command is complete
		return &kafkasync.Fault{What: "the server has ended the stream"}
	case 'N':
		return noticeError(body)
	case 'S': // a changed setting
		return nil
	}
	return fmt.Errorf("reading the log: unexpected message %q", kind)
}

func (s *stream) copyData(ctx context.Context, b *source.Batch, body []byte) error {
	r := &reader{rest: body}
	switch kind := r.byte(); kind {
	case 'w': // XLogData: start, end, clock, then a message of the plugin
		if r.take(24) == nil {
			return errors.New("reading the log: XLogData is cut short")
		}
		return s.decoder.decode(ctx, b, r.rest)
	case 'k':
		return s.keepalive(r)
	default:
		return fmt.Errorf("reading the log: unknown copy data %q", kind)
	}
}

// keepalive says how far the server has read its log. With a transaction open,
// that place lies behind rows which are still to come, so it is no position then.
func (s *stream) keepalive(r *reader) error {
	end := pglogrepl.LSN(r.uint64())
	r.uint64() // clock
	reply := r.byte() == 1
	if r.broken {
		return errors.New("reading the log: a keepalive is cut short")
	}
	if (!s.decoder.open || plantedKeepaliveOverOpenTransaction) && end > s.decoder.end {
		s.decoder.end = end
	}
	if reply {
		return s.feedback()
	}
	return nil
}

// Behind is described at source.Watched.
func (s *stream) Behind() (bytes int64, since time.Time) {
	level := s.monitor.level.Load()
	if level == nil {
		return -1, time.Time{}
	}
	return s.monitor.behind(pglogrepl.LSN(s.reached.Load())), *level
}

// Confirm is described at source.Stream.
func (s *stream) Confirm(_ context.Context, p source.Position) error {
	at, err := parsePosition(p)
	if err != nil {
		return fmt.Errorf("confirming: %w", err)
	}
	s.confirmed.Store(uint64(at.lsn))
	select {
	case s.confirm <- struct{}{}:
	default: // one is waiting already and will see the newer value
	}
	s.wake()
	return nil
}

// Close ends the goroutine, then takes leave of the server: it has read the
// last confirmation, and has let go of the slot, when it answers.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.cancel(errClosed)
	s.wake()
	<-s.ended
	s.monitor.wait()
	s.vigil.wait()
	// What pgx would add is a Terminate, of no use to a walsender that is done.
	defer func() { _ = s.conn.Conn().Close() }()
	if s.err != nil || s.conn.IsClosed() {
		return nil // the connection is broken, there is nobody to take leave of
	}
	if err := s.leave(); err != nil {
		return fmt.Errorf("closing the stream: %w", err)
	}
	return nil
}

// noticeError reads a notice of the server, which may be an error to us.
func noticeError(body []byte) error {
	var m pgproto3.NoticeResponse
	if err := m.Decode(body); err != nil {
		return fmt.Errorf("reading a notice of the server: %w", err)
	}
	return skipped(&m)
}

// skipped makes an error of a warning that changes are skipped: from Postgres 18
// on, a publication that did not exist at this place in the log is no error to
// the server any more.
func skipped(m *pgproto3.NoticeResponse) error {
	if !strings.Contains(m.Message, "skipped loading publication") {
		return nil
	}
	fault := unpublished()
	fault.What, fault.Err = "reading the log: "+fault.What, fmt.Errorf("%s: %s", m.Severity, m.Message)
	return fault
}

// serverError makes an error of an ErrorResponse.
func serverError(body []byte) error {
	var m pgproto3.ErrorResponse
	if err := m.Decode(body); err != nil {
		return fmt.Errorf("reading an error of the server: %w", err)
	}
	return classify(pgconn.ErrorResponseToPgError(&m), "reading the log")
}
