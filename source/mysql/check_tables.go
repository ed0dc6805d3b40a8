package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source/findings"
)

// checkRules compares the rules with the tables that the user sees.
func (c *checkup) checkRules() {
	var all, left []string
	for i := range c.tables {
		if t := &c.tables[i]; t.real() {
			all = append(all, t.full())
			if !c.sel.Captures(t.full()) {
				left = append(left, t.full())
			}
		}
	}
	if rules, ok := c.sel.(findings.Rules); ok {
		for _, name := range rules.Unmatched(all) {
			c.unmatched(name, all)
		}
	}
	switch {
	case len(c.captured) > 0:
		c.Okf("T01", "%s captured", findings.Counted(len(c.captured), "table"))
	case len(c.tables) == 0:
		c.Errorf("T01", "the pipeline waits for one", c.grant(c.server.user), "user %s sees no table: there is none, or it lacks the privilege SELECT", c.server.user)
	case !c.Reported("T01", "M20"): // which would have the same cause
		c.Errorf("T01", "the pipeline waits for one", "correct tables[].match in the file, create the tables, or let the user see them: GRANT SELECT ON ... TO "+c.server.user,
			"no rule matches a table that user %s sees", c.server.user)
	}
	if len(left) > 0 {
		c.Okf("T02", "not captured: %s", findings.Names(left))
	}
}

// unmatched says why a table that a rule names in full cannot be captured.
func (c *checkup) unmatched(name string, all []string) {
	const why = "the rule would never publish anything"
	if i := slices.IndexFunc(c.tables, func(t facet) bool { return t.full() == name }); i >= 0 {
		c.Errorf("M20", "the log holds changes of tables only", "match the tables behind it, or take the rule out of the file", "%s is a %s", name, strings.ToLower(c.tables[i].kind))
		return
	}
	schema, table, _ := strings.Cut(name, ".")
	fix := fmt.Sprintf("GRANT SELECT ON %s.%s TO %s; -- if it is there; else create it, or take the rule out of the file", quoteName(schema), quoteName(table), c.server.user)
	if near := findings.Nearest(name, all); near != "" {
		fix = fmt.Sprintf("write match: %s, or create %s", near, name)
	}
	c.Errorf("T01", why, fix, "there is no table %s, or user %s may not see it", name, c.server.user)
}

// checkTables looks at each captured table: can its rule be obeyed, and what of it is not logged.
func (c *checkup) checkTables() {
	for i := range c.captured {
		t := &c.captured[i]
		switch {
		case strings.EqualFold(t.engine, "MEMORY"):
			c.Warnf("M20", "a restart of the server empties it, and the log says so only once somebody uses the table",
				fmt.Sprintf("ALTER TABLE %s ENGINE = InnoDB;", t.quoted()), "%s is kept in memory (ENGINE=%s)", t.full(), t.engine)
		case t.engine != "" && !strings.EqualFold(t.engine, "InnoDB"):
			c.Warnf("M20", "it knows no transactions: what a failed statement has changed before stays, and is published",
				fmt.Sprintf("ALTER TABLE %s ENGINE = InnoDB;", t.quoted()), "%s is not InnoDB but %s", t.full(), t.engine)
		}
		if t.kind == "SYSTEM VERSIONED" {
			c.Warnf("R10", "each change writes a row of the past, too, which is a message as well (c), and a row that is deleted is one that is changed (u)",
				"refetch by id, as the guide for consumers says; or skip: true in a rule for it", "%s is system-versioned", t.full())
		}
		if t.partitioned {
			c.Hintf("M24", "TRUNCATE, DROP and EXCHANGE PARTITION change no row in the log, and make no messages; they are recorded as a gap", "", "%s is partitioned", t.full())
		}
		c.checkColumns(t)
	}
	c.Okf("M20", "the tables are InnoDB")
	c.Okf("T03", "the tables have the columns that the rules ask for")
	c.Okf("M21", "the keys are whole, and never NULL")
	c.Okf("M22", "the keys tell rows apart as the database does")
	if c.mariaDB() {
		c.Okf("R05", "the columns that the rules ask for can be read")
	}
}

// checkColumns looks at the columns that the table's rule asks for.
func (c *checkup) checkColumns(t *facet) {
	wanted, err := c.sel.Columns(t.full(), t.names(), t.primary)
	if err != nil {
		c.ruleProblem(t, err)
		return
	}
	for _, name := range wanted {
		c.checkReadable(t, t.column(name))
	}
	for _, name := range c.sel.Key(t.full(), t.primary) {
		if column := t.column(name); column != nil {
			c.checkKey(t, column)
		}
	}
}

// ruleProblem says why the rule and the table do not fit.
func (c *checkup) ruleProblem(t *facet, err error) {
	what, fix := err.Error(), ""
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		what, fix = fault.What, fault.Fix
	}
	keyless := false
	if len(t.primary) == 0 && len(t.columns) > 0 {
		_, withKey := c.sel.Columns(t.full(), t.names(), t.names()[:1])
		keyless = withKey == nil
	}
	switch {
	case keyless:
		fix = keyFix(t)
	case fix == "":
		fix = fmt.Sprintf("correct the rule for %s; its columns are %s", t.full(), strings.Join(t.names(), ", "))
	}
	c.Errorf("T03", "the pipeline stops at the next change of it", fix, "%s", what)
}

// keyFix is the statement that gives a table a primary key: of columns that are
// a key already, else of a new one.
func keyFix(t *facet) string {
	for _, k := range t.keys {
		never := !slices.ContainsFunc(k.columns, func(name string) bool { column := t.column(name); return column == nil || column.null })
		if k.whole && never {
			quoted := make([]string, len(k.columns))
			for i, name := range k.columns {
				quoted[i] = quoteName(name)
			}
			return fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (%s); -- or write key: [%s] and payload: [%[3]s] into its rule",
				t.quoted(), strings.Join(quoted, ", "), strings.Join(k.columns, ", "))
		}
	}
	name := "id"
	for t.column(name) != nil {
		name = "row_" + name
	}
	return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY; "+
		"-- writes the table anew; or name key and payload columns, or skip: true, in its rule", t.quoted(), quoteName(name))
}

// checkReadable looks whether what the log holds of a column can be decoded.
func (c *checkup) checkReadable(t *facet, column *facetColumn) {
	if column == nil {
		return
	}
	const why = "the pipeline stops at the next change of it"
	if strings.Contains(column.columnType, "COMPRESSED") {
		c.Errorf("R05", why, fmt.Sprintf("ALTER TABLE %s MODIFY %s %s; -- or take it out of key and payload of the rule",
			t.quoted(), quoteName(column.name), strings.TrimSpace(uncompressed(column.columnType))),
			"column %q of %s is COMPRESSED, and the log holds it so", column.name, t.full())
	}
}

// uncompressed is a type of MariaDB without the comment that compresses it.
func uncompressed(columnType string) string {
	before, rest, found := strings.Cut(columnType, "/*")
	_, after, ended := strings.Cut(rest, "*/")
	if !found || !ended {
		return columnType
	}
	return strings.TrimSpace(before) + after
}

// checkKey looks whether a column of the key tells rows apart as the database does.
func (c *checkup) checkKey(t *facet, column *facetColumn) {
	if column.null {
		c.Errorf("M21", "a row without a key cannot be published", fmt.Sprintf("ALTER TABLE %s MODIFY %s %s NOT NULL; -- with what else its definition says",
			t.quoted(), quoteName(column.name), column.columnType), "the key column %q of %s may be NULL", column.name, t.full())
	}
	if slices.Contains(t.prefixed, column.name) {
		c.Hintf("M21", "the message's key holds all of it", "", "the primary key of %s holds only a beginning of %q", t.full(), column.name)
	}
	const binary = "; -- with what else its definition says; or have consumers fold case before they look rows up"
	switch {
	case column.dataType == "float" || column.dataType == "double":
		c.Warnf("M22", "two ways to write one number are two keys to a consumer", fmt.Sprintf("ALTER TABLE %s MODIFY %s DECIMAL(20,6) NOT NULL; -- in the size that it needs", t.quoted(), quoteName(column.name)),
			"the key column %q of %s is a %s", column.name, t.full(), column.dataType)
	case folds(column.collation):
		c.Warnf("M22", "to the database 'A' and 'a' are one row, to Kafka and a consumer's store two: an update that changes only the case leaves the old one behind until it is healed",
			fmt.Sprintf("ALTER TABLE %s MODIFY %s %s COLLATE %s_bin NOT NULL", t.quoted(), quoteName(column.name), column.columnType, column.charset)+binary,
			"the key column %q of %s has the collation %s, which does not tell cases apart", column.name, t.full(), column.collation)
	}
}

// folds reports whether a collation takes different texts for the same.
func folds(collation string) bool {
	return collation != "" && collation != "binary" && !strings.HasSuffix(collation, "_bin") && !strings.Contains(collation, "_cs") && !strings.HasSuffix(collation, "_nopad_bin")
}

// loggedCascades is the first MySQL whose log holds what foreign keys change.
const loggedMajor, loggedMinor = 9, 6

// checkCascades names the tables that a foreign key changes without a trace in the log.
func (c *checkup) checkCascades() {
	id := c.flavoured("M23", "R09")
	logged := !c.mariaDB() && c.server.atLeast(loggedMajor, loggedMinor) && !c.server.on("innodb_native_foreign_keys")
	if logged {
		c.Okf(id, "the log holds what foreign keys change")
		return
	}
	instead := "or MySQL 9.6 and later, which logs them"
	if c.server.on("innodb_native_foreign_keys") {
		instead = "or write innodb_native_foreign_keys=OFF into the server's file, and restart it"
	} else if c.mariaDB() {
		instead = "no version logs them"
	}
	for i := range c.captured {
		t := &c.captured[i]
		for _, link := range t.cascades {
			c.Warnf(id, "the storage engine changes these rows, and the server does not log it: no message is sent for them, neither at once nor later",
				fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY %s; -- and add it again without %s, with the application changing these rows itself; %s",
					t.quoted(), quoteName(link.name), link.rule, instead), "foreign key %s of %s (%s) changes rows when %s changes", link.name, t.full(), link.rule, link.parent)
		}
	}
	c.Okf(id, "no foreign key changes rows of the captured tables")
}

// checkImages looks whether the log holds what the rules ask for of a row that is deleted or changed.
func (c *checkup) checkImages() {
	image := c.server.variables["binlog_row_image"]
	partial := c.server.variables["binlog_row_value_options"] != ""
	full := c.lasting("binlog_row_image", "'FULL'")
	for i := range c.captured {
		t := &c.captured[i]
		wanted, err := c.sel.Columns(t.full(), t.names(), t.primary)
		if err != nil {
			continue // which T03 says
		}
		key := c.sel.Key(t.full(), t.primary)
		var lacks, json []string
		for _, name := range wanted {
			column := t.column(name)
			if column == nil {
				continue
			}
			if column.dataType == "json" {
				json = append(json, name)
			}
			if !slices.Contains(t.primary, name) && (strings.EqualFold(image, "MINIMAL") || strings.EqualFold(image, "NOBLOB") && column.large()) {
				lacks = append(lacks, name)
			}
		}
		lost := slices.DeleteFunc(slices.Clone(lacks), func(name string) bool { return !slices.Contains(key, name) })
		switch {
		case len(lost) > 0:
			c.Errorf("M05", "the pipeline stops at a row without it", full, "binlog_row_image is %s: the log does not hold key column %s of %s", image, strings.Join(lost, ", "), t.full())
		case len(lacks) > 0:
			c.Warnf("M05", "the payload lacks it of a row that is deleted, and where it was not changed", full, "binlog_row_image is %s: the log does not always hold column %s of %s", image, strings.Join(lacks, ", "), t.full())
		}
		if partial && len(json) > 0 {
			c.Errorf("M07", "the pipeline stops at such a row", "SET PERSIST binlog_row_value_options = '';", "the log holds only what was changed within column %s of %s: binlog_row_value_options is %s",
				strings.Join(json, ", "), t.full(), c.server.variables["binlog_row_value_options"])
		}
	}
	c.Okf("M05", "the log holds the columns that the rules ask for")
	c.Okf("M07", "the log holds whole values")
}

// large reports whether NOBLOB leaves a column out.
func (f *facetColumn) large() bool {
	return strings.HasSuffix(f.dataType, "blob") || strings.HasSuffix(f.dataType, "text") || f.dataType == "json" || f.dataType == "geometry"
}
