package postgres

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Withdraw is the statement that takes a table out of the publication. It is for a
// person to run: this program only ever adds tables.
func (s *Source) Withdraw(table string) string {
	schema, name, _ := strings.Cut(table, ".") // no rule captures a schema with a dot in its name
	return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s;", quoteName(s.cfg.Publication), pgx.Identifier{schema, name}.Sanitize())
}
