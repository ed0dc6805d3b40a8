package postgres

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

const (
	headEvery      = time.Second
	heartbeatEvery = 10 * time.Second
	queryTimeout   = 5 * time.Second
	coverTimeout   = 30 * time.Second // adding a table waits for locks
)

// monitor watches the server beside the stream, over an ordinary connection: how
// far its log reaches, what it keeps for the slot, and whether the position of an idle database must be
// moved by a heartbeat. It is of no consequence to correctness: what it cannot
// do, it says once and tries again.
type monitor struct {
	conn *pgx.ConnConfig
	log  *slog.Logger
	// leave ends the stream. A server that is shutting down waits until we have
	// taken all of its log; while Kafka is away we never would, and our feedback
	// keeps it from giving us up.
	leave  func(error)
	keeper *keeper
	slot   *slotWatch
	head   atomic.Uint64
	level  atomic.Pointer[time.Time] // when nothing was found to be left, or the first look
	done   chan struct{}
}

// wait returns when run has ended.
func (m *monitor) wait() { <-m.done }

// behind returns how many bytes of log are known to follow lsn.
func (m *monitor) behind(lsn pglogrepl.LSN) int64 {
	return max(0, int64(m.head.Load()-uint64(lsn)))
}

// compare notes when the stream has everything.
func (m *monitor) compare(at pglogrepl.LSN) {
	if now := time.Now(); m.level.Load() == nil || m.behind(at) == 0 {
		m.level.Store(&now)
	}
}

// run looks after the server until ctx ends. at tells how far the stream is.
func (m *monitor) run(ctx context.Context, at func() pglogrepl.LSN) {
	defer close(m.done)
	said := ""
	for ctx.Err() == nil {
		err := m.watch(ctx, at)
		if ctx.Err() != nil {
			return
		}
		if isCode(err, "57P03") { // it takes no connections: it goes, or has come back without us
			m.leave(err)
			return
		}
		if text := err.Error(); text != said {
			m.log.WarnContext(ctx, "watching the database", "err", err)
			said = text
		}
		pause(ctx, headEvery)
	}
}

func isCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// watch does so over one connection, until it breaks.
func (m *monitor) watch(ctx context.Context, at func() pglogrepl.LSN) error {
	conn, err := connect(ctx, m.conn)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	last, since := at(), time.Now()
	var lookAt, slotLooked time.Time
	for {
		if began := time.Now(); !began.Before(lookAt) {
			if err := m.keep(ctx, conn); err != nil {
				return err
			}
			lookAt = nextLook(began, time.Now())
		}
		if time.Since(slotLooked) >= slotEvery {
			if err := m.slot.look(ctx, conn); err != nil {
				return m.decide(ctx, err)
			}
			slotLooked = time.Now()
		}
		if err := m.look(ctx, conn); err != nil {
			return err
		}
		m.compare(at())
		if now := at(); now != last {
			last, since = now, time.Now()
		} else if time.Since(since) >= heartbeatEvery {
			if err := heartbeat(ctx, conn); err != nil {
				return err
			}
			since = time.Now()
		}
		if !pause(ctx, headEvery) {
			return ctx.Err()
		}
	}
}

// nextLook keeps the looks of a database with very many tables to a small part of its time.
func nextLook(began, ended time.Time) time.Time {
	return ended.Add(max(lookEvery, lookShare*ended.Sub(began)))
}

// keep looks after what is covered.
func (m *monitor) keep(ctx context.Context, conn *pgx.Conn) error {
	limited, cancel := context.WithTimeout(ctx, coverTimeout)
	defer cancel()
	return m.decide(ctx, m.keeper.look(limited, conn))
}

// decide ends the stream for a cause that only a person can remove.
func (m *monitor) decide(ctx context.Context, err error) error {
	if ctx.Err() == nil && err != nil && kafkasync.ClassOf(err) != kafkasync.Retry {
		m.leave(err)
	}
	return err
}

func (m *monitor) look(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	head, err := askLSN(ctx, conn, "asking for the end of the log", "pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	m.head.Store(uint64(head))
	return nil
}

// heartbeat writes a transaction that holds nothing but a logical message, so
// that the position of an idle database moves and the server can drop log that
// other databases and its own housekeeping have written. It must be
// transactional: the slot does not move for another one (PeerDB #3904).
func heartbeat(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	_, err := emit(ctx, conn, "")
	return err
}

// emit writes a message that nobody looks at, and returns where its transaction begins.
func emit(ctx context.Context, conn *pgx.Conn, content string) (pglogrepl.LSN, error) {
	return askLSN(ctx, conn, "writing the heartbeat", "pg_logical_emit_message(true, 'kafkasync', $1::text)", content)
}

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
