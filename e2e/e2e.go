// Package e2e holds the tests of the whole system: the real binary, between a
// real Postgres and a real Kafka, while processes and servers are stopped,
// killed and misconfigured.
//
// It promises that every claim about loss is checked against a ledger: each
// transaction of the load says which messages it must lead to, and all of Kafka
// is read and compared. It never asserts how fast anything is.
//
// The environment makes the tests longer: E2E_SEED repeats a run's random
// choices, E2E_KILLS is how often the process is killed, E2E_ROWS how many rows
// one transaction changes; E2E_SOAK=1 keeps Kafka away for longer than Postgres
// tolerates silence. `make soak` sets them, `make chaos` and `make
// chaos-consumers` those of the long runs with faults at random.
package e2e
