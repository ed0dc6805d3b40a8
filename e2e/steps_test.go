package e2e_test

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
)

// step is one transaction under way.
type step struct {
	load *load
	id   int64 // in the ledger
	tx   pgx.Tx
	rng  *rand.Rand
	did  changes
}

func (s *step) note(table, key string, op kafkasync.Op) {
	s.did[change{s.load.topic(table), key, op}]++
}

// some does a few things at random.
func (s *step) some(ctx context.Context) error {
	steps := []func(context.Context) error{
		s.row, s.row, s.row, s.row, s.row, s.row, s.row, s.row, s.row, s.row,
		s.twice, s.upsert, s.move, s.bulk, s.bulkRemove, s.copy, s.scratch, s.undone,
	}
	for range 1 + s.rng.IntN(5) {
		if err := steps[s.rng.IntN(len(steps))](ctx); err != nil {
			return err
		}
	}
	switch s.rng.IntN(400) {
	case 0:
		return s.all(ctx)
	case 1, 2, 3, 4, 5, 6:
		return s.truncate(ctx)
	}
	return nil
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

// moves notes the old and the new key of each row that a statement returns.
func (s *step) moves(ctx context.Context, table, sql string, args ...any) error {
	rows, err := s.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var before, after string
	_, err = pgx.ForEachRow(rows, []any{&before, &after}, func() error {
		s.note(table, before, kafkasync.Deleted)
		s.note(table, after, kafkasync.Created)
		return nil
	})
	return err
}

// place is where to begin looking for a row.
func (s *step) place() int64 { return s.rng.Int64N(s.load.ids.Load() + 1) }

func (s *step) row(ctx context.Context) error { return s.write(ctx, s.load.any(s.rng)) }

// write does something to one row of a kind.
func (s *step) write(ctx context.Context, k *kind) error {
	switch s.rng.IntN(8) {
	case 0:
		return s.run(ctx, k.name, kafkasync.Deleted, k.remove(), s.place())
	case 1:
		return s.moves(ctx, k.name, k.rekey(), s.place(), s.load.ids.Add(1))
	case 2, 3, 4:
		return s.run(ctx, k.name, kafkasync.Updated, k.update(), s.place())
	default:
		return s.run(ctx, k.name, kafkasync.Created, k.insert(), s.load.ids.Add(1))
	}
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

// upsert creates a row, or changes one that may be there.
func (s *step) upsert(ctx context.Context) error {
	var key string
	var created bool
	err := s.tx.QueryRow(ctx, `INSERT INTO items AS r VALUES ($1) ON CONFLICT (id) DO UPDATE SET n = r.n + 1
		RETURNING id::text, r.n = 0`, s.place()).Scan(&key, &created)
	if err != nil {
		return err
	}
	op := kafkasync.Updated
	if created {
		op = kafkasync.Created
	}
	s.note("items", key, op)
	return nil
}

// move takes rows to another partition, which is what their key says.
func (s *step) move(ctx context.Context) error {
	const key = `'[' || to_json(r.region)::text || ',' || r.line || ']'`
	return s.moves(ctx, "stock", `WITH old AS (SELECT * FROM stock WHERE line BETWEEN $1 AND $1 + 30 FOR UPDATE)
		UPDATE stock AS r SET region = CASE old.region WHEN 'eu' THEN 'us' WHEN 'us' THEN 'asia' ELSE 'eu' END
		FROM old WHERE r.region = old.region AND r.line = old.line
		RETURNING '[' || to_json(old.region)::text || ',' || old.line || ']', `+key, s.place())
}

func (s *step) bulk(ctx context.Context) error {
	from := s.place()
	return s.run(ctx, "items", kafkasync.Updated, "UPDATE items SET n = n + 1 WHERE id BETWEEN $1 AND $2 RETURNING id::text", from, from+50)
}

func (s *step) bulkRemove(ctx context.Context) error {
	from := s.place()
	return s.run(ctx, "items", kafkasync.Deleted, "DELETE FROM items WHERE id BETWEEN $1 AND $2 RETURNING id::text", from, from+5)
}

// copy brings rows as COPY does.
func (s *step) copy(ctx context.Context) error {
	var rows [][]any
	for range 1 + s.rng.IntN(10) {
		id := s.load.ids.Add(1)
		rows = append(rows, []any{id})
		s.note("items", strconv.FormatInt(id, 10), kafkasync.Created)
	}
	_, err := s.tx.CopyFrom(ctx, pgx.Identifier{"items"}, []string{"id"}, pgx.CopyFromRows(rows))
	return err
}

// all changes every row of a table in one statement.
func (s *step) all(ctx context.Context) error {
	return s.run(ctx, "wide", kafkasync.Updated, "UPDATE wide SET n = n + 1 RETURNING id::text")
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
