package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/source"
)

// candidate is a published table that is not covered yet. A transaction that was
// open when the table was put into the publication may have written rows that
// are not published, and commit them any time later; so the table is covered from
// the place in the log at which all of these have ended. What commits meanwhile is
// published as far as the server sends it.
type candidate struct {
	barrier int64 // every transaction with a lower id must have ended
	since   time.Time
	told    string // what was said to be waited for
}

// patience is how long a candidate may wait before it is said what it waits for.
const patience = 5 * time.Second

// join covers the published tables whose waiting is over.
func (k *keeper) join(ctx context.Context, conn *pgx.Conn) error {
	covered := k.memory.Covered()
	pending := k.pending(covered)
	if len(pending) == 0 {
		clear(k.joining)
		return nil
	}
	oldest, next, err := transactionIDs(ctx, conn)
	if err != nil {
		return err
	}
	var ready []entry
	waiting := map[string]*candidate{}
	for _, e := range pending {
		c := k.joining[e.Membership]
		if c == nil {
			c = &candidate{barrier: next, since: time.Now()}
			k.source.log.InfoContext(ctx, "a table is going to be covered", "table", e.Name)
		}
		if oldest >= c.barrier {
			ready = append(ready, e)
			continue
		}
		waiting[e.Membership] = c
		k.explainWait(ctx, conn, e, c)
	}
	k.joining = waiting
	if len(ready) == 0 {
		return nil
	}
	if ready, err = k.forgetStaleCaches(ctx, conn, ready); err != nil || len(ready) == 0 {
		return err
	}
	// Read after all of them have ended: nothing that commits behind it is missing.
	end, err := endOfLog(ctx, conn)
	if err != nil {
		return err
	}
	return k.register(ctx, covered, ready, k.position(end))
}

// forgetStaleCaches makes decoding look the memberships up again, and returns the
// tables with their new ones. Before the releases of May 2025 ("Fix data loss when DDL
// operations that don't take a strong lock affect tables that are being logically
// replicated"), decoding a transaction that was older than the membership left its
// outdated answer in the server's cache, and the table stayed unpublished for the
// transactions behind it. A new membership drops that answer; who is open now
// knows the one before, and publishes the table just as well.
func (k *keeper) forgetStaleCaches(ctx context.Context, conn *pgx.Conn, ready []entry) ([]entry, error) {
	if !keepsStaleCaches(k.last.publication.Server) {
		return ready, nil
	}
	var names []string
	for _, e := range ready {
		if err := execute(ctx, conn, renewMembership(k.source.cfg.Publication, quoteTable(e.Name))); err != nil {
			k.say(ctx, e.Name, err)
			continue
		}
		names = append(names, e.Name)
	}
	inv, err := takeInventory(ctx, conn, k.source.cfg.Publication)
	if err != nil {
		return nil, err
	}
	inv.lsn = k.last.lsn
	k.last = inv
	return slices.DeleteFunc(slices.Clone(inv.entries), func(e entry) bool { return !e.Published || !slices.Contains(names, e.Name) }), nil
}

// keepsStaleCaches tells the releases without that fix, by server_version_num.
func keepsStaleCaches(version int) bool {
	switch version / 10000 {
	case 14:
		return version < 140018
	case 15:
		return version < 150013
	case 16:
		return version < 160009
	case 17:
		return version < 170005
	}
	return false
}

// pending lists what is published and not covered.
func (k *keeper) pending(covered []source.Coverage) []entry {
	whole := make(map[string]bool, len(covered))
	for _, c := range covered {
		if c.Until == "" {
			membership, _ := splitID(c.ID)
			whole[membership] = true
		}
	}
	var pending []entry
	for _, e := range k.last.entries {
		if e.Published && !whole[e.Membership] && k.source.selector.Captures(e.Name) {
			pending = append(pending, e)
		}
	}
	return pending
}

// register stores that the tables are covered from a position on, and what is missing before it.
func (k *keeper) register(ctx context.Context, covered []source.Coverage, ready []entry, since source.Position) error {
	gaps := make([]source.Gap, len(ready))
	at := make(map[string]int, len(ready))
	for i, e := range ready {
		gaps[i] = source.Gap{Table: e.Name, To: since, Cause: causeLate}
		at[e.Name] = i
	}
	covered = slices.DeleteFunc(covered, func(c source.Coverage) bool {
		i, joins := at[c.Table]
		if joins && c.Since != k.first() { // else see coverLater
			gaps[i].From, gaps[i].Cause = c.Until, causeInterrupted
		}
		return joins
	})
	for _, e := range ready {
		id, err := registered(e.Membership, k.source.keys.of(e.OID))
		if err != nil {
			return err
		}
		covered = append(covered, source.Coverage{Table: e.Name, ID: id, Since: since})
	}
	if err := k.memory.Cover(ctx, covered, gaps); err != nil {
		return err
	}
	for _, g := range gaps {
		k.source.log.WarnContext(ctx, "a table is covered from here on; what changed in it before is a gap",
			"table", g.Table, "from", string(g.From), "to", string(g.To))
	}
	return nil
}

// transactionIDs returns the id of the oldest transaction that is open, of
// whatever database, and the next id to be given out.
func transactionIDs(ctx context.Context, conn *pgx.Conn) (oldest, next int64, err error) {
	err = conn.QueryRow(ctx, `SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint
		FROM pg_current_snapshot() s`).Scan(&oldest, &next)
	return oldest, next, classify(err, "asking for open transactions")
}

// explainWait says, once for each, which transaction a table waits for.
func (k *keeper) explainWait(ctx context.Context, conn *pgx.Conn, e entry, c *candidate) {
	if time.Since(c.since) < patience {
		return
	}
	holder, err := pinnedBy(ctx, conn)
	if err != nil || holder == "" || holder == c.told {
		return // the next look tries again
	}
	c.told = holder
	k.source.log.WarnContext(ctx, "a table is published, but covered only when a transaction has ended", "table", e.Name, "transaction", holder)
}
