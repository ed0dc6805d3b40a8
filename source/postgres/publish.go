package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// publish makes the publication hold every table that the rules want. It only
// ever adds tables, and none whose updates would start to fail. What the role
// may not do, it says as the statement for someone who may.
func (s *Source) publish(ctx context.Context, conn *pgx.Conn) error {
	found, err := tables(ctx, conn, s.selector.Captures)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("no table of database %s matches a rule", s.conn.Database),
			Fix: "correct pipelines[].tables[].match, or create the table; kafkasync check lists the tables that there are",
		}
	}
	if err := s.requireUsable(found); err != nil {
		return err
	}
	covered := tableNames(found)
	s.covered.Store(&covered)
	p, err := findPublication(ctx, conn, s.cfg.Publication)
	if err != nil {
		return err
	}
	if p == nil {
		return execute(ctx, conn, createPublication(s.cfg.Publication, found))
	}
	if err := p.requireComplete(); err != nil {
		return err
	}
	var missing []table
	for i := range found {
		if !p.covers(&found[i]) {
			missing = append(missing, found[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := execute(ctx, conn, addTables(s.cfg.Publication, missing)); err != nil {
		return err
	}
	s.log.WarnContext(ctx, "tables were added to the publication; what changed in them before is not published",
		"publication", p.Name, "tables", tableNames(missing))
	return nil
}

// requireUsable refuses tables that have no usable key before anything is changed on the server.
func (s *Source) requireUsable(found []table) error {
	var errs []error
	for i := range found {
		t := &found[i]
		for _, h := range t.heaps() {
			if why := h.identityProblem(); why != "" {
				errs = append(errs, &kafkasync.Fault{
					Class: kafkasync.Wait,
					What:  fmt.Sprintf("%s cannot be published, its UPDATE and DELETE would fail: %s", h.Name, why),
					Fix:   fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (...); or ALTER TABLE %[1]s REPLICA IDENTITY FULL; or skip: true for %s", h.quoted(), t.Name),
				})
			}
		}
		columns := make([]string, len(t.Columns))
		for j, c := range t.Columns {
			columns[j] = c.Name
		}
		if _, err := s.selector.Columns(t.Name, columns, t.primaryKey()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
