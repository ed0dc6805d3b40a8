package postgres

import "fmt"

// Withdraw is the statement that takes a table out of the publication. It is for a
// person to run: this program only ever adds tables.
func (s *Source) Withdraw(table string) string {
	return fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s;", quoteName(s.cfg.Publication), quoteTable(table))
}
