package route

import (
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// keyValue returns the value of a key column. A key is never guessed: without
// it the row would be published under another one's, or not at all.
func (p *plan) keyValue(column int, row, rest []source.Value) (*source.Value, error) {
	v := pick(column, row, rest)
	switch v.Kind {
	case source.Absent:
		return nil, p.keyFault(column, "the log does not hold", "are in the replica identity (Postgres) or the row image (MySQL)")
	case source.Null:
		return nil, p.keyFault(column, "NULL stands in", "are NOT NULL")
	default:
		return v, nil
	}
}

// keyFault stops the pipeline. What the log holds by now stays as it is, so only
// the rule can change; for the rows to come the table can.
func (p *plan) keyFault(column int, what, want string) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("%s key column %q of a changed row of %s", what, p.table.Columns[column], p.table.Name),
		Risk:  "the row's change cannot be published",
		Fix:   fmt.Sprintf("name columns that %s under key: in the rule for %s", want, p.table.Name),
	}
}

// valueFault stops the pipeline. The value itself is not shown: it may be anything.
func (p *plan) valueFault(column int, problem string) error {
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  fmt.Sprintf("column %q of a changed row of %s holds %s", p.table.Columns[column], p.table.Name, problem),
		Risk:  "the row's change cannot be published",
		Fix:   fmt.Sprintf("take the column out of payload: and key: in the rule for %s", p.table.Name),
	}
}
