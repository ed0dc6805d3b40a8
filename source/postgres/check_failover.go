package postgres

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync/source/findings"
)

// standbyTimeout bounds the look at one of the other servers of the URL.
const standbyTimeout = 3 * time.Second

// checkFailover looks whether the slot would still be there after a failover,
// with nothing in it that the new primary does not have. Where the URL names one
// server only, a failover may not be meant at all: then it is a hint.
func (c *checkup) checkFailover(ctx context.Context, conn *pgx.Conn, settings *pgx.ConnConfig) {
	if c.Reported("P15") || c.slot != nil && c.slot.Plugin != "pgoutput" {
		return
	}
	primary, standbys := c.lookAtStandbys(ctx, settings)
	if c.server.Version < 170000 {
		c.checkCopies(standbys)
		return
	}
	physical, listed, err := physicalSlots(ctx, conn)
	if err != nil {
		c.failed("P22", err)
		return
	}
	replicated := several(settings) || len(physical) > 0
	if replicated && c.slot != nil && !c.slot.Failover {
		c.lacksFailover(primary, settings)
	}
	if c.slot == nil || c.slot.Failover {
		c.checkWaiting(replicated, physical, listed)
	}
	for _, s := range standbys {
		c.checkStandby(s)
	}
	if several(settings) {
		c.Okf("P22", "the slot is kept on %s for a failover", findings.Counted(len(standbys), "standby server"))
	}
}

// lacksFailover says that the slot stays behind. There is no function for the
// option, only a command of the replication protocol.
func (c *checkup) lacksFailover(primary string, settings *pgx.ConnConfig) {
	const why = "after a failover the new primary has no such slot: the pipeline stops, and a gap is recorded when it begins anew"
	host, port, _ := net.SplitHostPort(primary) // as address has joined them
	fix := fmt.Sprintf(`psql "host=%s port=%s user=%s dbname=%s replication=database" -c 'ALTER_REPLICATION_SLOT "%s" (FAILOVER true)' # with kafkasync stopped`,
		host, port, settings.User, settings.Database, c.slot.Name)
	what := fmt.Sprintf("slot %s is not kept on standby servers: its option failover is off", c.slot.Name)
	if several(settings) {
		c.Warnf("P22", why, fix, "%s", what)
		return
	}
	c.Hintf("P22", why, fix, "%s", what)
}

// physicalSlot is one that a standby reads.
type physicalSlot struct {
	Name   string
	Active bool
}

const physicalSQL = `SELECT slot_name, active FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary ORDER BY 1`

// physicalSlots returns them, and the names in synchronized_standby_slots.
func physicalSlots(ctx context.Context, conn *pgx.Conn) ([]physicalSlot, []string, error) {
	rows, err := conn.Query(ctx, physicalSQL)
	if err != nil {
		return nil, nil, classify(err, "listing the slots of standbys")
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[physicalSlot])
	if err != nil {
		return nil, nil, classify(err, "listing the slots of standbys")
	}
	var setting string
	if err := conn.QueryRow(ctx, "SELECT current_setting('synchronized_standby_slots')").Scan(&setting); err != nil {
		return nil, nil, classify(err, "asking for synchronized_standby_slots")
	}
	var listed []string
	for name := range strings.SplitSeq(setting, ",") {
		if name = strings.Trim(strings.TrimSpace(name), `"`); name != "" {
			listed = append(listed, name)
		}
	}
	return found, listed, nil
}

// checkWaiting looks at whom the server waits for before it sends us something:
// too few, and a new primary may lack what was published; one that is gone, and
// nothing is sent at all.
func (c *checkup) checkWaiting(replicated bool, physical []physicalSlot, listed []string) {
	var alive []string
	for _, p := range physical {
		if p.Active {
			alive = append(alive, p.Name)
		}
	}
	// With none alive, to wait for nobody is what lets changes through.
	waitFor := fmt.Sprintf("ALTER SYSTEM SET synchronized_standby_slots = %s; SELECT pg_reload_conf();", quoteText(strings.Join(alive, ", ")))
	for _, name := range listed {
		state := "is not read by a standby"
		if !slices.ContainsFunc(physical, func(p physicalSlot) bool { return p.Name == name }) {
			state = "is no slot of a standby"
		}
		if !slices.Contains(alive, name) {
			c.held = true
			c.Errorf("P22", "the server sends us nothing until that standby is back", waitFor+" -- or start the standby", "synchronized_standby_slots names %s, which %s", name, state)
		}
	}
	if !replicated || len(listed) > 0 {
		return
	}
	const why = "changes may be published that the standby has not got yet; if it then becomes the primary, the database lacks them, and no message says so"
	const what = "synchronized_standby_slots is empty"
	if len(alive) == 0 {
		c.Warnf("P22", why, "SELECT pg_create_physical_replication_slot('standby_1'); "+
			"-- then primary_slot_name = 'standby_1' on the standby, and synchronized_standby_slots = 'standby_1' here", "%s, and no standby has a slot", what)
		return
	}
	c.Warnf("P22", why, waitFor, "%s", what)
}

// standby is another server of the URL.
type standby struct {
	Address  string
	Err      error // it could not be looked at
	Slot     *slotState
	SyncOff  bool // sync_replication_slots is there and off
	Feedback bool
	SlotName string
	// Of primary_conninfo: whether we may see it, and whether it names a database.
	Shown, HasDatabase bool
}

// checkStandby looks whether a standby is set up to keep the slot.
func (c *checkup) checkStandby(s standby) {
	const why = "the standby does not keep the slot, so it would be missing after a failover to it"
	set := func(setting, value string) string {
		return fmt.Sprintf("ALTER SYSTEM SET %s = %s; SELECT pg_reload_conf(); -- on %s", setting, value, s.Address)
	}
	switch {
	case s.Err != nil:
		c.Warnf("P22", "a failover to it may find it not ready", "start it, or take it out of source.postgres.url", "the server %s cannot be looked at: %s", s.Address, oneLine{s.Err})
		return
	case s.SyncOff:
		c.Warnf("P22", why, set("sync_replication_slots", "on"), "sync_replication_slots is off on the standby %s", s.Address)
	case s.Slot == nil && c.slot != nil && c.slot.Failover && !s.incomplete():
		c.Warnf("P22", why, "none if it was just set up: the standby copies slots every few seconds; else look at its log for slotsync", "the standby %s does not have slot %s yet", s.Address, c.slot.Name)
	}
	if !s.Feedback {
		c.Warnf("P22", why, set("hot_standby_feedback", "on"), "hot_standby_feedback is off on the standby %s", s.Address)
	}
	if s.SlotName == "" {
		c.Warnf("P22", why, "SELECT pg_create_physical_replication_slot('standby_1'); -- on the primary; then primary_slot_name = 'standby_1' on "+s.Address,
			"primary_slot_name is not set on the standby %s", s.Address)
	}
	if s.Shown && !s.HasDatabase {
		c.Warnf("P22", why, `SELECT format('ALTER SYSTEM SET primary_conninfo = %L', current_setting('primary_conninfo') || ' dbname=`+c.server.Database+`') `+
			`\gexec`+"\nSELECT pg_reload_conf(); -- in psql on "+s.Address, "primary_conninfo names no database on the standby %s", s.Address)
	}
}

func (s *standby) incomplete() bool {
	return s.SyncOff || !s.Feedback || s.SlotName == "" || s.Shown && !s.HasDatabase
}

// checkCopies is for servers before 17, which do not keep a slot on a standby by themselves.
func (c *checkup) checkCopies(standbys []standby) {
	for _, s := range standbys {
		if s.Err == nil && s.Slot != nil {
			c.Okf("P23", "the standby %s has slot %s", s.Address, s.Slot.Name)
			continue
		}
		c.Warnf("P23", "the pipeline stops after a failover to it, and a gap is recorded when it begins anew",
			"upgrade to Postgres 17 or later; or keep the slot on standbys with the extension pg_failover_slots, or as a permanent one under slots: of Patroni",
			"slot %s is not on the server %s", c.cfg.Slot, s.Address)
	}
}

// several reports whether the URL names more than one server.
func several(settings *pgx.ConnConfig) bool { return len(hosts(settings)) > 1 }

// hosts returns the servers of the URL: pgx lists each once for every attempt at it.
func hosts(settings *pgx.ConnConfig) []string {
	all := []string{address(settings.Host, settings.Port)}
	for _, f := range settings.Fallbacks {
		if a := address(f.Host, f.Port); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

func address(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// lookAtStandbys looks at the servers of the URL, all at the same time. It
// returns the primary's address and what was seen of the others.
func (c *checkup) lookAtStandbys(ctx context.Context, settings *pgx.ConnConfig) (primary string, found []standby) {
	all := hosts(settings)
	if len(all) == 1 {
		return all[0], nil
	}
	looks := make([]chan *standby, len(all))
	for i, a := range all {
		looks[i] = make(chan *standby, 1)
		go func() { looks[i] <- c.lookAtStandby(ctx, only(settings, a), a) }()
	}
	for i, l := range looks {
		if s := <-l; s != nil {
			found = append(found, *s)
		} else {
			primary = all[i]
		}
	}
	return primary, found
}

// only returns the settings of one of the servers, whatever it is at the moment.
func only(settings *pgx.ConnConfig, server string) *pgx.ConnConfig {
	one := settings.Copy()
	one.ValidateConnect = nil
	attempts := append([]*pgconn.FallbackConfig{{Host: one.Host, Port: one.Port, TLSConfig: one.TLSConfig}}, one.Fallbacks...)
	attempts = slices.DeleteFunc(attempts, func(f *pgconn.FallbackConfig) bool { return address(f.Host, f.Port) != server })
	one.Host, one.Port, one.TLSConfig, one.Fallbacks = attempts[0].Host, attempts[0].Port, attempts[0].TLSConfig, attempts[1:]
	return one
}

// What a later version has is asked for in a way that an earlier one understands.
// primary_conninfo may hold a password and is not shown to every role.
const standbySQL = `SELECT pg_is_in_recovery(), coalesce(current_setting('sync_replication_slots', true) = 'off', false),
		current_setting('hot_standby_feedback')::bool, current_setting('primary_slot_name'),
		coalesce((SELECT setting ~ '(^|\s)dbname\s*=' FROM pg_settings WHERE name = 'primary_conninfo'), false),
		EXISTS (SELECT FROM pg_settings WHERE name = 'primary_conninfo')`

// lookAtStandby returns nil for the primary.
func (c *checkup) lookAtStandby(ctx context.Context, settings *pgx.ConnConfig, server string) *standby {
	ctx, cancel := context.WithTimeout(ctx, standbyTimeout)
	defer cancel()
	s := &standby{Address: server}
	conn, err := connect(ctx, settings)
	if err != nil {
		s.Err = err
		return s
	}
	defer hangUp(ctx, conn)
	var recovery bool
	err = conn.QueryRow(ctx, standbySQL).Scan(&recovery, &s.SyncOff, &s.Feedback, &s.SlotName, &s.HasDatabase, &s.Shown)
	if err == nil && !recovery {
		return nil
	}
	if err == nil {
		s.Slot, err = findSlot(ctx, conn, c.cfg.Slot)
	}
	s.Err = classify(err, "looking at the standby")
	return s
}
