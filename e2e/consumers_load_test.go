package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// itemRows are the rows as the stores keep them.
const itemRows = "SELECT id, name || ' ' || n FROM items"

const itemSchema = "CREATE TABLE items (id bigserial PRIMARY KEY, owner int NOT NULL, name text NOT NULL, n int NOT NULL DEFAULT 0); CREATE INDEX ON items (owner)"

// someItems inserts rows for writers.
const someItems = `INSERT INTO items (owner, name) SELECT i %% %d, (ARRAY['teapot','kettle','cup'])[1 + i %% 3] FROM generate_series(1, %d) i`

// shop is what an application does to the table, until it is closed.
type shop struct {
	url     string
	seed    uint64
	opened  uint64 // how often
	closing chan struct{}
	wait    sync.WaitGroup

	mu     sync.Mutex
	done   map[string]int // statements of transactions that committed, by what they are
	failed error
}

const (
	shopWriters = 3
	shopEvery   = 30 * time.Millisecond // a writer begins a transaction
	shopRows    = 150                   // of a writer, about
)

// open begins to write, again after close.
func (s *shop) open(t testing.TB) {
	t.Helper()
	s.closing = make(chan struct{})
	s.opened++
	for w := range shopWriters {
		rng := rand.New(rand.NewPCG(s.seed, s.opened<<8|uint64(w)))
		s.wait.Go(func() {
			if err := s.write(t.Context(), w, rng); err != nil {
				s.mu.Lock()
				s.failed = err
				s.mu.Unlock()
			}
		})
	}
}

// close waits until all that is under way is done.
func (s *shop) close(t testing.TB) {
	t.Helper()
	close(s.closing)
	s.wait.Wait()
	if s.failed != nil {
		t.Fatal(s.failed)
	}
}

// note counts what somebody did.
func (s *shop) note(kinds ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		s.done[kind]++
	}
}

func (s *shop) write(ctx context.Context, owner int, rng *rand.Rand) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tick := time.NewTicker(shopEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return nil
		case <-tick.C:
		}
		if err := s.transact(ctx, conn, owner, rng); err != nil {
			return err
		}
	}
}

// The statements of a transaction. Every one is of the writer's own rows, so that nobody waits for anybody.
var shopSteps = []struct{ kind, sql string }{
	{"INSERT", "INSERT INTO items (owner, name) SELECT $1::int, 'teapot' FROM generate_series(1, $2::int % 10)"},
	{"INSERT", "INSERT INTO items (owner, name) SELECT $1::int, 'cup' FROM generate_series(1, $2::int % 20)"},
	{"UPDATE", "UPDATE items SET n = n + 1 WHERE id = " + oneItem},
	{"UPDATE", "UPDATE items SET name = 'kettle' WHERE id = " + oneItem},
	{"UPDATE of all", "UPDATE items SET n = n + 1 WHERE owner = $1 AND $2::int >= 0"},
	{"DELETE", "DELETE FROM items WHERE id = " + oneItem},
	{"DELETE of many", "DELETE FROM items WHERE owner = $1 AND id % 10 = $2::int % 10"},
	{"change of the key", "UPDATE items SET id = nextval('items_id_seq') WHERE id = " + oneItem},
	{"upsert", "INSERT INTO items SELECT * FROM items WHERE id = " + oneItem + " ON CONFLICT (id) DO UPDATE SET n = items.n + 1"},
}

const oneItem = "(SELECT id FROM items WHERE owner = $1 ORDER BY id LIMIT 1 OFFSET $2)"

func (s *shop) transact(ctx context.Context, conn *pgx.Conn, owner int, rng *rand.Rand) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	var did []string
	for range 1 + rng.IntN(3) {
		step := shopSteps[rng.IntN(len(shopSteps))]
		did = append(did, step.kind)
		if _, err := tx.Exec(ctx, step.sql, owner, rng.IntN(shopRows)); err != nil {
			_ = tx.Rollback(ctx)
			return expected(fmt.Errorf("%s: %w", step.sql, err))
		}
	}
	if rng.IntN(15) == 0 {
		return tx.Rollback(ctx)
	}
	if err := tx.Commit(ctx); err != nil {
		return expected(err)
	}
	s.note(append(did, "transaction")...)
	return nil
}
