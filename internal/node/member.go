package node

import (
	"maps"
	"slices"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/source"
)

// member is a pipeline of this node.
type member struct {
	name       string
	status     *pipeline.Status
	source     database
	slotless   bool // the server keeps no log for us
	captures   func(table string) bool
	mentions   func(table string) bool // also to skip it
	supervisor *supervisor
}

// tables names those that are covered.
func tables(covered []source.Coverage) []string {
	var names []string
	for _, c := range covered {
		if c.Until == "" {
			names = append(names, c.Table)
		}
	}
	return names
}

// uncovered lists the tables that a source says it misses changes of.
func uncovered(s database) []web.Uncovered {
	misses, ok := s.(interface{ Uncovered() map[string]string })
	if !ok {
		return nil
	}
	var list []web.Uncovered
	why := misses.Uncovered()
	for _, table := range slices.Sorted(maps.Keys(why)) {
		list = append(list, web.Uncovered{Table: table, Why: why[table]})
	}
	return list
}

// withdraw returns the statements that end the publishing of a table: this program never does it by itself.
func (m *member) withdraw(table string) []string {
	if statement := m.source.Withdraw(table); statement != "" {
		return []string{statement}
	}
	return nil
}
