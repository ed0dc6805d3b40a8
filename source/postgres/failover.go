package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// failoverVersion is the first whose standbys can keep a copy of a logical slot.
const failoverVersion = 170000

// makeSlot makes a logical slot and returns where it starts. From 17 on, standbys
// that synchronise slots are given a copy of it, with which reading goes on
// after one of them was promoted.
func makeSlot(ctx context.Context, conn *pgconn.PgConn, name string) (pglogrepl.LSN, error) {
	version, err := askVersion(ctx, conn)
	if err != nil {
		return 0, err
	}
	// 14 knows only the older way to write options.
	statement := "CREATE_REPLICATION_SLOT " + quoteName(name) + " LOGICAL pgoutput NOEXPORT_SNAPSHOT"
	if version >= failoverVersion {
		statement = "CREATE_REPLICATION_SLOT " + quoteName(name) + " LOGICAL pgoutput (SNAPSHOT 'nothing', FAILOVER true)"
	}
	made, err := pglogrepl.ParseCreateReplicationSlot(conn.Exec(ctx, statement))
	if err != nil {
		return 0, classify(err, "creating slot "+name)
	}
	lsn, err := pglogrepl.ParseLSN(made.ConsistentPoint)
	if err != nil || lsn == 0 {
		return 0, errors.Join(fmt.Errorf("creating slot %s: the server says it starts at %q", name, made.ConsistentPoint), err)
	}
	return lsn, nil
}

// askVersion returns server_version_num, over a connection for replication.
func askVersion(ctx context.Context, conn *pgconn.PgConn) (int, error) {
	n, err := askNumber(ctx, conn, "SELECT current_setting('server_version_num')")
	return n, classify(err, "asking for the version")
}

// askNumber runs a statement that answers one number.
func askNumber(ctx context.Context, conn *pgconn.PgConn, sql string) (int, error) {
	row, err := askRow(ctx, conn, sql, 1)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(row[0])
}

// askRow runs a statement that answers one row of so many columns, none of them null.
func askRow(ctx context.Context, conn *pgconn.PgConn, sql string, columns int) ([]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != columns {
		return nil, fmt.Errorf("the server does not answer with one row of %d", columns)
	}
	row := make([]string, columns)
	for i, value := range results[0].Rows[0] {
		row[i] = string(value)
	}
	return row, nil
}

// slotGone is about a slot that is not there although the pipeline has a checkpoint:
// dropped, or never copied to the standby that is the primary now.
func (s *Source) slotGone(ctx context.Context, conn *pgx.Conn, at place) error {
	fault := &kafkasync.Fault{
		Class: kafkasync.Stop, What: fmt.Sprintf("the replication slot %s does not exist any more", s.cfg.Slot),
		Risk: riskSlotGone, Fix: fixNewSlot,
	}
	if at.timeline == 0 {
		return fault
	}
	var system string
	var timeline int32
	err := conn.QueryRow(ctx, identitySQL).Scan(&system, &timeline)
	if err != nil {
		return classify(err, "asking for the server's identity and timeline")
	}
	if system != at.system {
		return otherServer(system, at)
	}
	if timeline != at.timeline {
		fault.What = fmt.Sprintf("the replication slot %s does not exist on this server, which is on timeline %d, the checkpoint on %d: "+
			"it was promoted, or restored from a backup, without a copy of the slot (from Postgres 17 on it can have one: kafkasync check)",
			s.cfg.Slot, timeline, at.timeline)
	}
	return fault
}
