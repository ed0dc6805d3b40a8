package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/findings"
)

// CheckOptions is what is known of a pipeline beside its part of the file.
type CheckOptions struct {
	Pipeline string // as `kafkasync recover` wants it
	// Checkpoint asks a running node for the pipeline's position, "" if there is
	// none yet. nil: no node runs, and nobody else knows.
	Checkpoint func(context.Context) (source.Position, error)
}

// Check looks over the server, the tables that sel captures, the publication and
// the slot. It changes nothing, but where there is a slot it writes one empty
// message to the log, to see whether it comes out. The findings come in that
// order, errors and warnings first, each with what fixes it; then one for each
// check that passed, which may still have a hint. If no connection can be made,
// or the server is none that can be followed, that is the last finding and the
// rest is not looked at.
//
// A Fix that begins with SQL is SQL to its end, remarks as comments. What it
// needs more than our role may do is for a superuser or the table's owner.
func Check(ctx context.Context, cfg Config, sel source.Selector, opts CheckOptions) []kafkasync.Finding {
	c := &checkup{cfg: cfg, sel: sel, opts: opts}
	c.run(ctx)
	return c.All()
}

// checkup is one run of Check: what was seen of the server, and what is wrong with it.
type checkup struct {
	findings.List

	cfg  Config
	sel  source.Selector
	opts CheckOptions

	server   serverFacts
	identity place   // of the server, and how far its log had been written
	tables   []table // all of the database
	captured []table
	pub      *publication // nil: none
	slot     *slotState   // nil: none
	held     bool         // the server sends nothing until a standby is back
}

func (c *checkup) run(ctx context.Context) {
	settings, err := connConfig(c.cfg, "kafkasync check")
	if err != nil {
		c.failed("P04", classify(err, "reading source.postgres.url"))
		return
	}
	conn := c.connect(ctx, settings)
	if conn == nil {
		return
	}
	defer hangUp(ctx, conn)
	if !c.look(ctx, conn) {
		return
	}
	c.checkSettings()
	c.checkLimits()
	c.checkKeeping()
	c.checkReplication(ctx, settings)
	c.checkRole()
	c.checkRules(ctx, conn)
	c.checkTables()
	c.checkPublication()
	c.checkSlot()
	c.checkCheckpoint(ctx, conn)
	c.checkFailover(ctx, conn, settings)
	c.checkSpill(ctx, conn)
	c.checkHeartbeat(ctx, conn, settings)
	c.checkTransactions(ctx, conn)
}

// look reads all that the checks need, and reports whether there is any use in them.
func (c *checkup) look(ctx context.Context, conn *pgx.Conn) bool {
	var err error
	if c.server, err = lookAtServer(ctx, conn); err != nil {
		c.failed("P01", err)
		return false
	}
	if !c.checkServer() {
		return false
	}
	if c.tables, err = tables(ctx, conn, func(string) bool { return true }); err != nil {
		c.failed("T01", err)
		return false
	}
	if c.pub, err = findPublication(ctx, conn, c.cfg.Publication); err != nil {
		c.failed("P07", err)
		return false
	}
	c.pub.excuse(c.tables) // before they are copied
	for _, t := range c.tables {
		if c.sel.Captures(t.Name) {
			c.captured = append(c.captured, t)
		}
	}
	if c.slot, err = findSlot(ctx, conn, c.cfg.Slot); err != nil {
		c.failed("P15", err)
		return false
	}
	return true
}

// failed reports that nobody could look.
func (c *checkup) failed(id string, err error) { c.Failed(id, err, c.command) }
