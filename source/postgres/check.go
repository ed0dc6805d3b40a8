package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// rulebook is what a Selector may know beyond its contract.
type rulebook interface {
	// Unmatched names the tables that rules name in full, to capture them, and that are not among those given.
	Unmatched(tables []string) []string
	// Mentions reports whether a rule decides about the table, also to skip it.
	Mentions(table string) bool
}

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
	return append(c.problems, c.fine...)
}

// checkup is one run of Check: what was seen of the server, and what is wrong with it.
type checkup struct {
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

	problems, fine []kafkasync.Finding
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

func (c *checkup) errorf(id, why, fix, what string, args ...any) {
	c.report(id, kafkasync.SeverityError, why, fix, fmt.Sprintf(what, args...))
}

func (c *checkup) warnf(id, why, fix, what string, args ...any) {
	c.report(id, kafkasync.SeverityWarning, why, fix, fmt.Sprintf(what, args...))
}

// report takes back that the check had passed: a later look knew more.
func (c *checkup) report(id string, severity kafkasync.Severity, why, fix, what string) {
	c.fine = slices.DeleteFunc(c.fine, func(f kafkasync.Finding) bool { return f.ID == id })
	c.problems = append(c.problems, kafkasync.Finding{ID: id, Severity: severity, What: what, Why: why, Fix: fix})
}

// okf says that a check passed, unless it has reported a problem.
func (c *checkup) okf(id, what string, args ...any) { c.hintf(id, "", "", what, args...) }

// hintf is okf with what could be better still.
func (c *checkup) hintf(id, why, fix, what string, args ...any) {
	if !c.reported(id) {
		c.fine = append(c.fine, kafkasync.Finding{ID: id, Severity: kafkasync.SeverityOK, What: fmt.Sprintf(what, args...), Why: why, Fix: fix})
	}
}

// reported reports whether one of these checks has found a problem.
func (c *checkup) reported(ids ...string) bool {
	return slices.ContainsFunc(c.problems, func(f kafkasync.Finding) bool { return slices.Contains(ids, f.ID) })
}

// failed reports that nobody could look.
func (c *checkup) failed(id string, err error) {
	f := kafkasync.Finding{ID: id, Severity: kafkasync.SeverityError, What: err.Error(), Fix: "run kafkasync check again"}
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		f.What, f.Why = fault.What, "the pipeline does not start until this is fixed"
		if fault.Err != nil {
			f.Why = fault.Err.Error()
		}
		if fault.Fix != "" {
			f.Fix = c.command(fault.Fix)
		}
	}
	c.problems = append(c.problems, f)
}

// names lists what is to be read in one line; a long list is cut.
func names(all []string) string {
	const most = 50
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}
