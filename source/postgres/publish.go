package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
		return s.create(ctx, conn, found)
	}
	return s.complete(ctx, conn, p, found)
}

// create makes the publication if the role may. Otherwise it does not even try: it is
// asked again every few seconds, and the server would log the error each time, with a statement
// that names every table.
func (s *Source) create(ctx context.Context, conn *pgx.Conn, found []table) error {
	var creates bool
	err := conn.QueryRow(ctx, "SELECT has_database_privilege(current_database(), 'CREATE')").Scan(&creates)
	if err != nil {
		return classify(err, "looking at what the role may")
	}
	statement := createPublication(s.cfg.Publication, found)
	if !creates || len(notOwned(found)) > 0 {
		return mayNot(statement, nil)
	}
	return execute(ctx, conn, statement)
}

// complete adds the tables that a publication does not hold yet.
func (s *Source) complete(ctx context.Context, conn *pgx.Conn, p *publication, found []table) error {
	if err := errors.Join(p.requireComplete(), s.requireVisible(p, found)); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(found), func(t table) bool { return p.covers(&t) })
	if len(missing) == 0 {
		return nil
	}
	return extend(ctx, conn, p, missing)
}

// extend adds tables to the publication, if the role may: as in create.
func extend(ctx context.Context, conn *pgx.Conn, p *publication, missing []table) error {
	statement := addTables(p.Name, missing)
	if !p.Owned || len(notOwned(missing)) > 0 {
		return mayNot(statement, nil)
	}
	return execute(ctx, conn, statement)
}

// show lets Tables tell what is published.
func (s *Source) show(found []table) {
	published := tableNames(found)
	s.published.Store(&published)
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

// lockPatience is how long a change of the publication may wait for a table that is being
// vacuumed, indexed or altered. While it waits, it locks the tables that it has
// got already, and an ALTER TABLE behind it locks out everybody. It is longer than
// deadlock_timeout, after which an autovacuum gives way.
const lockPatience = 2 * time.Second

// execute runs a statement on the publication, or says which one to run.
func execute(ctx context.Context, conn *pgx.Conn, statement string) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", lockPatience.Milliseconds())); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, statement)
		return err
	})
	switch {
	case isCode(err, "42501"):
		return mayNot(statement, err)
	case isCode(err, "55P03"):
		return &kafkasync.Fault{
			Class: kafkasync.Wait, What: "a table is locked, by maintenance or a schema change, and cannot be put into the publication meanwhile", Err: err,
			Fix: "none: it is tried again; if it lasts, end what runs there (pg_stat_activity shows it), or, when it is over: " + statement,
		}
	}
	return classify(err, "running "+statement)
}

func mayNot(statement string, err error) error {
	return &kafkasync.Fault{
		Class: kafkasync.Wait, What: "the role may not change the publication", Err: err,
		Fix: "as a superuser, or as the owner of the tables with CREATE on the database: " + statement,
	}
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
