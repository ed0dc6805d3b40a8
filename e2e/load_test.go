package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

const (
	writers    = 4
	maxWriters = 16
	partitions = 3
	// every writer begins a transaction that often, if it keeps up: some 300 a second in all.
	txEvery = 13 * time.Millisecond
)

// load writes transactions of every kind until it is stopped, and remembers
// what must come of those that committed.
type load struct {
	url    string
	topics string // prefix
	seed   uint64
	ledger *ledger

	serial atomic.Int64 // of transactions
	ids    atomic.Int64 // of rows
	pace   int          // writers
	stop   chan struct{}
	wait   sync.WaitGroup
	failed chan error // what a writer did not expect

	mu    sync.Mutex
	kinds []*kind  // that are written to now
	names []string // of topics
	lives map[string][]life
}

func newLoad(url, topics string, seed uint64) *load {
	l := &load{
		url: url, topics: topics, seed: seed, ledger: newLedger(), kinds: kinds(), lives: map[string][]life{},
		pace: writers, failed: make(chan error, maxWriters),
		names: []string{"ledger", "wide", "scratch"},
	}
	for _, k := range l.kinds {
		l.names = append(l.names, k.name)
	}
	return l
}

func (l *load) topic(table string) string { return l.topics + "-" + table }

func (l *load) topicNames() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, name := range l.names {
		all = append(all, l.topic(name))
	}
	return all
}

// any is a kind of rows to write to.
func (l *load) any(rng *rand.Rand) *kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kinds[rng.IntN(len(l.kinds))]
}

// start begins to write, again after finish. It goes on over every failure of the server.
func (l *load) start(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	l.stop = make(chan struct{})
	first := uint64(l.serial.Load()) // so that it does not do the same again
	for w := range l.pace {
		l.wait.Go(func() {
			if err := l.write(ctx, rand.New(rand.NewPCG(l.seed, first+uint64(w)))); err != nil {
				l.failed <- err
			}
		})
	}
}

// finish ends the writers; whatever was under way is finished.
func (l *load) finish(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.wait.Wait()
	l.goesWell(t)
}

// goesWell fails the test if a writer had to give up.
func (l *load) goesWell(t testing.TB) {
	t.Helper()
	select {
	case err := <-l.failed:
		t.Fatal(err)
	default:
	}
}

func (l *load) write(ctx context.Context, rng *rand.Rand) error {
	tick := time.NewTicker(txEvery)
	defer tick.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(ctx)
		}
	}()
	for {
		select {
		case <-l.stop:
			return nil
		case <-tick.C:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = l.connect(ctx); err != nil {
				conn = nil // the server is away, which is what some tests are about
				continue
			}
		}
		if _, err := l.transact(ctx, conn, rng, (*step).some); err != nil {
			return err
		}
	}
}

// connect opens a connection on which no statement outlives a change of its tables.
func (l *load) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(l.url)
	if err != nil {
		return nil, err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pgx.ConnectConfig(ctx, config)
}

// transact runs one transaction, and reports whether it is known to have
// committed. Its error is what the load did not expect.
func (l *load) transact(ctx context.Context, conn *pgx.Conn, rng *rand.Rand, do func(*step, context.Context) error) (bool, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, expected(err)
	}
	id := l.serial.Add(1)
	s := &step{load: l, id: id, tx: tx, rng: rng, did: changes{}}
	err = do(s, ctx)
	if err == nil {
		s.note("ledger", fmt.Sprint(id), kafkasync.Created)
		_, err = tx.Exec(ctx, "INSERT INTO ledger VALUES ($1)", id)
	}
	if err != nil {
		l.ledger.enter(id, s.did, rolledBack)
		_ = tx.Rollback(ctx)
		return false, expected(err)
	}
	if rng.IntN(20) == 0 {
		l.ledger.enter(id, s.did, rolledBack)
		return false, expected(tx.Rollback(ctx))
	}
	l.ledger.enter(id, s.did, unknown) // before COMMIT, because nobody knows where it will break
	if err := tx.Commit(ctx); err != nil {
		return false, expected(err)
	}
	l.ledger.enter(id, s.did, committed)
	return true, nil
}

// expected passes over what belongs to a load: deadlocks, tables and partitions
// that come and go, and servers that end.
func expected(err error) error {
	var pg *pgconn.PgError
	if err == nil || !errors.As(err, &pg) {
		return nil // the connection
	}
	switch pg.Code {
	case "40P01", "40001": // a deadlock; a row that has moved to another partition
		return nil
	case "42P01", "23514", "23505": // no such table; no partition for the row; an upsert was faster
		return nil
	case "57P01", "57P02", "57P03":
		return nil
	}
	return fmt.Errorf("the load failed: %w", err)
}
