package node

import (
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/source"
)

// member is a pipeline of this node.
type member struct {
	name       string
	status     *pipeline.Status
	source     database
	captures   func(table string) bool
	supervisor *supervisor
}

// database is what a node needs of a source beside what a pipeline does.
type database interface {
	source.Repairable
	// Tables names the tables that are read, as of the last Open; nil before it.
	Tables() []string
}

// withdrawer is a database that publishes tables only once they were added to something on the server.
type withdrawer interface {
	// Withdraw is the statement that ends the publishing of a table.
	Withdraw(table string) string
}

// tables names those that are covered. A state that an older release wrote does not know them.
func (m *member) tables(covered []source.Coverage) []string {
	if len(covered) == 0 {
		return m.source.Tables()
	}
	var names []string
	for _, c := range covered {
		if c.Until == "" {
			names = append(names, c.Table)
		}
	}
	return names
}

// withdraw returns the statements that end the publishing of a table: this program never does it by itself.
func (m *member) withdraw(table string) []string {
	if w, ok := m.source.(withdrawer); ok {
		return []string{w.Withdraw(table)}
	}
	return nil
}
