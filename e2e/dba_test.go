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

// dba changes the schema while the load writes: columns, indexes, types and
// partitions of tables that stay covered, and tables that come, go and leave the publication.
type dba struct {
	load        *load
	site        *site
	publication string
	stop        chan struct{}
	wait        sync.WaitGroup
	failed      chan error
	did         sync.Map // how often what was done
}

func startDBA(t testing.TB, l *load, s *site, publication string) *dba {
	t.Helper()
	d := &dba{load: l, site: s, publication: publication, stop: make(chan struct{}), failed: make(chan error, 3)}
	ctx := t.Context()
	for i, work := range []func(context.Context, *pgx.Conn, *rand.Rand) error{d.reshape, d.found, d.replace} {
		d.wait.Go(func() {
			conn, err := l.connect(ctx)
			if err == nil {
				err = work(ctx, conn, rand.New(rand.NewPCG(l.seed, uint64(100+i))))
				_ = conn.Close(ctx)
			}
			if err != nil {
				d.failed <- fmt.Errorf("changing the schema: %w", err)
			}
		})
	}
	return d
}

// finish lets what is under way end, and returns what was done how often.
func (d *dba) finish(t testing.TB) map[string]int64 {
	t.Helper()
	close(d.stop)
	d.wait.Wait()
	select {
	case err := <-d.failed:
		t.Fatal(err)
	default:
	}
	did := map[string]int64{}
	d.did.Range(func(what, n any) bool {
		did[what.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return did
}

func (d *dba) count(what string) {
	n, _ := d.did.LoadOrStore(what, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// pause waits, and reports whether there is more to do.
func (d *dba) pause(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.stop:
	case <-ctx.Done():
	}
	return false
}

func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

// run reports whether a statement was carried out; a deadlock with the load is no error.
func (d *dba) run(ctx context.Context, conn *pgx.Conn, what, sql string) (bool, error) {
	_, err := conn.Exec(ctx, sql)
	var pg *pgconn.PgError
	switch {
	case err == nil:
		d.count(what)
		return true, nil
	case !errors.As(err, &pg):
	case pg.Code == "40P01", // a deadlock
		pg.Code == "42710", pg.Code == "23505", pg.Code == "42704": // the table is published already, just now, or not any more
		return false, nil
	}
	return false, fmt.Errorf("%s: %w", sql, err)
}

// reshape changes tables that stay covered, which must lose nothing.
func (d *dba) reshape(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	toggles := []struct {
		what    string
		on, off string
		is      bool
	}{
		{"column", "ALTER TABLE bent ADD COLUMN extra text NOT NULL DEFAULT 'z'", "ALTER TABLE bent DROP COLUMN extra", false},
		{"first column", "ALTER TABLE bent DROP COLUMN first", "ALTER TABLE bent ADD COLUMN first int DEFAULT 1", false},
		{"column's name", "ALTER TABLE bent RENAME note TO remark", "ALTER TABLE bent RENAME remark TO note", false},
		{"key's type", "ALTER TABLE numbers ALTER id TYPE bigint", "ALTER TABLE numbers ALTER id TYPE int", false},
		{"index", "CREATE INDEX bent_n ON bent (n)", "DROP INDEX bent_n", false},
		{
			"partition", "ALTER TABLE stock DETACH PARTITION leaves.stock_us",
			"ALTER TABLE stock ATTACH PARTITION leaves.stock_us FOR VALUES IN ('us')", false,
		},
	}
	const size = 5000
	leaves := int64(1)
	for d.pause(ctx, upTo(rng, 300*time.Millisecond)) {
		if d.load.ids.Load() > (leaves-1)*size {
			if err := d.leaf(ctx, conn, leaves, size); err != nil {
				return err
			}
			leaves++
		}
		t := &toggles[rng.IntN(len(toggles))]
		sql := t.on
		if t.is {
			sql = t.off
		}
		done, err := d.run(ctx, conn, t.what, sql)
		if err != nil {
			return err
		}
		t.is = t.is != done
	}
	return nil
}

// leaf adds a partition, one way or the other.
func (d *dba) leaf(ctx context.Context, conn *pgx.Conn, n, size int64) error {
	name := fmt.Sprintf("leaves.sales_%d", n)
	bounds := fmt.Sprintf("FOR VALUES FROM (%d) TO (%d)", n*size, (n+1)*size)
	sql := fmt.Sprintf("CREATE TABLE %s PARTITION OF sales %s", name, bounds)
	if n%2 == 0 {
		sql = fmt.Sprintf("CREATE TABLE %s (LIKE sales INCLUDING ALL); ALTER TABLE sales ATTACH PARTITION %[1]s %s", name, bounds)
	}
	for done := false; !done; {
		var err error
		if done, err = d.run(ctx, conn, "new partition", sql); err != nil {
			return err
		}
	}
	return nil
}

// found creates tables that a rule matches. Each is written to at once: by the transaction that
// creates it, by the whole load, and by a transaction that is older than the table.
func (d *dba) found(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	old, err := d.load.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close(ctx) }()
	for n := 1; d.pause(ctx, upTo(rng, 4*time.Second)); n++ {
		k := plainKind(fmt.Sprintf("late_%d", n), fmt.Sprintf("late_%d", n), "id", "$1")
		created := false
		var failed error
		_, err := d.load.transact(ctx, old, rng, func(s *step, ctx context.Context) error {
			err := s.run(ctx, "items", kafkasync.Created, "INSERT INTO items VALUES ($1) RETURNING id::text", d.load.ids.Add(1))
			if err != nil { // else it has an id from here on
				return err
			}
			if created, failed = d.create(ctx, conn, rng, k); !created || failed != nil {
				return failed
			}
			d.pause(ctx, upTo(rng, 3*time.Second))
			for range 3 {
				if err := s.write(ctx, k); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if created && n%3 == 0 {
			if err := d.drop(ctx, conn, rng, k, rng.IntN(3) > 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// create reports whether the table is there: its transaction may have been rolled back.
func (d *dba) create(ctx context.Context, conn *pgx.Conn, rng *rand.Rand, k *kind) (bool, error) {
	var born uint64
	created, err := d.load.transact(ctx, conn, rng, func(s *step, ctx context.Context) (err error) {
		if _, err = s.tx.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)", k.table)); err != nil {
			return err
		}
		if born, err = endOfLog(ctx, s.tx); err != nil {
			return err
		}
		for range rng.IntN(3) {
			if err := s.write(ctx, k); err != nil {
				return err
			}
		}
		return nil
	})
	if created {
		d.count("table")
		d.load.add(k, born)
	}
	return created, err
}

// drop drops a table, with or without waiting until it is covered; it reports nothing.
func (d *dba) drop(ctx context.Context, conn *pgx.Conn, rng *rand.Rand, k *kind, patient bool) error {
	var gaps []span
	if patient {
		if !d.awaitCoverage(ctx, k.name) || !d.pause(ctx, upTo(rng, 2*time.Second)) {
			return nil
		}
		status, err := d.site.status(ctx)
		if err != nil {
			return nil //nolint:nilerr // it was killed: the table stays
		}
		if gaps, err = spansOf(status.Gaps, k.name); err != nil {
			return err
		}
	}
	d.load.remove(k)
	for done := false; !done; {
		var err error
		if done, err = d.run(ctx, conn, "drop", "DROP TABLE "+k.table); err != nil {
			return err
		}
	}
	ended, err := endOfLog(ctx, conn)
	if err == nil {
		d.load.end(k.name, gaps, ended)
	}
	return err
}

// awaitCoverage reports whether the table is covered; it need not come to that
// while the node is being killed.
func (d *dba) awaitCoverage(ctx context.Context, name string) bool {
	for range 200 {
		if d.site.uncovered(ctx, d.load, name) == "" {
			return true
		}
		if !d.pause(ctx, 100*time.Millisecond) {
			return false
		}
	}
	return false
}

// replace takes a table out of the publication for a while, and drops and creates another one.
func (d *dba) replace(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	reborn := d.load.kind("reborn")
	for d.pause(ctx, upTo(rng, 3*time.Second)) {
		if d.awaitCoverage(ctx, "swapped") {
			if err := d.swap(ctx, conn, rng); err != nil {
				return err
			}
		}
		if err := d.drop(ctx, conn, rng, reborn, true); err != nil {
			return err
		}
		for created := d.load.present("reborn").ended == 0; !created; {
			var err error
			if created, err = d.create(ctx, conn, rng, reborn); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap takes the table swapped out of the publication and puts it back. The program
// may be faster, which is as good.
func (d *dba) swap(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) error {
	out, err := d.run(ctx, conn, "unpublish", "ALTER PUBLICATION "+d.publication+" DROP TABLE swapped")
	if !out {
		return err
	}
	at, err := endOfLog(ctx, conn)
	if err != nil {
		return err
	}
	d.load.interrupt("swapped", at)
	d.pause(ctx, upTo(rng, 3*time.Second))
	_, err = d.run(ctx, conn, "publish", "ALTER PUBLICATION "+d.publication+" ADD TABLE swapped")
	return err
}

// endOfLog is behind all that has committed.
func endOfLog(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
},
) (uint64, error) {
	var text string
	if err := q.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return 0, err
	}
	return parseLSN(text)
}
