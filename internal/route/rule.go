package route

import "time"

// Rule says what becomes of the changes of the tables that it matches. The
// first rule that matches a table decides; a table without a rule is not
// captured.
type Rule struct {
	Match      string        // case-sensitive glob on schema.table, see ValidMatch
	Skip       bool          // the tables are not captured
	Topic      string        // template over {pipeline}, {schema}, {table}; default "{table}"
	Payload    []Column      // default: the primary key
	Key        []string      // default: the primary key
	Delay      time.Duration // 0: no delay messages
	Truncate   Truncate
	Tombstones bool
}

// Column is one column of the payload.
type Column struct {
	Name   string // in the payload
	Source string // in the table
}

// Truncate says what becomes of a truncate.
type Truncate int

// What becomes of a truncate.
const (
	SendTruncate Truncate = iota
	SkipTruncate
)

// Encoding says how values are written where JSON leaves a choice.
type Encoding struct {
	BigintAsString bool // 64-bit integers as JSON strings
	BinaryAsBase64 bool // else lowercase hex
}
