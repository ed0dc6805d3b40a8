package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/kafkasync/kafkasync/source/findings"
)

const (
	// probeWait is how long a heartbeat may take to come out of the log.
	probeWait = 10 * time.Second
	// probeBehind is how much log is read for the sake of a probe.
	probeBehind = 64 << 20
)

const spillSQL = `SELECT coalesce(sum(spill_txns), 0)::bigint, coalesce(sum(spill_bytes), 0)::bigint, coalesce(sum(total_bytes), 0)::bigint,
		current_setting('logical_decoding_work_mem')
	FROM pg_stat_replication_slots WHERE slot_name = $1`

// checkSpill looks at how much of what the server decoded for the slot went
// over its disk, because its memory for decoding was too small.
func (c *checkup) checkSpill(ctx context.Context, conn *pgx.Conn) {
	if c.slot == nil {
		return
	}
	var transactions, spilled, total int64
	var memory string
	if err := conn.QueryRow(ctx, spillSQL, c.slot.Name).Scan(&transactions, &spilled, &total, &memory); err != nil {
		c.failed("P25", classify(err, "asking how much was decoded"))
		return
	}
	if spilled > total/10 {
		// The name alone in the URL would do for us; options is what every client of Postgres knows.
		c.Warnf("P25", "large transactions are slower, and fill the server's disk while they are read",
			fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET logical_decoding_work_mem = '256MB'; SELECT pg_stat_reset_replication_slot(%s); "+
				"-- then start kafkasync anew; or, instead of the role, add to source.postgres.url: options=-c%%20logical_decoding_work_mem%%3D256MB",
				quoteName(c.server.Role), quoteName(c.server.Database), quoteText(c.slot.Name)),
			"%s of %s that were decoded for slot %s (%s) went over the server's disk: logical_decoding_work_mem is %s",
			bytesText(spilled), bytesText(total), c.slot.Name, findings.Counted(int(transactions), "transaction"), memory)
	}
	c.Okf("P25", "%s of %s that were decoded for slot %s went over the server's disk", bytesText(spilled), bytesText(total), c.slot.Name)
}

const emitSQL = `SELECT p.oid::regprocedure::text FROM pg_proc p
	WHERE p.proname = 'pg_logical_emit_message' AND p.pronamespace = 'pg_catalog'::regnamespace
	  AND p.proargtypes[2] = 'text'::regtype AND NOT has_function_privilege(p.oid, 'EXECUTE')`

// checkHeartbeat writes a heartbeat and waits until it has come out of the slot:
// at a running node, or here while nobody reads the slot. It takes the same way
// as every change.
func (c *checkup) checkHeartbeat(ctx context.Context, conn *pgx.Conn, settings *pgx.ConnConfig) {
	// It would only say so again, and after a long time.
	if c.Reported("P02", "P04", "P07", "P15", "P16", "P17", "P18", "P19") || c.held {
		return
	}
	var emit string
	err := conn.QueryRow(ctx, emitSQL).Scan(&emit)
	switch {
	case err == nil:
		c.Errorf("P26", "while nothing changes, the server would keep its log for us", "GRANT EXECUTE ON FUNCTION pg_catalog."+emit+" TO "+quoteName(c.server.Role)+";",
			"role %s may not write the heartbeat", c.server.Role)
		return
	case !errors.Is(err, pgx.ErrNoRows):
		c.failed("P26", classify(err, "looking at the heartbeat's function"))
		return
	}
	switch {
	case c.slot == nil:
		c.Okf("P26", "role %s may write the heartbeat", c.server.Role)
	case c.slot.ActivePID != 0 && c.opts.Checkpoint != nil:
		c.probeNode(ctx, conn)
	case c.slot.ActivePID != 0:
		c.Okf("P26", "role %s may write the heartbeat; a node that does not answer here reads the slot", c.server.Role)
	case c.slot.Retained > probeBehind:
		c.Okf("P26", "role %s may write the heartbeat; slot %s is too far behind to wait for one", c.server.Role, c.slot.Name)
	default:
		c.probeSlot(ctx, conn, settings)
	}
}

// probeNode waits until the node has confirmed a heartbeat.
func (c *checkup) probeNode(ctx context.Context, conn *pgx.Conn) {
	started := time.Now()
	at, err := emit(ctx, conn, "")
	for err == nil && time.Since(started) < probeWait {
		var slot *slotState
		if slot, err = findSlot(ctx, conn, c.slot.Name); err != nil || slot == nil {
			break
		}
		if slot.ConfirmedFlush >= at {
			c.Okf("P26", "the running node confirmed a heartbeat within %s", time.Since(started).Round(time.Millisecond))
			return
		}
		if !pause(ctx, 50*time.Millisecond) {
			return
		}
	}
	if err != nil {
		c.failed("P26", err)
		return
	}
	c.Warnf("P26", "it is far behind, or something holds it up", "kafkasync status # shows what", "the running node has not confirmed a heartbeat within %s", probeWait)
}

// probeSlot reads the slot until a heartbeat comes out, and confirms nothing: the slot stays where it is.
func (c *checkup) probeSlot(ctx context.Context, conn *pgx.Conn, settings *pgx.ConnConfig) {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	started := time.Now()
	replication, err := replicate(ctx, settings)
	if err != nil {
		c.failed("P26", err)
		return
	}
	defer c.letGo(ctx, conn, replication)
	content := rand.Text()
	if _, err = emit(ctx, conn, content); err == nil {
		err = c.await(ctx, replication, content)
	}
	if err != nil {
		c.failed("P26", err)
		return
	}
	c.Okf("P26", "a heartbeat came out of slot %s within %s", c.slot.Name, time.Since(started).Round(time.Millisecond))
}

// letGo ends the reading of the slot, and waits until a node could begin with it.
func (c *checkup) letGo(ctx context.Context, conn *pgx.Conn, replication *pgconn.PgConn) {
	hangUp(ctx, replication)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	for {
		slot, err := findSlot(ctx, conn, c.slot.Name)
		if err != nil || slot == nil || slot.ActivePID != int32(replication.PID()) || !pause(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// await reads the slot until the content comes along. The server sends everything
// since the slot's confirmed position, decoded as for us.
func (c *checkup) await(ctx context.Context, conn *pgconn.PgConn, content string) error {
	doing := "reading slot " + c.slot.Name
	err := pglogrepl.StartReplication(ctx, conn, quoteName(c.slot.Name), c.slot.ConfirmedFlush, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication,
		PluginArgs: []string{
			"proto_version '1'", "publication_names " + quoteText(quoteName(c.cfg.Publication)), "messages 'true'",
		},
	})
	for err == nil {
		var m pgproto3.BackendMessage
		m, err = conn.ReceiveMessage(ctx)
		switch m := m.(type) {
		case *pgproto3.CopyData:
			if bytes.Contains(m.Data, []byte(content)) {
				return nil
			}
		case *pgproto3.ErrorResponse:
			err = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.NoticeResponse:
			err = skipped(m)
		}
	}
	return classify(err, doing)
}
