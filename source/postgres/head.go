package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/findings"
)

// Head makes publication and slot, in this order: decoding looks a publication
// up as of the change that it decodes, so one that is younger than the slot
// would not be found. It waits for transactions that were open before the slot;
// check P27 shows them.
func (s *Source) Head(ctx context.Context, memory source.Memory) (source.Position, error) {
	at, err := s.head(ctx, memory)
	return at, s.explain(err)
}

func (s *Source) head(ctx context.Context, memory source.Memory) (source.Position, error) {
	conn, err := s.primary(ctx)
	if err != nil {
		return "", err
	}
	defer hangUp(ctx, conn)
	if err := requireLogical(ctx, conn); err != nil {
		return "", err
	}
	slot, err := findSlot(ctx, conn, s.cfg.Slot)
	if err != nil {
		return "", err
	}
	if slot != nil && !memory.Declared() {
		return "", s.foreignSlot(slot)
	}
	found, err := s.firstTables(ctx, conn)
	if err != nil {
		return "", err
	}
	if !memory.Declared() {
		if err := memory.Declare(ctx); err != nil {
			return "", err
		}
	}
	if slot != nil {
		return s.adopt(ctx, conn, slot, memory)
	}
	if err := s.publish(ctx, conn, found); err != nil {
		return "", err
	}
	// Before the slot: a slot that is found later, after a crash, is older than any
	// table that was published since, and those must join like all that come late.
	if err := s.coverAll(ctx, conn, memory); err != nil {
		return "", err
	}
	replication, err := s.connectReplication(ctx, new(wire), s.application)
	if err != nil {
		return "", err
	}
	defer hangUp(ctx, replication)
	system, err := identify(ctx, replication)
	if err != nil {
		return "", err
	}
	system.lsn, err = makeSlot(ctx, replication, s.cfg.Slot)
	return system.position(), err
}

// coverAll registers what is published as covered. If something is registered already, by a
// run that was cut short or before changes were given up, a table that is not among it
// joins later, like all that come late: what is given up begins where reading
// ended, and of such a table more is missing. What was interrupted before
// stays so: how much of it is missing is known when it joins again.
func (s *Source) coverAll(ctx context.Context, conn *pgx.Conn, memory source.Memory) error {
	covered, err := s.toCover(ctx, conn, memory.Covered())
	if err != nil {
		return err
	}
	return memory.Cover(ctx, covered, nil)
}

func (s *Source) toCover(ctx context.Context, conn *pgx.Conn, before []source.Coverage) (covered []source.Coverage, err error) {
	inv, err := takeInventory(ctx, conn, s.cfg.Publication)
	if err != nil {
		return nil, err
	}
	of := make(map[uint32]source.Coverage, len(before)) // by table
	for _, c := range before {
		of[coveredTable(c.ID)] = c
	}
	for _, e := range inv.entries {
		if !e.Published || !s.selector.Captures(e.Name) {
			continue
		}
		c := source.Coverage{Table: e.Name, ID: e.Membership}
		was, known := of[e.OID]
		switch {
		case !known && len(before) > 0:
			continue
		case known && was.Until != "":
			c = was
		}
		covered = append(covered, c)
	}
	return covered, nil
}

// primary connects to a server that can be written to, since only its log is complete.
func (s *Source) primary(ctx context.Context) (*pgx.Conn, error) {
	conn, err := connect(ctx, s.conn)
	if err != nil {
		return nil, err
	}
	var standby bool
	err = conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	if err == nil && standby {
		err = &kafkasync.Fault{Class: kafkasync.Wait, What: "the server is a standby", Fix: fixStandby}
	}
	if err != nil {
		hangUp(ctx, conn)
		return nil, classify(err, "asking for the role of the server")
	}
	return conn, nil
}

// requireLogical says that wal_level is wrong before a half-made set-up does.
func requireLogical(ctx context.Context, conn *pgx.Conn) error {
	var level string
	if err := conn.QueryRow(ctx, "SHOW wal_level").Scan(&level); err != nil {
		return classify(err, "asking for wal_level")
	}
	if level != "logical" {
		return &kafkasync.Fault{Class: kafkasync.Wait, What: fmt.Sprintf("wal_level is %s, want logical", level), Fix: fixWALLevel}
	}
	return nil
}

// firstTables returns the tables that the rules want. It refuses to begin while
// one of them cannot be published, or while a rule names one that does not
// exist, which is mostly a typing error; later it may well have been dropped.
func (s *Source) firstTables(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	all, err := tables(ctx, conn, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(t table) bool { return !s.selector.Captures(t.Name) })
	errs := s.unmatched(tableNames(all))
	if len(found) == 0 && len(errs) == 0 {
		return nil, s.nothingMatches()
	}
	p, err := findPublication(ctx, conn, s.cfg.Publication)
	if err != nil {
		return nil, err
	}
	p.excuse(found)
	for i := range found {
		errs = append(errs, s.requirePublishable(&found[i]))
	}
	return found, errors.Join(errs...)
}

func (s *Source) nothingMatches() error {
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: fmt.Sprintf("no table of database %s matches a rule", s.conn.Database),
		Fix: "correct pipelines[].tables[].match, or create the table; kafkasync check lists the tables that there are",
	}
}

func (s *Source) unmatched(all []string) []error {
	u, ok := s.selector.(findings.Rules)
	if !ok {
		return nil
	}
	var errs []error
	for _, name := range u.Unmatched(all) {
		fix := fmt.Sprintf("create %s, or take the rule out of the file", name)
		if near := findings.Nearest(name, all); near != "" {
			fix = fmt.Sprintf("write match: %s, or create %s", near, name)
		}
		errs = append(errs, &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("there is no table %s in database %s", name, s.conn.Database), Fix: fix,
		})
	}
	return errs
}

// foreignSlot is about a slot that stands where this pipeline has never been.
func (s *Source) foreignSlot(slot *slotState) error {
	reader := ""
	if slot.ActivePID != 0 {
		reader = fmt.Sprintf(", read by process %d (%s)", slot.ActivePID, slot.Application)
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("there is a replication slot %s%s, which this pipeline has not made", slot.Name, reader),
		Risk:  "another program may need it; what it has passed would be missing here",
		Fix: fmt.Sprintf("set source.postgres.slot to another name; or, if it is of an earlier life of this pipeline: kafkasync recover %s --adopt-slot (records a gap for each table); "+
			"or, if nobody needs it: SELECT pg_drop_replication_slot(%s);", namePlace, quoteText(slot.Name)),
	}
}

// adopt takes over a slot: one that a Head of this pipeline made before it was cut
// short, or one that an operator has told us to. Only the latter finds nothing registered.
func (s *Source) adopt(ctx context.Context, conn *pgx.Conn, slot *slotState, memory source.Memory) (source.Position, error) {
	if err := s.requireOurs(slot); err != nil {
		return "", err
	}
	if slot.ConfirmedFlush == 0 {
		return "", &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("the replication slot %s is still being made: it waits for transactions that are open", slot.Name),
			Fix: "end long transactions; kafkasync check shows them",
		}
	}
	at, err := s.server(ctx)
	if err != nil {
		return "", err
	}
	at.lsn = slot.ConfirmedFlush
	if len(memory.Covered()) > 0 {
		return at.position(), nil
	}
	return at.position(), s.coverLater(ctx, conn, memory, at)
}

// coverLater registers what is published as covered from the beginning of the log until there, so never. The
// slot may be older than any table's place in the publication, and what it still holds
// from before that is not sent: so they join late, and what was until then is a gap.
func (s *Source) coverLater(ctx context.Context, conn *pgx.Conn, memory source.Memory, at place) error {
	covered, err := s.toCover(ctx, conn, nil)
	if err != nil {
		return err
	}
	for i := range covered {
		covered[i].Since, covered[i].Until = at.first(), at.first()
	}
	return memory.Cover(ctx, covered, nil)
}

// requireOurs refuses a slot that cannot be read, or that is of another make.
func (s *Source) requireOurs(slot *slotState) error {
	if why := slot.lost(); why != "" {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the replication slot %s was invalidated: %s", slot.Name, why),
			Risk: riskSlotGone, Fix: fixNewSlot,
		}
	}
	return s.requireMake(slot)
}

// requireMake refuses a slot that is of another make.
func (s *Source) requireMake(slot *slotState) error {
	if slot.Plugin != "pgoutput" || slot.Database != s.conn.Database {
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the replication slot %s belongs to plugin %q and database %q", slot.Name, slot.Plugin, slot.Database),
			Fix:   "set source.postgres.slot to a name that is free",
		}
	}
	return nil
}

// connectReplication opens a connection to a walsender, all of whose bytes are read through w.
func (s *Source) connectReplication(ctx context.Context, w *wire, application string) (*pgconn.PgConn, error) {
	const doing = "connecting for replication"
	conn, err := connectWalsender(ctx, s.replicationConfig(w, application), doing)
	if err != nil || conn.ParameterStatus("server_encoding") != "SQL_ASCII" {
		return conn, err
	}
	// The server knows no encoding to convert from, and would refuse to send a row with anything
	// that is no UTF-8, also in a column that nobody wants. As it is, such a column is refused here, by name.
	if err := conn.Exec(ctx, "SET client_encoding = SQL_ASCII").Close(); err != nil {
		hangUp(ctx, conn)
		return nil, classify(err, doing)
	}
	return conn, nil
}

// server asks the same of a server that is not read at the moment.
func (s *Source) server(ctx context.Context) (place, error) {
	replication, err := s.connectReplication(ctx, new(wire), s.application)
	if err != nil {
		return place{}, err
	}
	defer hangUp(ctx, replication)
	return identify(ctx, replication)
}

// identify asks which cluster of databases this is, and on which timeline.
func identify(ctx context.Context, conn *pgconn.PgConn) (place, error) {
	system, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		return place{}, classify(err, "asking for the identity of the server")
	}
	return place{system: system.SystemID, timeline: system.Timeline, lsn: system.XLogPos}, nil
}
