package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// publish makes the publication for the first reading. It may be there already,
// made by somebody who may what our role may not.
func (s *Source) publish(ctx context.Context, conn *pgx.Conn, found []table) error {
	p, err := findPublication(ctx, conn, s.cfg.Publication)
	if err != nil {
		return err
	}
	if p == nil {
		err = execute(ctx, conn, createPublication(s.cfg.Publication, found))
	} else {
		err = s.complete(ctx, conn, p, found)
	}
	if err != nil {
		return err
	}
	s.cover(found)
	return nil
}

// complete adds the tables that a publication does not hold yet.
func (s *Source) complete(ctx context.Context, conn *pgx.Conn, p *publication, found []table) error {
	if err := errors.Join(p.requireComplete(), s.requireRules(p), s.requireVisible(p, found)); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(found), func(t table) bool { return p.covers(&t) })
	if len(missing) == 0 {
		return nil
	}
	return execute(ctx, conn, addTables(p.Name, missing))
}

// follow keeps the publication in step with tables that came later. One of them
// that cannot be added must not hold up all others, or their log would fill the
// server's disk: it is not covered, and said so at each start.
func (s *Source) follow(ctx context.Context, conn *pgx.Conn) error {
	found, err := tables(ctx, conn, s.selector.Captures)
	if err != nil {
		return err
	}
	p, err := findPublication(ctx, conn, s.cfg.Publication)
	if err != nil {
		return err
	}
	if p == nil {
		return &kafkasync.Fault{
			Class: kafkasync.Stop, What: fmt.Sprintf("the publication %s does not exist any more", s.cfg.Publication),
			Risk: "changes written since it was dropped", Fix: beginAnew(s.cfg.Slot),
		}
	}
	if err := errors.Join(p.requireComplete(), s.requireRules(p)); err != nil {
		return err
	}
	var covered []table
	for _, t := range found {
		if !p.covers(&t) && !s.addLater(ctx, conn, p, &t) {
			continue
		}
		covered = append(covered, t)
	}
	if len(covered) == 0 {
		return s.nothingMatches()
	}
	for _, err := range s.unmatched(tableNames(found)) {
		s.log.WarnContext(ctx, "a rule matches nothing any more", "err", err)
	}
	s.cover(covered)
	return s.requireVisible(p, covered)
}

// requireRules refuses to pass over changes of a table that is published and that
// no rule mentions: mostly its rule was mistyped or lost, and once the position
// has moved, its changes are gone.
func (s *Source) requireRules(p *publication) error {
	book, ok := s.selector.(rulebook)
	if !ok {
		return nil
	}
	var errs []error
	for _, m := range p.Members {
		if !book.Mentions(m.Name) {
			errs = append(errs, &kafkasync.Fault{
				Class: kafkasync.Wait, What: fmt.Sprintf("publication %s holds %s, which no rule mentions any more", p.Name, m.Name),
				Risk: "changes of this table", Fix: fmt.Sprintf("put its rule back, or write: {match: %s, skip: true}", m.Name),
			})
		}
	}
	return errors.Join(errs...)
}

// addLater adds one table, and reports whether it is covered now.
func (s *Source) addLater(ctx context.Context, conn *pgx.Conn, p *publication, t *table) bool {
	err := s.requirePublishable(t)
	if err == nil {
		err = execute(ctx, conn, addTables(p.Name, []table{*t}))
	}
	if err != nil {
		s.log.WarnContext(ctx, "a table that matches a rule is not covered", "table", t.Name, "err", err)
		return false
	}
	s.log.WarnContext(ctx, "a table was added to the publication; what changed in it before is not published",
		"publication", p.Name, "table", t.Name)
	return true
}

func (s *Source) cover(found []table) {
	covered := tableNames(found)
	s.covered.Store(&covered)
}

// requireComplete refuses a publication that hides changes.
func (p *publication) requireComplete() error {
	if p.Insert && p.Update && p.Delete && p.Truncate && p.ViaRoot {
		return nil
	}
	return &kafkasync.Fault{
		Class: kafkasync.Wait,
		What:  fmt.Sprintf("publication %s leaves out operations, or publishes partitions under their own names", p.Name),
		Risk:  "changes that it leaves out",
		Fix: fmt.Sprintf("ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);",
			quoteName(p.Name)),
	}
}

func createPublication(name string, found []table) string {
	return fmt.Sprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);",
		quoteName(name), quotedNames(found))
}

func addTables(name string, missing []table) string {
	return fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s;", quoteName(name), quotedNames(missing))
}

// execute runs a statement on the publication, or says which one to run.
func execute(ctx context.Context, conn *pgx.Conn, statement string) error {
	_, err := conn.Exec(ctx, statement)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "the role may not change the publication", Err: err,
			Fix: "as a superuser, or as the owner of the tables with CREATE on the database: " + statement,
		}
	}
	return classify(err, "running "+statement)
}

func tableNames(found []table) []string {
	list := make([]string, len(found))
	for i := range found {
		list[i] = found[i].Name
	}
	return list
}

func quotedNames(found []table) string {
	list := make([]string, len(found))
	for i := range found {
		list[i] = found[i].quoted()
	}
	return strings.Join(list, ", ")
}
