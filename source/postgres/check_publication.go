package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync/source/findings"
)

// checkPublication looks at what of the captured tables the server would send.
func (c *checkup) checkPublication() {
	publishable := slices.DeleteFunc(slices.Clone(c.captured), func(t table) bool { return !t.usable() || t.unlogged() })
	if c.pub == nil {
		c.noPublication(publishable)
		return
	}
	c.checkMembers(publishable)
	p := c.pub
	if !p.Insert || !p.Update || !p.Delete || !p.Truncate {
		c.Errorf("P07", "the others are not published", "ALTER PUBLICATION "+quoteName(p.Name)+" SET (publish = 'insert, update, delete, truncate');",
			"publication %s leaves out operations", p.Name)
	}
	c.Okf("P07", "publication %s holds all operations", p.Name)
	if !p.ViaRoot {
		c.Errorf("P10", "rules match the whole table", "ALTER PUBLICATION "+quoteName(p.Name)+" SET (publish_via_partition_root = true);",
			"publication %s publishes partitions under their own names", p.Name)
	}
	c.Okf("P10", "partitions are published under the name of their table")
	for i := range c.captured {
		if m := p.member(c.captured[i].OID); m != nil {
			c.checkMember(m, &c.captured[i])
		}
	}
	c.Okf("P09", "the publication hides no column and no row")
}

// noPublication says whether the program can make it, and what to run if not.
func (c *checkup) noPublication(publishable []table) {
	if c.slot != nil {
		c.Errorf("P07", "the server finds a publication only for what was written after it was created", c.dropSlot(),
			"slot %s exists, but publication %s does not", c.slot.Name, c.cfg.Publication)
		return
	}
	if len(publishable) == 0 {
		return // which is a problem of its own
	}
	if foreign := notOwned(publishable); len(foreign) > 0 {
		c.Errorf("P07", "role "+c.server.Role+" does not own "+findings.Names(tableNames(foreign)), createPublication(c.cfg.Publication, publishable),
			"publication %s does not exist, and cannot be created by us", c.cfg.Publication)
	} else if !c.server.Creates {
		c.Errorf("P07", "role "+c.server.Role+" may not create a publication",
			fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s;", quoteName(c.server.Database), quoteName(c.server.Role)),
			"publication %s does not exist, and cannot be created by us", c.cfg.Publication)
	}
	c.Okf("P07", "publication %s will be created", c.cfg.Publication)
}

func notOwned(all []table) []table {
	return slices.DeleteFunc(slices.Clone(all), func(t table) bool { return t.Owned })
}

// checkMembers compares the publication with the captured tables.
func (c *checkup) checkMembers(publishable []table) {
	p := c.pub
	missing := slices.DeleteFunc(publishable, func(t table) bool { return p.covers(&t) })
	if len(missing) == 0 {
		c.Okf("P08", "publication %s holds the captured tables", p.Name)
		return
	}
	if !p.Owned || len(notOwned(missing)) > 0 {
		c.Errorf("P08", "role "+c.server.Role+" may not add them: it does not own the publication, or not all of them",
			addTables(p.Name, missing), "publication %s lacks %s", p.Name, findings.Names(tableNames(missing)))
	}
	c.Okf("P08", "publication %s lacks %s: they will be added", p.Name, findings.Names(tableNames(missing)))
}

// checkMember looks for what the publication hides of a table. It can be added
// to the publication again as a whole; being covered late is a gap that a run records.
func (c *checkup) checkMember(m *member, t *table) {
	fix := addWhole(c.pub.Name, t)
	if m.Filter != "" {
		c.Errorf("P09", "changes of other rows are not published", fix,
			"publication %s holds only the rows of %s with %s", c.pub.Name, t.Name, m.Filter)
	}
	hidden := slices.DeleteFunc(c.pub.hidden(t, t.needed(c.sel)), func(name string) bool { return m.Columns == nil || t.generates(name) })
	if len(hidden) > 0 {
		c.Errorf("P09", "the key or the payload would be missing; without a column of the replica identity, UPDATE and DELETE fail for the application",
			fix, "publication %s hides column %s of %s", c.pub.Name, strings.Join(hidden, ", "), t.Name)
	}
}

// generates reports whether the column is a generated one: generatedProblem reports these.
func (t *table) generates(column string) bool {
	return slices.ContainsFunc(t.Columns, func(a attribute) bool { return a.Name == column && a.Generated != 0 })
}
