package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const transactionWait = time.Second

// openTransaction is one that has written, and so holds up the creation of a slot.
type openTransaction struct {
	PID      int32  // 0: prepared
	Prepared string // its global id
	XID      string
	Who      string // "psql, since 2026-11-21 10:50:00"; the role may not be shown all of it
}

// The locks on transaction ids are shown to every role, what else is known of a session is not.
const transactionsSQL = `(SELECT DISTINCT ON (l.pid) l.pid, '', l.transactionid::text,
		concat_ws(', ', nullif(a.application_name, ''), 'database ' || a.datname, 'since ' || a.xact_start::timestamp(0))
	FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
	WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
	  AND l.pid IS NOT NULL AND l.pid <> pg_backend_pid()
	ORDER BY l.pid, age(l.transactionid) DESC)
	UNION ALL
	SELECT 0, p.gid, p.transaction::text, concat_ws(', ', 'database ' || p.database, 'since ' || p.prepared::timestamp(0))
	FROM pg_prepared_xacts p`

// checkTransactions looks for transactions that creating the slot would wait
// for: those that are still open a moment later.
func (c *checkup) checkTransactions(ctx context.Context, conn *pgx.Conn) {
	if c.slot != nil {
		return
	}
	first, err := openTransactions(ctx, conn)
	if err == nil && len(first) > 0 && pause(ctx, transactionWait) {
		var second []openTransaction
		second, err = openTransactions(ctx, conn)
		for _, t := range second {
			if slices.ContainsFunc(first, func(f openTransaction) bool { return f.XID == t.XID }) {
				c.transactionProblem(t)
			}
		}
	}
	if err != nil {
		c.failed("P27", err)
	}
	c.Okf("P27", "no open transaction holds up the creation of the slot")
}

func (c *checkup) transactionProblem(t openTransaction) {
	const why = "creating the slot waits until it ends"
	if t.PID == 0 {
		c.Warnf("P27", why, "ROLLBACK PREPARED "+quoteText(t.Prepared)+"; -- in its database; or COMMIT PREPARED",
			"the prepared transaction %s is open (%s)", t.Prepared, t.Who)
		return
	}
	c.Warnf("P27", why, fmt.Sprintf("SELECT pg_terminate_backend(%d); -- or wait until it ends", t.PID),
		"a transaction of process %d is open (%s)", t.PID, t.Who)
}

func openTransactions(ctx context.Context, conn *pgx.Conn) ([]openTransaction, error) {
	rows, err := conn.Query(ctx, transactionsSQL)
	if err != nil {
		return nil, classify(err, "listing open transactions")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[openTransaction])
	return found, classify(err, "listing open transactions")
}
