package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
)

// keyless reports whether a captured table has no key, neither by itself nor by its rule.
func (c *checkup) keyless(t *table) bool { return len(c.sel.Key(t.Name, t.primaryKey())) == 0 }

// columnProblem says why the columns that a rule asks for are not to be had.
// Only a missing key can be mended on the side of the table.
func (c *checkup) columnProblem(t *table, all []string, err error) {
	fix := ""
	if len(t.primaryKey()) == 0 && len(all) > 0 {
		if _, withKey := c.sel.Columns(t.Name, all, all[:1]); withKey == nil {
			fix = keyFix(t, all)
		}
	}
	c.ruleProblem(t, err, fix)
}

// ruleProblem says why the rule and the table do not fit. A fix of "" is that of the fault.
func (c *checkup) ruleProblem(t *table, err error, fix string) {
	what := err.Error()
	var fault *kafkasync.Fault
	if errors.As(err, &fault) {
		what = fault.What
		if fix == "" {
			fix = fault.Fix
		}
	}
	if fix == "" {
		fix = fmt.Sprintf("correct the rule for %s; its columns are %s", t.Name, strings.Join(attributeNames(t.Columns), ", "))
	}
	c.Errorf("T03", c.misfit(t), fix, "%s", what)
}

// misfit says what happens while a rule and its table do not fit. Only a first
// start is held up: later, one table does not hold up all others.
func (c *checkup) misfit(t *table) string {
	switch {
	case c.covers(t) && c.keyless(t) && !t.usable():
		return c.broken()
	case c.slot == nil:
		return "the pipeline does not start for the first time until this is fixed"
	case c.covers(t):
		return "the pipeline stops at the next change of it"
	default:
		return "the table is left out until this is fixed, which each start logs; what changes in it until then is not published"
	}
}

// keyFix is the statement that gives a table a primary key: of columns that are
// a key already, else of a new one.
func keyFix(t *table, all []string) string {
	for _, x := range t.Indexes {
		if x.Usable && x.NotNull {
			quoted := make([]string, len(x.Columns))
			for i, name := range x.Columns {
				quoted[i] = quoteName(name)
			}
			return fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (%s); -- or write key: [%s] and payload: [%[3]s] into its rule",
				t.quoted(), strings.Join(quoted, ", "), strings.Join(x.Columns, ", "))
		}
	}
	name := "id"
	for slices.Contains(all, name) {
		name = "row_" + name
	}
	return fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY; "+
		"-- rewrites the table; or name key and payload columns, or skip: true, in its rule", t.quoted(), quoteName(name))
}
