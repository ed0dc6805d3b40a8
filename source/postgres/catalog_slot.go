package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

// slotState is a replication slot as the server shows it.
type slotState struct {
	Name      string
	Plugin    string // "" of a physical slot
	Database  string // "" of a physical slot
	Temporary bool
	TwoPhase  bool
	Failover  bool // from 17 on: standbys that synchronise slots have it too
	Synced    bool // from 17 on: it is such a copy, on a standby or on one that was promoted

	ActivePID     int32      // 0: nobody reads it
	Application   string     // of who reads it; "" if the role may not see it
	Address       string     // of who reads it; "" if local or the role may not see it
	ActiveSince   *time.Time // start of the process that reads it; nil: as for Address
	InactiveSince time.Time  // by the server's clock, from 17 on; zero while it is read, or not known

	WALStatus          string // reserved, extended, unreserved, lost
	SafeWALSize        int64  // bytes that may be written before the slot is in danger; -1: no limit, or lost
	InvalidationReason string // from 17 on
	Conflicting        bool   // from 16 on

	Restart        pglogrepl.LSN // the server keeps its log from here; 0 if lost
	ConfirmedFlush pglogrepl.LSN // the server sends what committed after this; 0 of a physical slot
	Retained       int64         // bytes of log kept for it
}

// lost says why the slot cannot be read any more, or "".
func (s *slotState) lost() string {
	switch {
	case s.InvalidationReason != "":
		return s.InvalidationReason
	case s.Conflicting:
		return "it conflicted with recovery"
	case s.WALStatus == "lost":
		return "its log was removed"
	}
	return ""
}

// Columns that later versions added are read by name from the row as JSON. A standby
// has no current LSN of its own.
const slotSQL = `SELECT s.slot_name, coalesce(s.plugin, ''), coalesce(s.database, ''), s.temporary, s.two_phase,
		coalesce(s.active_pid, 0), coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''), a.backend_start,
		coalesce(s.wal_status, ''), coalesce(s.safe_wal_size, -1),
		coalesce(to_jsonb(s) ->> 'invalidation_reason', ''),
		coalesce((to_jsonb(s) ->> 'conflicting')::bool, false),
		coalesce((to_jsonb(s) ->> 'failover')::bool, false), coalesce((to_jsonb(s) ->> 'synced')::bool, false),
		(to_jsonb(s) ->> 'inactive_since')::timestamptz,
		coalesce(s.restart_lsn, '0/0')::text, coalesce(s.confirmed_flush_lsn, '0/0')::text,
		CASE WHEN pg_is_in_recovery() THEN 0
		     ELSE coalesce(pg_current_wal_lsn() - s.restart_lsn, 0) END::bigint
	FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid
	WHERE s.slot_name = $1`

// findSlot returns the slot of that name, of whichever database and plugin, or
// nil if there is none.
func findSlot(ctx context.Context, conn *pgx.Conn, name string) (*slotState, error) {
	s, err := querySlot(ctx, conn, name)
	return s, classify(err, "looking at slot "+name)
}

func querySlot(ctx context.Context, conn *pgx.Conn, name string) (*slotState, error) {
	s := &slotState{}
	var restart, confirmed string
	var inactive *time.Time
	err := conn.QueryRow(ctx, slotSQL, name).Scan(&s.Name, &s.Plugin, &s.Database, &s.Temporary, &s.TwoPhase,
		&s.ActivePID, &s.Application, &s.Address, &s.ActiveSince, &s.WALStatus, &s.SafeWALSize,
		&s.InvalidationReason, &s.Conflicting,
		&s.Failover, &s.Synced, &inactive, &restart, &confirmed, &s.Retained)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if inactive != nil {
		s.InactiveSince = *inactive
	}
	if s.Restart, err = pglogrepl.ParseLSN(restart); err != nil {
		return nil, fmt.Errorf("reading its restart_lsn: %w", err)
	}
	if s.ConfirmedFlush, err = pglogrepl.ParseLSN(confirmed); err != nil {
		return nil, fmt.Errorf("reading its confirmed_flush_lsn: %w", err)
	}
	return s, nil
}
