package consumer

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/kafkasync/kafkasync"
)

// How long AwaitReplica waits between two questions: the first ones follow soon, as most replicas are milliseconds behind.
const (
	askMin = 5 * time.Millisecond
	askMax = 200 * time.Millisecond
)

// AwaitReplica waits until a database server shows everything that the messages tell of, or ctx ends: for handlers that read
// from a replica. On the primary it does not wait.
//
// ask runs a query that returns one row with one truth, on that server and with whatever driver the application uses:
//
//	func(ctx context.Context, query string) (seen bool, err error) {
//		err = db.QueryRowContext(ctx, query).Scan(&seen)
//		return seen, err
//	}
//
// A position of a log file (MySQL without GTIDs) means nothing on a replica, and is an error.
func AwaitReplica(ctx context.Context, batch []kafkasync.Message, ask func(ctx context.Context, query string) (bool, error)) error {
	for _, pos := range newest(batch) {
		query, err := SeenQuery(pos)
		if err != nil {
			return err
		}
		for wait := askMin; ; wait = min(2*wait, askMax) {
			seen, err := ask(ctx, query)
			if err != nil {
				return fmt.Errorf("asking a database for %s: %w", pos, err)
			}
			if seen {
				break
			}
			if !pause(ctx.Done(), wait) {
				return fmt.Errorf("waiting until a database shows %s: %w", pos, context.Cause(ctx))
			}
		}
	}
	return nil
}

// newest are the positions that include all others: in a partition those of instant messages grow, and so do those of the messages of
// each delay.
func newest(batch []kafkasync.Message) (positions []string) {
	at := map[time.Duration]int{} // by delay, in positions
	for i := range batch {
		m := &batch[i]
		if m.Pos == "" {
			continue // of a backfill, which has read it from the primary
		}
		n, known := at[m.Delayed]
		if !known {
			n = len(positions)
			at[m.Delayed], positions = n, append(positions, "")
		}
		positions[n] = m.Pos
	}
	return positions
}

// The places that the header pos can show.
var (
	postgresPlace = regexp.MustCompile(`^[0-9A-F]{1,8}/[0-9A-F]{1,8}$`)
	mysqlPlace    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(:[a-z_][a-z0-9_]{0,31})?:[0-9]+$`)
	mariaDBPlace  = regexp.MustCompile(`^([0-9]+)-[0-9]+-([0-9]+)$`)
)

// SeenQuery returns the query by which a server, replica or primary, says whether what was committed at pos can be read there: one
// row with one truth. Postgres, MySQL and MariaDB are told apart by the form of pos.
func SeenQuery(pos string) (string, error) {
	switch {
	case postgresPlace.MatchString(pos):
		// After a promotion the last replayed place stays behind for ever, so only a server that replays is asked for it.
		return "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() > '" + pos + "'::pg_lsn ELSE true END", nil
	case mysqlPlace.MatchString(pos):
		return "SELECT GTID_SUBSET('" + pos + "', @@GLOBAL.gtid_executed)", nil
	case mariaDBPlace.MatchString(pos):
		parts := mariaDBPlace.FindStringSubmatch(pos)
		return "SELECT CAST(SUBSTRING_INDEX(REGEXP_SUBSTR(@@GLOBAL.gtid_current_pos, '(?<![0-9-])" + parts[1] +
			"-[0-9]+-[0-9]+'), '-', -1) AS UNSIGNED) >= " + parts[2], nil
	}
	return "", fmt.Errorf("consumer: %q is no place that a replica knows, want one like 0/16B3748, 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 or 0-1-100", pos)
}
