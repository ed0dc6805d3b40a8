// Package sourcetest defines what a source.Source is: a suite that every source
// passes, and Memory, a database in memory that passes it too.
//
// It promises that a source which passes Run can be driven by internal/pipeline
// without losing a change. It never looks inside a position, and it never
// depends on how a server cuts its log into batches.
package sourcetest

import (
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// Database is one database that the suite writes to and reads from.
type Database interface {
	// Source returns a new source over the database. All sources of one Database share
	// what Head prepares on the server. It captures what Selector captures.
	Source(t *testing.T) source.Source
	// Exec runs the transaction and commits it. Real databases run Step.SQL.
	Exec(t *testing.T, tx Tx)
	// Rollback runs the transaction and rolls it back.
	Rollback(t *testing.T, tx Tx)
}

// Harness says how the suite gets a database, and what the source can do.
type Harness struct {
	// New returns a database in which Schema was run, whose tables are empty,
	// and on which no source has prepared anything. It ends with the test.
	New func(t *testing.T) Database
	// Prefix is what the source puts before a table's name, "public.".
	Prefix string
	// MaxChanges is how many changes the source puts into one batch at most.
	MaxChanges int
	// Prepares says that Head leaves something on the server that a later Head
	// finds again, as a replication slot; false for a binlog.
	Prepares bool
	// IdleWithin is how long it may take until a commit that holds nothing for
	// us moves the position. 0: it need not.
	IdleWithin time.Duration
}

// Run runs the suite. Its subtests do not run in parallel.
func Run(t *testing.T, h Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"HeadIsNow", headIsNow},
		{"HeadResumedAdoptsAndFreshRefuses", headResumedAdopts},
		{"HeadRegistersWhatItCovers", headRegisters},
		{"ChangesArriveInCommitOrder", changesInOrder},
		{"RolledBackDoesNotArrive", rolledBack},
		{"KeyChangeHasTheOldKey", keyChange},
		{"TruncateArrives", truncate},
		{"AddedColumnArrives", addedColumn},
		{"LargeTransactionComesInBoundedBatches", largeTransaction},
		{"BatchIsResetAndReusable", batchReuse},
		{"ReopeningReplaysExactlyWhatFollowed", reopening},
		{"UnconfirmedIsSentAgain", unconfirmedSentAgain},
		{"ConfirmedIsNotNeededAgain", confirmedNotNeeded},
		{"ConfirmRunsBesideNext", confirmBesideNext},
		{"ForeignPositionIsRefused", foreignPosition},
		{"NextReturnsWhenItsContextEnds", nextEnds},
		{"StreamOutlivesTheContextOfOpen", outlivesOpen},
		{"CloseTwiceIsHarmless", closeTwice},
		{"IdleLogMovesThePosition", idle},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

// Selector captures the suite's tables with all their columns.
type Selector struct {
	Prefix string // as Harness.Prefix
}

// Captures is described at source.Selector.
func (s Selector) Captures(table string) bool {
	return table == s.Prefix+Items || table == s.Prefix+Lines
}

// Key is described at source.Selector.
func (s Selector) Key(_ string, primaryKey []string) []string { return primaryKey }

// Columns is described at source.Selector.
func (s Selector) Columns(_ string, columns, _ []string) ([]string, error) { return columns, nil }
