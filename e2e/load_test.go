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
	partitions = 3
	// every writer begins a transaction that often, if it keeps up: some 300 a second in all.
	txEvery = 13 * time.Millisecond
)

const schema = `
CREATE TABLE ledger (id bigint PRIMARY KEY);
CREATE TABLE items (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE lines (region text, line bigint, qty bigint NOT NULL DEFAULT 0, PRIMARY KEY (region, line));
CREATE TABLE "Order Items" ("SKU" text PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
CREATE TABLE scratch (id bigint PRIMARY KEY);`

// load writes transactions of every kind until it is stopped, and remembers
// what must come of those that committed.
type load struct {
	url    string
	topics string // prefix
	seed   uint64
	ledger *ledger

	serial atomic.Int64 // of transactions
	ids    atomic.Int64 // of rows
	stop   chan struct{}
	wait   sync.WaitGroup
	failed chan error // what a writer did not expect
}

func newLoad(url, topics string, seed uint64) *load {
	return &load{
		url: url, topics: topics, seed: seed, ledger: newLedger(),
		stop: make(chan struct{}), failed: make(chan error, writers),
	}
}

func (l *load) topic(table string) string { return l.topics + "-" + table }

func (l *load) topicNames() []string {
	return []string{l.topic("ledger"), l.topic("items"), l.topic("lines"), l.topic("orders"), l.topic("scratch")}
}

// tables are the rules that lead to these topics.
func (l *load) tables() string {
	return fmt.Sprintf("- {match: public.Order Items, topic: %s}\n- {match: public.*, topic: '%s'}", l.topic("orders"), l.topic("{table}"))
}

// start begins to write. It goes on over every failure of the server.
func (l *load) start(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	for w := range writers {
		l.wait.Go(func() {
			if err := l.write(ctx, rand.New(rand.NewPCG(l.seed, uint64(w)))); err != nil {
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
			if conn, err = pgx.Connect(ctx, l.url); err != nil {
				conn = nil // the server is away, which is what some tests are about
				continue
			}
		}
		if err := l.transact(ctx, conn, rng); err != nil {
			return err
		}
	}
}

// transact runs one transaction. Its error is what the load did not expect.
func (l *load) transact(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return expected(err)
	}
	id := l.serial.Add(1)
	s := &step{load: l, tx: tx, rng: rng, did: changes{}}
	if err := s.all(ctx, id); err != nil {
		l.ledger.enter(id, s.did, rolledBack)
		_ = tx.Rollback(ctx)
		return expected(err)
	}
	if rng.IntN(20) == 0 {
		l.ledger.enter(id, s.did, rolledBack)
		return expected(tx.Rollback(ctx))
	}
	l.ledger.enter(id, s.did, unknown) // before COMMIT, because nobody knows where it will break
	if err := tx.Commit(ctx); err != nil {
		return expected(err)
	}
	l.ledger.enter(id, s.did, committed)
	return nil
}

// expected passes over what belongs to a load: deadlocks, and servers that end.
func expected(err error) error {
	var pg *pgconn.PgError
	if err == nil || !errors.As(err, &pg) {
		return nil // the connection
	}
	switch pg.Code {
	case "40P01", "57P01", "57P02", "57P03":
		return nil
	}
	return fmt.Errorf("the load failed: %w", err)
}

// step is one transaction under way.
type step struct {
	load *load
	tx   pgx.Tx
	rng  *rand.Rand
	did  changes
}

func (s *step) note(table, key string, op kafkasync.Op) {
	s.did[change{s.load.topic(table), key, op}]++
}

func (s *step) all(ctx context.Context, id int64) error {
	steps := []func(context.Context) error{
		s.insert, s.insert, s.insert, s.update, s.update, s.twice, s.remove, s.rekey, s.bulk, s.bulkRemove,
		s.lines, s.lines, s.rekeyLine, s.orders, s.orders, s.scratch, s.undone,
	}
	for range 1 + s.rng.IntN(5) {
		if err := steps[s.rng.IntN(len(steps))](ctx); err != nil {
			return err
		}
	}
	if s.rng.IntN(60) == 0 {
		if err := s.truncate(ctx); err != nil {
			return err
		}
	}
	s.note("ledger", fmt.Sprint(id), kafkasync.Created)
	_, err := s.tx.Exec(ctx, "INSERT INTO ledger VALUES ($1)", id)
	return err
}

// run notes each key that a statement returns.
func (s *step) run(ctx context.Context, table string, op kafkasync.Op, sql string, args ...any) error {
	rows, err := s.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, key := range keys {
		s.note(table, key, op)
	}
	return err
}

// some is a place to begin looking for a row.
func (s *step) some() int64 { return s.rng.Int64N(s.load.ids.Load() + 1) }

const near = "(SELECT id FROM items WHERE id >= $1 ORDER BY id LIMIT 1)"

func (s *step) insert(ctx context.Context) error {
	return s.run(ctx, "items", kafkasync.Created, "INSERT INTO items VALUES ($1) RETURNING id::text", s.load.ids.Add(1))
}

func (s *step) update(ctx context.Context) error {
	return s.run(ctx, "items", kafkasync.Updated, "UPDATE items SET n = n + 1 WHERE id = "+near+" RETURNING id::text", s.some())
}

func (s *step) twice(ctx context.Context) error {
	id := s.load.ids.Add(1)
	if err := s.run(ctx, "items", kafkasync.Created, "INSERT INTO items VALUES ($1) RETURNING id::text", id); err != nil {
		return err
	}
	for range 2 {
		if err := s.run(ctx, "items", kafkasync.Updated, "UPDATE items SET n = n + 1 WHERE id = $1 RETURNING id::text", id); err != nil {
			return err
		}
	}
	return nil
}

func (s *step) remove(ctx context.Context) error {
	return s.run(ctx, "items", kafkasync.Deleted, "DELETE FROM items WHERE id = "+near+" RETURNING id::text", s.some())
}

// rekey changes a primary key: the old one is deleted, the new one created.
func (s *step) rekey(ctx context.Context) error {
	var old int64
	err := s.tx.QueryRow(ctx, "SELECT id FROM items WHERE id = "+near+" FOR UPDATE", s.some()).Scan(&old)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	s.note("items", fmt.Sprint(old), kafkasync.Deleted)
	return s.run(ctx, "items", kafkasync.Created, "UPDATE items SET id = $2 WHERE id = $1 RETURNING id::text", old, s.load.ids.Add(1))
}

func (s *step) bulk(ctx context.Context) error {
	from := s.some()
	return s.run(ctx, "items", kafkasync.Updated, "UPDATE items SET n = n + 1 WHERE id BETWEEN $1 AND $2 RETURNING id::text", from, from+50)
}

func (s *step) bulkRemove(ctx context.Context) error {
	from := s.some()
	return s.run(ctx, "items", kafkasync.Deleted, "DELETE FROM items WHERE id BETWEEN $1 AND $2 RETURNING id::text", from, from+5)
}

// lineKey is the key of a composite primary key as a message has it.
const lineKey = `RETURNING '[' || to_json(region)::text || ',' || line || ']'`

func (s *step) region() string {
	return []string{"eu", "us", `a "quoted" \ one`, "Köln/東京"}[s.rng.IntN(4)]
}

func (s *step) lines(ctx context.Context) error {
	region := s.region()
	err := s.run(ctx, "lines", kafkasync.Created, "INSERT INTO lines VALUES ($1, $2) "+lineKey, region, s.load.ids.Add(1))
	if err != nil {
		return err
	}
	from := s.some()
	return s.run(ctx, "lines", kafkasync.Updated, "UPDATE lines SET qty = qty + 1 WHERE region = $1 AND line BETWEEN $2 AND $3 "+lineKey,
		region, from, from+200)
}

// rekeyLine changes one column of two.
func (s *step) rekeyLine(ctx context.Context) error {
	id, region := s.load.ids.Add(1), s.region()
	err := s.run(ctx, "lines", kafkasync.Created, "INSERT INTO lines VALUES ($1, $2) "+lineKey, region, id)
	if err != nil {
		return err
	}
	if err := s.run(ctx, "lines", kafkasync.Deleted, "SELECT '[' || to_json($1::text)::text || ',' || $2::bigint || ']'", region, id); err != nil {
		return err
	}
	return s.run(ctx, "lines", kafkasync.Created, "UPDATE lines SET line = $3 WHERE region = $1 AND line = $2 "+lineKey, region, id, s.load.ids.Add(1))
}

// orders works on a table and a column whose names need quotes.
func (s *step) orders(ctx context.Context) error {
	sku := fmt.Sprintf("%s %d", s.region(), s.load.ids.Add(1))
	err := s.run(ctx, "orders", kafkasync.Created, `INSERT INTO "Order Items" VALUES ($1) RETURNING "SKU"`, sku)
	if err != nil || s.rng.IntN(3) > 0 {
		return err
	}
	return s.run(ctx, "orders", kafkasync.Deleted, `DELETE FROM "Order Items" WHERE "SKU" = $1 RETURNING "SKU"`, sku)
}

func (s *step) scratch(ctx context.Context) error {
	return s.run(ctx, "scratch", kafkasync.Created, "INSERT INTO scratch VALUES ($1) RETURNING id::text", s.load.ids.Add(1))
}

// undone is rolled back within the transaction, so nothing may come of it.
func (s *step) undone(ctx context.Context) error {
	inner, err := s.tx.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := inner.Exec(ctx, "INSERT INTO items VALUES ($1)", s.load.ids.Add(1)); err != nil {
		return err
	}
	return inner.Rollback(ctx)
}

func (s *step) truncate(ctx context.Context) error {
	_, err := s.tx.Exec(ctx, "TRUNCATE scratch")
	for p := range int32(partitions) {
		s.note("scratch", partitionKey(p), kafkasync.Truncated)
	}
	return err
}
