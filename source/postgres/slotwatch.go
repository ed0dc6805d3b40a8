package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	slotEvery = time.Minute
	// Less room than this before the server drops log that the slot needs is worth a warning.
	minSafeWAL = 1 << 30
	// So much log kept for an open transaction alone is worth one.
	maxPinnedWAL = 1 << 30
)

// danger is what may become of a slot, or of the server's disk because of it.
type danger string

const (
	noDanger   danger = ""
	pinned     danger = "an open transaction makes the server keep its log for the slot"
	extended   danger = "the server keeps more log for the slot than max_wal_size, and its disk may fill up"
	low        danger = "the server soon drops log that the slot still needs"
	unreserved danger = "the server drops log that the slot still needs at its next checkpoint"
)

// dangerOf judges a slot that is not lost. keep is max_slot_wal_keep_size in bytes.
func dangerOf(s *slotState, keep int64) danger {
	switch {
	case s.WALStatus == "unreserved":
		return unreserved
	case s.SafeWALSize >= 0 && s.SafeWALSize < min(max(minSafeWAL, keep/10), keep/2):
		return low
	case s.WALStatus == "extended":
		return extended
	case s.pinned() > maxPinnedWAL:
		return pinned
	}
	return noDanger
}

// pinned is how much log is kept only because a transaction was open when what
// was confirmed last was written.
func (s *slotState) pinned() int64 {
	if s.Restart == 0 || s.ConfirmedFlush < s.Restart {
		return 0
	}
	return int64(s.ConfirmedFlush - s.Restart)
}

// slotWatch looks at the slot from time to time, and says once what threatens it.
type slotWatch struct {
	source   *Source
	log      *slog.Logger
	retained *atomic.Int64
	said     danger
}

// look returns a Fault of class Stop if the slot is lost.
func (w *slotWatch) look(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	slot, err := findSlot(ctx, conn, w.source.cfg.Slot)
	if err != nil {
		return err
	}
	if slot == nil { // the stream reads another server than this one, or is ending
		return fmt.Errorf("looking at slot %s: it does not exist on this server", w.source.cfg.Slot)
	}
	w.retained.Store(slot.Retained)
	if slot.lost() != "" {
		return w.source.requireOurs(slot)
	}
	keep, err := slotKeep(ctx, conn)
	if err != nil {
		return err
	}
	now := dangerOf(slot, keep)
	if now == w.said {
		return nil
	}
	w.said = now
	return w.say(ctx, conn, slot)
}

func (w *slotWatch) say(ctx context.Context, conn *pgx.Conn, slot *slotState) error {
	about := []any{"slot", slot.Name, "retained_bytes", slot.Retained}
	if w.said == noDanger {
		w.log.InfoContext(ctx, "the slot is out of danger", about...)
		return nil
	}
	if slot.SafeWALSize >= 0 {
		about = append(about, "safe_bytes", slot.SafeWALSize)
	}
	cause := fmt.Sprintf("kafkasync has %d bytes of log before it: look at its lag", slot.Retained-slot.pinned())
	if slot.pinned() > slot.Retained/2 {
		who, err := pinnedBy(ctx, conn)
		if err != nil {
			return err
		}
		cause = "an open transaction"
		if who != "" {
			cause += ": " + who
		}
	}
	w.log.WarnContext(ctx, "the slot is in danger", append(about, "danger", string(w.said), "cause", cause)...)
	return nil
}

// The locks on transaction ids are shown to every role, what else is known of a
// session is not. Decoding follows the transactions of all databases.
const pinnedSQL = `SELECT who FROM (
		SELECT 'process ' || l.pid || coalesce(' (' || concat_ws(', ', nullif(a.application_name, ''), a.usename,
				'database ' || a.datname, 'since ' || a.xact_start::timestamp(0)) || ')', '') AS who, age(l.transactionid) AS age
		FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid()
		UNION ALL
		SELECT 'prepared as ' || quote_literal(gid) || ' (database ' || database || ', since ' || prepared::timestamp(0) || ')', age(transaction)
		FROM pg_prepared_xacts) o
	ORDER BY age DESC LIMIT 1`

// pinnedBy describes the oldest transaction that has written; "" if there is none any more.
func pinnedBy(ctx context.Context, conn *pgx.Conn) (who string, err error) {
	err = conn.QueryRow(ctx, pinnedSQL).Scan(&who)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return who, classify(err, "looking for the oldest transaction")
}

// slotKeep returns max_slot_wal_keep_size in bytes; negative: no limit.
func slotKeep(ctx context.Context, conn *pgx.Conn) (keep int64, err error) {
	err = conn.QueryRow(ctx, "SELECT setting::bigint << 20 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'").Scan(&keep)
	return keep, classify(err, "asking for max_slot_wal_keep_size")
}

// RetainedBytes returns how much log the server keeps for the slot, as of the
// last look within the minute; 0 before the first one.
func (s *Source) RetainedBytes() int64 { return s.retained.Load() }
