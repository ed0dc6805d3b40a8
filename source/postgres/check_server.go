package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	oldestVersion    = 140000
	minSenderTimeout = 10 * time.Second
	minSlotKeepMB    = 1024
	transactionWait  = time.Second
)

// serverFacts is what one query tells of a server and of our role on it.
type serverFacts struct {
	Version     int
	VersionText string
	Recovery    bool
	WALLevel    string
	Encoding    string // of the database
	Database    string
	Role        string
	Creates     bool // the role may create a publication in the database

	Slots, MaxSlots     int
	Senders, MaxSenders int
	SlotKeepMB          int // -1: no limit
	SenderTimeout       time.Duration
	Pooled              bool // the backend is another than the one that was logged in to
}

const serverSQL = `SELECT current_setting('server_version_num')::int, version(), pg_is_in_recovery(),
		current_setting('wal_level'), current_setting('server_encoding'), current_database(), current_user,
		has_database_privilege(current_database(), 'CREATE'),
		(SELECT count(*)::int FROM pg_replication_slots), current_setting('max_replication_slots')::int,
		(SELECT count(*)::int FROM pg_stat_replication), current_setting('max_wal_senders')::int,
		(SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
		(SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout'),
		pg_backend_pid()`

func lookAtServer(ctx context.Context, conn *pgx.Conn) (serverFacts, error) {
	var s serverFacts
	var timeoutMS int64
	var pid uint32
	err := conn.QueryRow(ctx, serverSQL).Scan(&s.Version, &s.VersionText, &s.Recovery,
		&s.WALLevel, &s.Encoding, &s.Database, &s.Role, &s.Creates,
		&s.Slots, &s.MaxSlots, &s.Senders, &s.MaxSenders, &s.SlotKeepMB, &timeoutMS, &pid)
	s.SenderTimeout = time.Duration(timeoutMS) * time.Millisecond
	s.Pooled = pid != conn.PgConn().PID()
	return s, classify(err, "looking at the server")
}

// checkServer reports whether the server is one whose log can be followed at all.
func (c *checkup) checkServer() bool {
	s := c.server
	// Others speak the protocol under their own name and have no log to decode.
	if s.Version < oldestVersion || !strings.HasPrefix(s.VersionText, "PostgreSQL") {
		c.errorf("P01", "logical replication is read as Postgres 14 and later send it",
			"upgrade the server to Postgres 14 or later", "the server is %s", s.VersionText)
		return false
	}
	c.okf("P01", "the server is Postgres %d.%d", s.Version/10000, s.Version%10000)
	if s.Recovery {
		c.errorf("P06", "the publication, the slot and the heartbeat need the primary", fixStandby, "the server is a standby")
		return false
	}
	c.okf("P06", "the server is a primary")
	return true
}

func (c *checkup) checkSettings() {
	s := c.server
	if s.WALLevel != "logical" {
		c.errorf("P02", "the log does not hold what identifies a row", fixWALLevel, "wal_level is %s", s.WALLevel)
	}
	c.okf("P02", "wal_level is logical")
	if s.Pooled {
		c.warnf("P05", "a pooler hands a session from one connection to another; most cannot carry replication", fixPooler,
			"there is a connection pooler before the server")
	}
	c.okf("P05", "the connection is direct")
	if s.Encoding == "SQL_ASCII" {
		c.warnf("P28", "the server does not know how its text is encoded; what is not UTF-8 cannot be published",
			fmt.Sprintf("CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0; -- then pg_dump into it",
				quoteName(s.Database+"_utf8")), "the encoding of database %s is SQL_ASCII", s.Database)
	}
	c.okf("P28", "the database is encoded in %s", s.Encoding)
}

// checkLimits looks at what the server has left for us, and for how long.
func (c *checkup) checkLimits() {
	s := c.server
	if c.slot == nil && s.Slots >= s.MaxSlots {
		c.errorf("P03", "our slot cannot be created",
			fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d; -- then restart Postgres; or drop a slot that nobody uses", s.MaxSlots+10),
			"all %d replication slots are in use", s.MaxSlots)
	}
	if s.Senders >= s.MaxSenders {
		c.errorf("P03", "the server has no process left to send us its log",
			fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d; -- then restart Postgres", s.MaxSenders+10),
			"all %d walsenders are in use", s.MaxSenders)
	}
	c.okf("P03", "%d of %d slots and %d of %d walsenders are in use", s.Slots, s.MaxSlots, s.Senders, s.MaxSenders)

	const keep = "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); -- as much as the disk can spare"
	switch {
	case s.SlotKeepMB < 0:
		c.warnf("P20", "while kafkasync is down, the server keeps its log until the disk is full", keep, "max_slot_wal_keep_size has no limit")
	case s.SlotKeepMB < minSlotKeepMB:
		c.warnf("P20", "the slot is lost, and a gap recorded, once kafkasync is that far behind", keep,
			"max_slot_wal_keep_size is only %d MB", s.SlotKeepMB)
	}
	c.okf("P20", "the server keeps up to %d MB of log for a slot", s.SlotKeepMB)

	if s.SenderTimeout > 0 && s.SenderTimeout < minSenderTimeout {
		c.warnf("P24", "the server drops the connection whenever the network or a pause takes that long",
			fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET wal_sender_timeout = '60s';", quoteName(s.Role), quoteName(s.Database)),
			"wal_sender_timeout is only %v", s.SenderTimeout)
	}
	c.okf("P24", "wal_sender_timeout is %v", s.SenderTimeout)
}

// checkReplication opens the kind of connection that the stream will use: what
// the catalog says of a role does not tell what pg_hba.conf or a managed
// service makes of it.
func (c *checkup) checkReplication(ctx context.Context, settings *pgx.ConnConfig) {
	replication := settings.Config.Copy()
	replication.RuntimeParams["replication"] = "database"
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, replication)
	if err != nil {
		c.failed("P04", classify(err, "opening a replication connection"))
		return
	}
	defer hangUp(ctx, conn)
	if _, err := pglogrepl.IdentifySystem(ctx, conn); err != nil {
		c.failed("P04", classify(err, "identifying the server"))
	}
	c.okf("P04", "role %s may replicate", c.server.Role)
}

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
	c.okf("P27", "no open transaction holds up the creation of the slot")
}

func (c *checkup) transactionProblem(t openTransaction) {
	const why = "creating the slot waits until it ends"
	if t.PID == 0 {
		c.warnf("P27", why, "ROLLBACK PREPARED "+quoteText(t.Prepared)+"; -- in its database; or COMMIT PREPARED",
			"the prepared transaction %s is open (%s)", t.Prepared, t.Who)
		return
	}
	c.warnf("P27", why, fmt.Sprintf("SELECT pg_terminate_backend(%d); -- or wait until it ends", t.PID),
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
