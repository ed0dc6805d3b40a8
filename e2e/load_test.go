package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

// load writes transactions of every kind to a Postgres.
type load struct {
	*crew

	url   string
	kinds []*kind // that are written to now; the crew's lock guards them
}

func newLoad(url, topics string, seed uint64) *load {
	l := &load{crew: newCrew(topics, seed, "ledger", "wide", "scratch"), url: url, kinds: kinds()}
	for _, k := range l.kinds {
		l.names = append(l.names, k.name)
	}
	l.open = func(ctx context.Context, _ int) (session, error) {
		conn, err := l.connect(ctx)
		return &postgresSession{load: l, conn: conn}, err
	}
	return l
}

// any is a kind of rows to write to.
func (l *load) any(rng *rand.Rand) *kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kinds[rng.IntN(len(l.kinds))]
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

type postgresSession struct {
	load *load
	conn *pgx.Conn
}

func (s *postgresSession) ended() bool { return s.conn.IsClosed() }

func (s *postgresSession) transact(ctx context.Context, rng *rand.Rand) error {
	_, err := s.load.transact(ctx, s.conn, rng, (*step).some)
	return err
}

func (s *postgresSession) close(ctx context.Context) { _ = s.conn.Close(ctx) } // nothing depends on how it goes

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
