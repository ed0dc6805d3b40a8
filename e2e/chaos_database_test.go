package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
)

// database is a server with a load that a chaos run writes to, reads and breaks. All else of the chaos is the same for each.
type database interface {
	writers() *crew
	addr() string
	// restart stops the server, in order or as in a crash, and starts it again.
	restart(ctx context.Context, crash bool) error
	// pipeline is the text of the pipeline that reads it at an address. From one version of it to the next, some
	// tables have another delay.
	pipeline(address string, version int) string
	// sweep updates every row of the table big in one transaction, and reports whether that is known to have committed.
	sweep(ctx context.Context, rng *rand.Rand, begins func(tx int64)) (bool, error)
	// held are the transactions after one that the ledger in the database has.
	held(t testing.TB, after int64) []int64
	// place is where the pos of a message stands in the log, or up to where a position has come: behind the last
	// transaction of which nothing will be read again.
	place(text string) (uint64, error)
	// written is the place that a position has once everything is read that has committed by now.
	written(t testing.TB) uint64
	// forgotten looks up to where the server has been told to give up its log; nil: it is told nothing.
	forgotten() func(context.Context) (uint64, error)
	// reader waits until somebody reads the log, and returns how to ask whether he still does.
	reader(t testing.TB) (stays func() (problem string))
}

// chaosSource names the variable of the environment that says which database a run has.
const chaosSource = "E2E_CHAOS_SOURCE"

// sourceOfChaos is postgres unless another one is wanted.
func sourceOfChaos() string {
	if name := os.Getenv(chaosSource); name != "" {
		return name
	}
	return "postgres"
}

// startDatabase starts a server whose table big has so many rows.
func startDatabase(t testing.TB, source string, rows int) database {
	t.Helper()
	switch source {
	case "postgres":
		return startPostgresDatabase(t, rows)
	case "mysql", "mariadb":
		return startMySQLDatabase(t, source, rows)
	}
	t.Fatalf("%s: got %q, want postgres, mysql or mariadb", chaosSource, source)
	return nil
}

// chaosName is that of the database and of the pipeline.
const chaosName = "chaos"
