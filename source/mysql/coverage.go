package mysql

import (
	"context"
	"log/slog"
	"slices"

	"github.com/kafkasync/kafkasync/source"
)

// covers is the coverage of a table. The log holds every table, so one that is covered stays so as long as it has
// its name, whatever it becomes: its id is no more than that.
func covers(table string, since source.Position) source.Coverage {
	return source.Coverage{Table: table, ID: "binlog/" + table, Since: since}
}

// The causes of gaps.
const (
	causeLate      = "a rule captures the table only since then; what was written before is not published"
	causeUnseen    = "the server does not show the table to our user, so whether changes of it are missing cannot be known"
	causeRenamed   = "the table was renamed to this name; the rows that it had are not published"
	causeDiscarded = "a statement dropped or exchanged all rows of a part of the table, of which the log says nothing"
	causeBranch    = "an XA transaction was committed that had been prepared before the log was read"
)

// coverage keeps the cluster's register of tables in step with the log. A table is covered from its creation
// on, if that is read; one that was there before from where it is first looked for.
type coverage struct {
	memory source.Memory
	log    *slog.Logger
	from   source.Position // where this stream began
	// late are the captured tables that are there and not registered. Until reading has reached target, the log
	// may still tell that one was created after from, and that nothing of it is missing.
	late   map[string]bool
	target place
}

// newCoverage compares the register with the tables that there are. end is where the log ended before they were listed.
func newCoverage(memory source.Memory, log *slog.Logger, from source.Position, tables []string, end place) *coverage {
	c := &coverage{memory: memory, log: log, from: from, late: map[string]bool{}, target: end}
	for _, table := range tables {
		c.late[table] = true
	}
	for _, known := range memory.Covered() {
		delete(c.late, known.Table)
	}
	return c
}

func (c *coverage) knows(table string) bool {
	return slices.ContainsFunc(c.memory.Covered(), func(known source.Coverage) bool { return known.Table == table })
}

// arrived is called for a table that got its name at a place in the log. Of one that was created there, nothing can be missing.
func (c *coverage) arrived(ctx context.Context, table string, at place, created bool) error {
	if c.knows(table) {
		return nil
	}
	if !created {
		if !c.late[table] { // one that is there will be registered with all that is missing before
			return c.register(ctx, []string{table}, at.position(), causeRenamed)
		}
		return nil
	}
	delete(c.late, table)
	covered := append(c.memory.Covered(), covers(table, at.position()))
	return c.memory.Cover(ctx, covered, nil)
}

// seen is called for a table whose rows come. One that is not registered by now is in no list that the server gives us.
func (c *coverage) seen(ctx context.Context, table string) error {
	if c.late[table] || c.knows(table) {
		return nil
	}
	return c.register(ctx, []string{table}, c.from, causeUnseen)
}

// reached registers the tables that were not created on the way, once reading has come as far as it must.
func (c *coverage) reached(ctx context.Context, at place) error {
	if len(c.late) == 0 || !at.reached(c.target) {
		return nil
	}
	tables := make([]string, 0, len(c.late))
	for table := range c.late {
		tables = append(tables, table)
	}
	slices.Sort(tables)
	clear(c.late)
	return c.register(ctx, tables, c.from, causeLate)
}

func (c *coverage) register(ctx context.Context, tables []string, since source.Position, cause string) error {
	covered := c.memory.Covered()
	var gaps []source.Gap
	for _, table := range tables {
		covered = append(covered, covers(table, since))
		gaps = append(gaps, source.Gap{Table: table, To: since, Cause: cause})
	}
	return c.miss(ctx, covered, gaps)
}

// discarded is called where rows went without a trace.
func (c *coverage) discarded(ctx context.Context, table string, at place) error {
	return c.miss(ctx, c.memory.Covered(), []source.Gap{{Table: table, From: at.position(), To: at.position(), Cause: causeDiscarded}})
}

// unknownBranch is called where changes became true that were in the log before it was read. They may be of any table.
func (c *coverage) unknownBranch(ctx context.Context, at place, xid string) error {
	c.log.WarnContext(ctx, "an XA transaction was committed whose rows were not read", "xid", xid)
	covered := c.memory.Covered()
	gaps := make([]source.Gap, len(covered))
	for i := range covered {
		gaps[i] = source.Gap{Table: covered[i].Table, From: at.position(), To: at.position(), Cause: causeBranch + ": " + xid}
	}
	return c.miss(ctx, covered, gaps)
}

func (c *coverage) miss(ctx context.Context, covered []source.Coverage, gaps []source.Gap) error {
	if err := c.memory.Cover(ctx, covered, gaps); err != nil {
		return err
	}
	for _, g := range gaps {
		c.log.WarnContext(ctx, "changes of a table are missing", "table", g.Table, "from", string(g.From), "to", string(g.To), "cause", g.Cause)
	}
	return nil
}

// firstCoverage is what Head registers. If something is registered already, a table that is not
// among it joins later, with what is missing of it.
func firstCoverage(before []source.Coverage, tables []string) []source.Coverage {
	var covered []source.Coverage
	for _, table := range tables {
		known := slices.ContainsFunc(before, func(c source.Coverage) bool { return c.Table == table })
		if known || len(before) == 0 {
			covered = append(covered, covers(table, ""))
		}
	}
	return covered
}
