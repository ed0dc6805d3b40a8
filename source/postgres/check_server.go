package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	oldestVersion    = 140000
	minSenderTimeout = 10 * time.Second
	minSlotKeepMB    = 1024
	minSlotIdle      = 24 * time.Hour
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
	Superuser   bool
	Creates     bool // the role may create a publication in the database

	Slots, MaxSlots     int
	Senders, MaxSenders int
	SlotKeepMB          int // -1: no limit
	SenderTimeout       time.Duration
	SlotIdle            time.Duration // how long a slot may be unread, from 18 on; 0: for ever
}

const serverSQL = `SELECT current_setting('server_version_num')::int, version(), pg_is_in_recovery(),
		current_setting('wal_level'), current_setting('server_encoding'), current_database(), current_user,
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user), has_database_privilege(current_database(), 'CREATE'),
		(SELECT count(*)::int FROM pg_replication_slots), current_setting('max_replication_slots')::int,
		(SELECT count(*)::int FROM pg_stat_replication), current_setting('max_wal_senders')::int,
		(SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
		(SELECT setting::int FROM pg_settings WHERE name = 'wal_sender_timeout'),
		coalesce(extract(epoch FROM current_setting('idle_replication_slot_timeout', true)::interval), 0)::bigint`

func lookAtServer(ctx context.Context, conn *pgx.Conn) (serverFacts, error) {
	var s serverFacts
	var timeoutMS, idleSeconds int64
	err := conn.QueryRow(ctx, serverSQL).Scan(&s.Version, &s.VersionText, &s.Recovery,
		&s.WALLevel, &s.Encoding, &s.Database, &s.Role, &s.Superuser, &s.Creates,
		&s.Slots, &s.MaxSlots, &s.Senders, &s.MaxSenders, &s.SlotKeepMB, &timeoutMS, &idleSeconds)
	s.SenderTimeout = time.Duration(timeoutMS) * time.Millisecond
	s.SlotIdle = time.Duration(idleSeconds) * time.Second
	return s, classify(err, "looking at the server")
}

// checkServer reports whether the server is one whose log can be followed at all.
func (c *checkup) checkServer() bool {
	s := c.server
	// Others speak the protocol under their own name and have no log to decode.
	if s.Version < oldestVersion || !strings.HasPrefix(s.VersionText, "PostgreSQL") {
		c.Errorf("P01", "logical replication is read as Postgres 14 and later send it",
			"upgrade the server to Postgres 14 or later", "the server is %s", s.VersionText)
		return false
	}
	c.Okf("P01", "the server is Postgres %d.%d", s.Version/10000, s.Version%10000)
	if s.Recovery {
		c.Errorf("P06", "the publication, the slot and the heartbeat need the primary", fixStandby, "the server is a standby")
		return false
	}
	c.Okf("P06", "the server is a primary")
	return true
}

func (c *checkup) checkSettings() {
	s := c.server
	if s.WALLevel != "logical" {
		c.Errorf("P02", "the log does not hold what identifies a row", fixWALLevel, "wal_level is %s", s.WALLevel)
	}
	c.Okf("P02", "wal_level is logical")
	if s.Encoding == "SQL_ASCII" {
		c.Warnf("P28", "the server does not know how its text is encoded; what is not UTF-8 cannot be published",
			fmt.Sprintf("CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0; -- then pg_dump into it",
				quoteName(s.Database+"_utf8")), "the encoding of database %s is SQL_ASCII", s.Database)
	}
	c.Okf("P28", "the database is encoded in %s", s.Encoding)
}

// checkLimits looks at what the server has left for us, and for how long.
func (c *checkup) checkLimits() {
	s := c.server
	if c.slot == nil && s.Slots >= s.MaxSlots {
		c.Errorf("P03", "our slot cannot be created",
			fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d; -- then restart Postgres; or drop a slot that nobody uses", s.MaxSlots+10),
			"all %d replication slots are in use", s.MaxSlots)
	}
	if s.Senders >= s.MaxSenders {
		c.Errorf("P03", "the server has no process left to send us its log",
			fmt.Sprintf("ALTER SYSTEM SET max_wal_senders = %d; -- then restart Postgres", s.MaxSenders+10),
			"all %d walsenders are in use", s.MaxSenders)
	}
	c.Okf("P03", "%d of %d slots and %d of %d walsenders are in use", s.Slots, s.MaxSlots, s.Senders, s.MaxSenders)
	if s.SenderTimeout > 0 && s.SenderTimeout < minSenderTimeout {
		c.Warnf("P24", "the server drops the connection whenever the network or a pause takes that long",
			fmt.Sprintf("ALTER ROLE %s IN DATABASE %s SET wal_sender_timeout = '60s';", quoteName(s.Role), quoteName(s.Database)),
			"wal_sender_timeout is only %v", s.SenderTimeout)
	}
	c.Okf("P24", "wal_sender_timeout is %v", s.SenderTimeout)
}

// checkKeeping looks at how long the server keeps its log for a slot that nobody reads.
func (c *checkup) checkKeeping() {
	s := c.server
	const keep = "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); -- as much as the disk can spare"
	switch {
	case s.SlotKeepMB < 0:
		c.Warnf("P20", "while kafkasync is down, the server keeps its log until the disk is full", keep, "max_slot_wal_keep_size has no limit")
	case s.SlotKeepMB < minSlotKeepMB:
		c.Warnf("P20", "the slot is lost, and a gap recorded, once kafkasync is that far behind", keep,
			"max_slot_wal_keep_size is only %d MB", s.SlotKeepMB)
	}
	c.Okf("P20", "the server keeps up to %d MB of log for a slot", s.SlotKeepMB)

	if s.Version < 180000 {
		return
	}
	if s.SlotIdle > 0 && s.SlotIdle < minSlotIdle {
		c.Warnf("P21", "the slot is lost, and a gap recorded, once kafkasync has been down for that long",
			"ALTER SYSTEM SET idle_replication_slot_timeout = '3d'; SELECT pg_reload_conf(); -- or 0: max_slot_wal_keep_size is limit enough",
			"idle_replication_slot_timeout is only %v", s.SlotIdle)
	}
	c.Okf("P21", "the server drops no slot that nobody reads for a day")
}
