package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// requirePublishable refuses a table whose updates would start to fail for the
// application, or whose log would not hold what its rule needs.
func (s *Source) requirePublishable(t *table) error {
	for _, h := range t.heaps() {
		if h.Persistence == 'u' {
			return notPublishable(&h, "it is unlogged", fmt.Sprintf("ALTER TABLE %s SET LOGGED; -- or skip: true in a rule for it", h.quoted()))
		}
		if why := h.identityProblem(); why != "" {
			return notPublishable(&h, "its UPDATE and DELETE would fail: "+why, h.identityFix(nil))
		}
	}
	primary := t.primaryKey()
	wanted, err := s.selector.Columns(t.Name, attributeNames(t.Columns), primary)
	if err != nil {
		return err
	}
	return t.requireIdentity(identifying(s.selector.Key(t.Name, primary), primary, wanted), wanted)
}

// identifying returns the columns without which the old place of a row that is
// deleted or moved cannot be named: the message's key, and what of the primary key is in its payload.
func identifying(key, primary, wanted []string) []string {
	columns := slices.Clone(key)
	for _, name := range primary {
		if slices.Contains(wanted, name) && !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// requireIdentity refuses a table one of whose heaps does not log these columns
// of an old row: the row's old key would never be deleted, and nothing would say so.
func (t *table) requireIdentity(columns, wanted []string) error {
	for _, h := range t.heaps() {
		missing := slices.DeleteFunc(slices.Clone(columns), h.identifies)
		if len(missing) > 0 {
			return notPublishable(&h, "its replica identity lacks "+strings.Join(missing, ", "), h.identityFix(columns))
		}
		// pgoutput says of a partition's old row what the root's identity says: with
		// a full one, columns that the partition does not log would be sent as nulls.
		if t.Identity == 'f' && slices.ContainsFunc(wanted, func(name string) bool { return !h.identifies(name) }) {
			return notPublishable(&h, "its replica identity is narrower than that of "+t.Name,
				fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL;", h.quoted()))
		}
	}
	return nil
}

func notPublishable(h *heap, why, fix string) error {
	return &kafkasync.Fault{Class: kafkasync.Wait, What: fmt.Sprintf("%s cannot be published: %s", h.Name, why), Fix: fix}
}

// requireVisible refuses a publication that hides rows or columns of the tables.
func (s *Source) requireVisible(p *publication, found []table) error {
	var errs []error
	for i := range found {
		t := &found[i]
		hidden := p.hidden(t, t.needed(s.selector))
		m := p.member(t.OID)
		if len(hidden) == 0 && (m == nil || m.Filter == "") {
			continue
		}
		fault := &kafkasync.Fault{
			Class: kafkasync.Wait, What: fmt.Sprintf("publication %s holds only some rows or columns of %s", p.Name, t.Name),
			Risk: "changes of the others", Fix: addWhole(p.Name, t),
		}
		if len(hidden) > 0 {
			fault.What = fmt.Sprintf("publication %s hides column %s of %s", p.Name, strings.Join(hidden, ", "), t.Name)
			fault.Risk = "the key or the payload of its messages"
			if m == nil || m.Columns == nil { // then these are generated columns
				fault.Fix = "from Postgres 18 on, if they are stored: " + sendGenerated(p.Name) + " else take them out of key and payload of the rule"
			}
		}
		errs = append(errs, fault)
	}
	return errors.Join(errs...)
}

// needed returns the columns that have to be sent: those of the rule, and the
// replica identity, without which UPDATE and DELETE fail for the application.
// Generated columns of the latter are none of ours: see Unsent.
func (t *table) needed(sel source.Selector) []string {
	columns, err := sel.Columns(t.Name, attributeNames(t.Columns), t.primaryKey())
	if err != nil {
		columns = nil // that is a problem of its own
	}
	identity := t.identityColumns()
	for _, a := range t.Columns {
		if a.Generated == 0 && slices.Contains(identity, a.Name) && !slices.Contains(columns, a.Name) {
			columns = append(columns, a.Name)
		}
	}
	return columns
}

// hidden returns those of the columns that the server would not send.
func (p *publication) hidden(t *table, columns []string) []string {
	m := p.member(t.OID)
	var hidden []string
	for _, a := range t.Columns {
		sent := a.Generated == 0 || a.Generated == 's' && p.Generated
		if m != nil && m.Columns != nil {
			sent = slices.Contains(m.Columns, a.Name)
		}
		if !sent && slices.Contains(columns, a.Name) {
			hidden = append(hidden, a.Name)
		}
	}
	return hidden
}

// excuse takes back from the tables what is no problem because the publication
// sends generated columns. There may be no publication yet.
func (p *publication) excuse(found []table) {
	for i := range found {
		t := &found[i]
		p.excuseHeap(t, &t.heap)
		for j := range t.Leaves {
			p.excuseHeap(t, &t.Leaves[j])
		}
	}
}

func (p *publication) excuseHeap(t *table, h *heap) {
	if p == nil {
		return
	}
	sent := h.Unsent == 's' && p.Generated
	if m, x := p.member(t.OID), h.identity(); m != nil && m.Columns != nil { // a list goes before everything else
		sent = x != nil && holdsAll(m.Columns, x.Columns)
	}
	if sent {
		h.Unsent = 0
	}
}

// addWhole is the statement that adds a table anew, without filter and column list.
func addWhole(publication string, t *table) string {
	return "BEGIN; " + renewMembership(publication, t.quoted()) + " COMMIT;"
}

// renewMembership is for within a transaction.
func renewMembership(publication, quoted string) string {
	return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s; ALTER PUBLICATION %[1]s ADD TABLE %[2]s;", quoteName(publication), quoted)
}
