package postgres

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
)

// feedbackInterval returns how often the server is told where we are: often enough
// for its wal_sender_timeout, after which it gives us up.
func feedbackInterval(ctx context.Context, conn *pgconn.PgConn) (time.Duration, error) {
	ms, err := askNumber(ctx, conn, "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'")
	if err != nil {
		return 0, classify(err, "asking for wal_sender_timeout")
	}
	if ms == 0 { // it never does
		return feedbackEvery, nil
	}
	third := time.Duration(ms) * time.Millisecond / 3
	return max(minFeedbackEvery, min(feedbackEvery, third)), nil
}

func (s *stream) flushed() pglogrepl.LSN { return pglogrepl.LSN(s.confirmed.Load()) }

// feedback tells the server what was confirmed, as written, flushed and applied
// alike: a zero would be read as "everything" by some (pglogrepl) or hold up
// synchronous commits. If the server has been silent, it is asked for an answer.
func (s *stream) feedback() error {
	now, lsn := time.Now(), s.flushed()
	ask := now.Sub(s.heardAt) > s.feedbackEvery/2
	if err := s.send(statusUpdate(lsn, now, ask)); err != nil {
		return classify(err, "confirming to the server")
	}
	s.told, s.toldAt = lsn, now
	return nil
}

func (s *stream) send(message []byte) error {
	conn := s.conn.Conn()
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := conn.Write(message)
	return err
}

// statusUpdate encodes a standby status update as CopyData (manual, "Streaming
// Replication Protocol").
func statusUpdate(lsn pglogrepl.LSN, now time.Time, ask bool) []byte {
	m := make([]byte, 0, 39)
	m = append(m, 'd', 0, 0, 0, 38, 'r')
	for range 3 { // written, flushed, applied
		m = binary.BigEndian.AppendUint64(m, uint64(lsn))
	}
	m = binary.BigEndian.AppendUint64(m, uint64(now.UnixMicro()-pgEpoch))
	if ask {
		return append(m, 1)
	}
	return append(m, 0)
}

// leave tells the last confirmation, ends the copying, and waits until the server
// is ready for a query: then it has read both, and has let go of the slot.
func (s *stream) leave() error {
	if err := s.feedback(); err != nil {
		return err
	}
	if err := s.send([]byte{'c', 0, 0, 0, 4}); err != nil { // CopyDone
		return err
	}
	return s.awaitReady()
}

// awaitReady skips what the server had under way until it is ready for a query.
func (s *stream) awaitReady() error {
	if err := s.conn.Conn().SetReadDeadline(time.Now().Add(closeTimeout)); err != nil {
		return err
	}
	for {
		kind, _, ok, err := s.wire.next()
		switch {
		case err != nil:
			return err
		case ok && kind == 'Z':
			return nil
		case ok:
			continue
		}
		if err := s.wire.fill(); err != nil {
			return nil //nolint:nilerr // it is busy decoding, or gone; it will notice the closed connection
		}
	}
}
