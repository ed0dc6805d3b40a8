package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/source/findings"
)

// checkRules compares the rules with the tables that exist.
func (c *checkup) checkRules(ctx context.Context, conn *pgx.Conn) {
	var all, left []string
	for _, t := range c.tables {
		all = append(all, t.Name)
		if !c.sel.Captures(t.Name) {
			left = append(left, t.Name)
		}
	}
	if u, ok := c.sel.(findings.Rules); ok {
		for _, name := range u.Unmatched(all) {
			if err := c.unmatched(ctx, conn, name, all); err != nil {
				c.failed("T01", err)
				return
			}
		}
	}
	if len(c.captured) > 0 {
		c.Okf("T01", "%s captured", findings.Counted(len(c.captured), "table"))
	} else if !c.Reported("T01", "P14") { // which would have the same cause
		c.Errorf("T01", "the pipeline waits for one", "correct tables[].match in the file, or create the tables",
			"no rule matches a table of database %s", c.server.Database)
	}
	if len(left) > 0 {
		c.Okf("T02", "not captured: %s", findings.Names(left))
	}
}

// unmatched says why a table that a rule names in full cannot be captured.
func (c *checkup) unmatched(ctx context.Context, conn *pgx.Conn, name string, all []string) error {
	const why = "the rule would never publish anything"
	for _, t := range c.tables {
		if slices.ContainsFunc(t.Leaves, func(h heap) bool { return h.Name == name }) {
			c.Errorf("T01", why, fmt.Sprintf("write match: %s", t.Name), "%s is a partition of %s, and rules match the whole table", name, t.Name)
			return nil
		}
	}
	kind, err := relationKind(ctx, conn, name)
	if err != nil {
		return err
	}
	if kind != "" {
		c.Errorf("P14", "the log holds changes of tables only", "match the tables behind it, or take the rule out of the file",
			"%s is %s", name, kind)
		return nil
	}
	fix := fmt.Sprintf("create %s, or take the rule out of the file", name)
	if near := findings.Nearest(name, all); near != "" {
		fix = fmt.Sprintf("write match: %s, or create %s", near, name)
	}
	c.Errorf("T01", why, fix, "there is no table %s", name)
	return nil
}

const relationKindSQL = `SELECT coalesce((SELECT CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view'
		WHEN 'f' THEN 'a foreign table' WHEN 'S' THEN 'a sequence' ELSE '' END
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname || '.' || c.relname = $1 LIMIT 1), '')`

// relationKind says what else than a table has that name, or "".
func relationKind(ctx context.Context, conn *pgx.Conn, name string) (string, error) {
	var kind string
	err := conn.QueryRow(ctx, relationKindSQL, name).Scan(&kind)
	return kind, classify(err, "looking for "+name)
}

// checkTables looks at each captured table: can its rule be obeyed, and does the
// application go on working once it is published.
func (c *checkup) checkTables() {
	for i := range c.captured {
		t := &c.captured[i]
		c.checkStorage(t)
		c.checkIdentity(t, c.keyless(t))
		c.checkColumns(t)
	}
	for i := range c.tables {
		// A publication may hold more than the rules ask for.
		if t := &c.tables[i]; c.pub != nil && c.pub.covers(t) && !c.sel.Captures(t.Name) {
			c.checkIdentity(t, false)
		}
	}
	c.Okf("T03", "the tables have the columns that the rules ask for")
	c.Okf("P11", "the tables have a replica identity")
	c.Okf("P12", "the replica identities hold the keys")
	c.Okf("P13", "the log holds the columns that the rules ask for")
	c.Okf("P14", "the log holds the tables")
}

func (c *checkup) checkStorage(t *table) {
	for _, h := range t.heaps() {
		if h.Persistence == 'u' {
			c.Errorf("P14", "the log holds nothing of it", fmt.Sprintf("ALTER TABLE %s SET LOGGED; -- writes the whole table to the log once; or skip: true in a rule for it", h.quoted()),
				"%s is unlogged", h.Name)
		}
	}
	for _, h := range t.Leaves {
		if h.Kind == 'f' {
			c.Warnf("P14", "its changes are in another server's log, and not published",
				fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s;", t.quoted(), h.quoted()),
				"the partition %s of %s is a foreign table", h.Name, t.Name)
		}
	}
}

// checkIdentity looks whether the application can go on changing rows. That a
// table without a key cannot be published, checkColumns says, with the key that mends both.
func (c *checkup) checkIdentity(t *table, keyless bool) {
	why := "once it is published, UPDATE and DELETE fail for the application"
	if c.covers(t) {
		why = c.broken()
	}
	for _, h := range t.heaps() {
		problem := h.identityProblem()
		if problem != "" && (!keyless || h.Identity != 'd') {
			fix := h.identityFix(nil)
			if h.Unsent == 's' && c.pub != nil {
				fix = sendGenerated(c.pub.Name)
			}
			c.Errorf("P11", why, fix, "%s has no usable replica identity: %s", h.Name, problem)
		}
	}
}

func (c *checkup) covers(t *table) bool { return c.pub != nil && c.pub.covers(t) }

func (c *checkup) broken() string {
	return "it is in publication " + c.pub.Name + ": UPDATE and DELETE fail for the application"
}

// identityFix is the statement that puts the columns into the replica identity
// at the least cost, or gives the table one at all.
func (h *heap) identityFix(columns []string) string {
	alter := "ALTER TABLE " + h.quoted() + " REPLICA IDENTITY "
	fits := func(x index) bool { return x.Usable && holdsAll(x.Columns, columns) && (h.Unsent == 0 || !x.Generated) }
	for _, x := range h.Indexes {
		if x.Primary && fits(x) {
			return alter + "DEFAULT;"
		}
	}
	for _, x := range h.Indexes {
		if x.NotNull && fits(x) {
			return alter + "USING INDEX " + quoteName(x.Name) + ";"
		}
	}
	if h.Unsent != 0 {
		return "make the table's key one without a generated column, or let the publication send it, if it is stored (publish_generated_columns = stored)"
	}
	return alter + "FULL; -- puts the whole old row into the log; a primary key costs less"
}

func holdsAll(set, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(set, w) })
}

// checkColumns looks at the columns that the table's rule asks for.
func (c *checkup) checkColumns(t *table) {
	all, primary := attributeNames(t.Columns), t.primaryKey()
	wanted, err := c.sel.Columns(t.Name, all, primary)
	if err != nil {
		c.columnProblem(t, all, err)
		return
	}
	key := c.sel.Key(t.Name, primary)
	for _, a := range t.Columns {
		if !slices.Contains(wanted, a.Name) {
			continue
		}
		if a.Generated != 0 && (c.pub == nil || len(c.pub.hidden(t, []string{a.Name})) > 0) {
			c.generatedProblem(t, a)
		}
		if slices.Contains(key, a.Name) && !a.NotNull {
			c.Errorf("P12", "a row without a key cannot be published",
				fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;", t.quoted(), quoteName(a.Name)),
				"the key column %q of %s may be NULL", a.Name, t.Name)
		}
	}
	c.checkKey(t, key)
}

func attributeNames(columns []attribute) []string {
	all := make([]string, len(columns))
	for i, a := range columns {
		all[i] = a.Name
	}
	return all
}

// checkKey compares the key with what the log holds of a deleted row. A heap
// without any replica identity has been reported already.
func (c *checkup) checkKey(t *table, key []string) {
	for _, h := range t.heaps() {
		missing := slices.DeleteFunc(slices.Clone(key), h.identifies)
		if len(missing) > 0 && h.identityProblem() == "" {
			c.Errorf("P12", "a deleted row could not be named", h.identityFix(key),
				"the replica identity of %s lacks key column %s", h.Name, strings.Join(missing, ", "))
		}
	}
}

func (c *checkup) generatedProblem(t *table, a attribute) {
	fix := fmt.Sprintf("take column %s out of key and payload of the rule for %s", a.Name, t.Name)
	if a.Generated == 's' && c.server.Version >= 180000 && c.pub != nil {
		fix = sendGenerated(c.pub.Name)
	}
	c.Errorf("P13", "the log does not hold its values", fix, "column %q of %s is generated", a.Name, t.Name)
}

func sendGenerated(publication string) string {
	return fmt.Sprintf("ALTER PUBLICATION %s SET (publish_generated_columns = stored);", quoteName(publication))
}
