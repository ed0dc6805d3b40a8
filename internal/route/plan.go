package route

import (
	"fmt"
	"slices"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// plan is what a rule makes of the rows of one table, worked out once.
type plan struct {
	router *Router
	rule   *rule
	table  *source.Table

	blank    kafkasync.Message // what all messages of the table have in common
	key      []int             // columns of the key
	payload  []field
	identity []int  // columns whose change makes it another row: the key, and what the payload holds of the primary key
	nulls    []byte // the value of a truncate
}

// field is one column of the payload.
type field struct {
	name   []byte // as JSON with the colon: "id":
	column int
}

// Columns names the columns that the rule of a captured table needs: its
// payload and its key. It fails with a Fault of class Stop if the table has no
// such column, or no key, or cannot have its topic.
func (r *Router) Columns(table string, columns, primaryKey []string) ([]string, error) {
	one := r.find(table)
	if one == nil {
		return nil, fmt.Errorf("choosing columns of %s: no rule captures it", table)
	}
	if _, err := r.topicName(table, one); err != nil {
		return nil, err
	}
	key, payload, err := one.choose(table, columns, primaryKey)
	if err != nil {
		return nil, err
	}
	var wanted []string
	for _, c := range payload {
		if !slices.Contains(wanted, c.Source) {
			wanted = append(wanted, c.Source)
		}
	}
	for _, name := range key {
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	return wanted, nil
}

// newPlan claims the table's topic. That waits for the first change of the
// table, because a source may ask about tables that it then sends nothing of.
func (r *Router) newPlan(table *source.Table) (*plan, error) {
	one := r.find(table.Name)
	if one == nil {
		return nil, fmt.Errorf("planning messages of %s: no rule captures it", table.Name)
	}
	key, payload, err := one.choose(table.Name, table.Columns, table.PrimaryKey)
	if err != nil {
		return nil, err
	}
	topic, err := r.topicOf(table.Name, one)
	if err != nil {
		return nil, err
	}
	p := &plan{router: r, rule: one, table: table}
	p.blank = kafkasync.Message{Topic: topic, Pipeline: r.pipeline, Table: table.Name, Delay: one.Delay}
	for _, name := range key {
		p.key = append(p.key, slices.Index(table.Columns, name))
	}
	p.identity = slices.Clone(p.key)
	for _, c := range payload {
		f := field{name: append(appendString(nil, c.Name), ':'), column: slices.Index(table.Columns, c.Source)}
		p.payload = append(p.payload, f)
		if slices.Contains(table.PrimaryKey, c.Source) && !slices.Contains(p.identity, f.column) {
			p.identity = append(p.identity, f.column)
		}
	}
	p.nulls = p.appendNulls(nil)
	return p, nil
}

// appendNulls appends the value of a truncate: the ids of the payload, null. If
// a payload holds no column of a key, all its columns are what stands for the row.
func (p *plan) appendNulls(dst []byte) []byte {
	isID := func(f field) bool { return slices.Contains(p.identity, f.column) }
	all := !slices.ContainsFunc(p.payload, isID)
	open := byte('{')
	for _, f := range p.payload {
		if all || isID(f) {
			dst = append(append(append(dst, open), f.name...), "null"...)
			open = ','
		}
	}
	return append(dst, '}')
}
