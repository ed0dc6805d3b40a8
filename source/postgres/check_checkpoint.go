package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// recallWait is how long a node that does not lead may be behind the one that does.
const recallWait = 2 * time.Second

// checkCheckpoint compares the server and the slot with the checkpoint. Who
// reads and confirms meanwhile does no harm: the slot was read before the
// checkpoint, which is never behind it, and the end of the log is read after.
func (c *checkup) checkCheckpoint(ctx context.Context, conn *pgx.Conn) {
	if c.opts.Checkpoint == nil || c.identity.system == "" { // or P04 has said why
		if c.slot != nil {
			c.Okf("P18", "the slot is not compared with the checkpoint, which only a running node knows")
		}
		return
	}
	at, ok := c.checkpoint(ctx)
	if !ok || !c.checkIdentityOf(ctx, conn, at) {
		return
	}
	if c.slot == nil {
		c.Errorf("P15", riskSlotGone, c.command(fixNewSlot), "slot %s does not exist any more, and the pipeline has a checkpoint", c.cfg.Slot)
		return
	}
	deadline := time.Now().Add(recallWait)
	for c.slot.ConfirmedFlush > at.lsn && time.Now().Before(deadline) && pause(ctx, recallWait/10) {
		if at, ok = c.checkpoint(ctx); !ok {
			return
		}
	}
	if c.slot.ConfirmedFlush > at.lsn {
		c.Errorf("P18", "changes between the two were sent to somebody else, and are not published", c.command(fixAdoptSlot),
			"slot %s has moved to %s, %s beyond the checkpoint: something else has read it, or it was made anew",
			c.slot.Name, c.slot.ConfirmedFlush, bytesText(int64(c.slot.ConfirmedFlush-at.lsn)))
	}
	c.Okf("P18", "slot %s is not beyond the checkpoint at %s", c.slot.Name, at.lsn)
}

// checkpoint asks the node, and reports whether there is something to compare.
func (c *checkup) checkpoint(ctx context.Context) (place, bool) {
	position, err := c.opts.Checkpoint(ctx)
	if err != nil {
		c.Okf("P18", "the slot is not compared with the checkpoint: %s", oneLine{err})
		return place{}, false
	}
	if position == "" {
		c.Okf("P18", "the pipeline has no checkpoint yet")
		return place{}, false
	}
	at, err := parsePosition(position)
	if err != nil {
		c.failed("P18", fmt.Errorf("reading the checkpoint: %w", err))
		return place{}, false
	}
	return at, true
}

// checkIdentityOf reports whether the checkpoint is of this server and of its past.
func (c *checkup) checkIdentityOf(ctx context.Context, conn *pgx.Conn, at place) bool {
	const why = "what it has is not what was published up to the checkpoint"
	end, err := askLSN(ctx, conn, "asking for the end of the log", "pg_current_wal_flush_lsn()")
	if err != nil {
		c.failed("P19", err)
		return false
	}
	server := c.identity
	switch {
	case server.system != at.system:
		c.Errorf("P19", why, "point source.postgres.url at the server of before; or, if this one takes its place: "+c.command(fixNewSlot),
			"this is another server: its system identifier is %s, the checkpoint is of %s", server.system, at.system)
	case server.timeline < at.timeline:
		c.Errorf("P19", why, "point source.postgres.url at the server that was promoted; or, if this one takes its place: "+c.command(fixNewSlot),
			"the server is on timeline %d, and the checkpoint of timeline %d: it is the one before a promotion, or was restored",
			server.timeline, at.timeline)
	case server.timeline == at.timeline && end < at.lsn:
		c.Errorf("P19", why, c.command(fixNewSlot),
			"the server's log ends at %s, before the checkpoint at %s: it was restored to an earlier point", end, at.lsn)
	case server.timeline > at.timeline:
		c.Okf("P19", "the server is the one of the checkpoint, promoted since: timeline %d, the checkpoint is of %d", server.timeline, at.timeline)
	}
	c.Okf("P19", "the server is the one of the checkpoint, on timeline %d", server.timeline)
	return !c.Reported("P19")
}

// command is one of the ways out as an operator types it.
func (c *checkup) command(fix string) string {
	if c.opts.Pipeline == "" {
		return fix
	}
	return strings.ReplaceAll(fix, namePlace, c.opts.Pipeline)
}

// bytesText is a size as a person reads it.
func bytesText(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d kB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d GB", n>>30)
}
