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

// publish makes the publication hold these tables, all of which are publishable.
// It only ever adds. What the role may not do, it says as the statement for
// someone who may.
func (s *Source) publish(ctx context.Context, conn *pgx.Conn, found []table) error {
	p, err := findPublication(ctx, conn, s.cfg.Publication)
	if err != nil {
		return err
	}
	if p == nil {
		if err := execute(ctx, conn, createPublication(s.cfg.Publication, found)); err != nil {
			return err
		}
	} else if err := s.extend(ctx, conn, p, found); err != nil {
		return err
	}
	covered := tableNames(found)
	s.covered.Store(&covered)
	return nil
}

// extend adds the tables that a publication does not hold yet.
func (s *Source) extend(ctx context.Context, conn *pgx.Conn, p *publication, found []table) error {
	if err := p.requireComplete(); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(found), func(t table) bool { return p.covers(&t) })
	if len(missing) == 0 {
		return nil
	}
	if err := execute(ctx, conn, addTables(p.Name, missing)); err != nil {
		return err
	}
	s.log.WarnContext(ctx, "tables were added to the publication; what changed in them before is not published",
		"publication", p.Name, "tables", tableNames(missing))
	return nil
}

// laterTables returns the tables that the rules want and that can be published.
// One that cannot, because it came later, must not hold up all others; it is
// not covered, and said so at each start.
func (s *Source) laterTables(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	all, err := tables(ctx, conn, s.selector.Captures)
	if err != nil {
		return nil, err
	}
	var found []table
	for _, t := range all {
		if err := s.requirePublishable(&t); err != nil {
			s.log.WarnContext(ctx, "a table that matches a rule is not covered", "table", t.Name, "err", err)
			continue
		}
		found = append(found, t)
	}
	return found, nil
}

// requirePublishable refuses a table whose updates would start to fail, or
// whose rule does not fit it.
func (s *Source) requirePublishable(t *table) error {
	for _, h := range t.heaps() {
		if why := h.identityProblem(); why != "" {
			return &kafkasync.Fault{
				Class: kafkasync.Wait,
				What:  fmt.Sprintf("%s cannot be published, its UPDATE and DELETE would fail: %s", h.Name, why),
				Fix:   h.identityFix(nil),
			}
		}
	}
	_, err := s.selector.Columns(t.Name, attributeNames(t.Columns), t.primaryKey())
	return err
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
