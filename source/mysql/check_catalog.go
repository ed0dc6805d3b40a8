package mysql

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// facet is a table as the checks look at it.
type facet struct {
	schema, name string // of the table: the log names it schema.name
	kind         string // BASE TABLE, VIEW, SYSTEM VERSIONED, SEQUENCE
	engine       string
	partitioned  bool
	columns      []facetColumn
	primary      []string    // in the order of the key
	prefixed     []string    // of the primary key, those of which it holds a beginning only
	keys         []facetKey  // that are unique
	cascades     []facetLink // foreign keys of it by which another table's change changes it
}

type facetColumn struct {
	name, dataType, columnType string
	charset, collation         string // "" where there is none
	null                       bool
}

type facetKey struct {
	name    string
	columns []string
	whole   bool
}

// facetLink is a foreign key that does more than refuse.
type facetLink struct{ name, parent, rule string }

func (t *facet) full() string { return t.schema + "." + t.name }

func (t *facet) quoted() string { return quoteName(t.schema) + "." + quoteName(t.name) }

func (t *facet) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func (t *facet) column(name string) *facetColumn {
	if i := slices.IndexFunc(t.columns, func(c facetColumn) bool { return c.name == name }); i >= 0 {
		return &t.columns[i]
	}
	return nil
}

// What the servers keep for themselves.
const notTheirs = " NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')"

// look lists the tables that our user sees.
func (c *checkup) look(ctx context.Context) error {
	ask := func(sql string) ([][]string, error) { return askTexts(ctx, c.conn, "looking at the tables", sql) }
	rows, err := ask("SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_OPTIONS FROM information_schema.TABLES WHERE TABLE_SCHEMA" + notTheirs + " ORDER BY 1, 2")
	if err != nil {
		return err
	}
	at := make(map[string]int, len(rows))
	for _, row := range rows {
		t := facet{schema: row[0], name: row[1], kind: row[2], engine: row[3], partitioned: strings.Contains(row[4], "partitioned")}
		at[t.full()] = len(c.tables)
		c.tables = append(c.tables, t)
	}
	each := func(sql string, do func(t *facet, row []string)) error {
		rows, err := ask(sql)
		for _, row := range rows {
			if i, ok := at[row[0]+"."+row[1]]; ok {
				do(&c.tables[i], row[2:])
			}
		}
		return err
	}
	err = each("SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IS_NULLABLE FROM information_schema.COLUMNS"+
		" WHERE TABLE_SCHEMA"+notTheirs+" ORDER BY 1, 2, ORDINAL_POSITION", (*facet).addColumn)
	if err != nil {
		return err
	}
	err = each("SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0"+
		" AND TABLE_SCHEMA"+notTheirs+" ORDER BY 1, 2, 3, SEQ_IN_INDEX", (*facet).addKey)
	if err != nil {
		return err
	}
	for _, t := range c.tables {
		if t.real() && c.sel.Captures(t.full()) {
			c.captured = append(c.captured, t)
		}
	}
	return c.lookAtLinks(ctx)
}

// linkAction is what a foreign key does that the log may not hold.
var linkAction = regexp.MustCompile(`ON (DELETE|UPDATE) (CASCADE|SET NULL|SET DEFAULT)`)

// linkLine is a foreign key as SHOW CREATE TABLE prints it, on a line of its own.
var linkLine = regexp.MustCompile("(?m)^  CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY \\(.*\\) REFERENCES (`.+`) \\([^()]*\\)(.*?),?$")

// lookAtLinks reads the foreign keys of the captured tables. information_schema shows them only to who may
// do more than SELECT.
func (c *checkup) lookAtLinks(ctx context.Context) error {
	for i := range c.captured {
		t := &c.captured[i]
		rows, err := askTexts(ctx, c.conn, "looking at the foreign keys of "+t.full(), "SHOW CREATE TABLE "+t.quoted())
		if err != nil {
			return err
		}
		for _, link := range linkLine.FindAllStringSubmatch(rows[0][1], -1) {
			t.addLink(strings.ReplaceAll(link[1], "``", "`"), strings.ReplaceAll(link[2], "`", ""), link[3])
		}
	}
	return nil
}

// real reports whether it is one whose rows are in the log.
func (t *facet) real() bool { return t.kind == "BASE TABLE" || t.kind == "SYSTEM VERSIONED" }

func (t *facet) addColumn(row []string) {
	t.columns = append(t.columns, facetColumn{
		name: row[0], dataType: strings.ToLower(row[1]), columnType: row[2], charset: row[3], collation: row[4], null: row[5] == "YES",
	})
}

func (t *facet) addKey(row []string) {
	name, column, part := row[0], row[1], row[2]
	if name == "PRIMARY" {
		t.primary = append(t.primary, column)
		if part != "" {
			t.prefixed = append(t.prefixed, column)
		}
		return
	}
	if len(t.keys) == 0 || t.keys[len(t.keys)-1].name != name {
		t.keys = append(t.keys, facetKey{name: name, whole: true})
	}
	k := &t.keys[len(t.keys)-1]
	k.columns = append(k.columns, column)
	k.whole = k.whole && part == "" && column != ""
}

// addLink takes a foreign key that does more than refuse.
func (t *facet) addLink(name, parent, actions string) {
	var rules []string
	for _, rule := range linkAction.FindAllString(actions, -1) {
		rules = append(rules, strings.TrimSpace(rule))
	}
	if len(rules) > 0 {
		t.cascades = append(t.cascades, facetLink{name: name, parent: parent, rule: strings.Join(rules, ", ")})
	}
}
