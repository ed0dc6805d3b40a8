package main

import (
	"context"
	"fmt"
	"time"
)

// workload is a way to change rows.
type workload struct {
	name string
	rows int
	sql  string
}

func (b *bench) workloads() []workload {
	bulk := workload{
		name: fmt.Sprintf("one UPDATE of %d rows", b.o.rows), rows: b.o.rows,
		sql: "UPDATE products SET featured = NOT featured, updated_at = now()",
	}
	if b.o.txs == 0 {
		return []workload{bulk}
	}
	return []workload{bulk, {
		name: fmt.Sprintf("%d transactions of one row", b.o.txs), rows: b.o.txs,
		sql: fmt.Sprintf("CALL one_by_one(%d)", b.o.txs),
	}}
}

// createTable makes a table as shops have them: 11 columns, about 490 bytes a row.
func (b *bench) createTable(ctx context.Context) error {
	_, err := b.db.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE products (
			id          bigint PRIMARY KEY,
			sku         text NOT NULL,
			name        text NOT NULL,
			description text NOT NULL,
			brand       text NOT NULL,
			category    text NOT NULL,
			price       numeric(10,2) NOT NULL,
			on_stock    boolean NOT NULL,
			featured    boolean NOT NULL,
			created_at  timestamptz NOT NULL,
			updated_at  timestamptz NOT NULL
		);
		INSERT INTO products
			SELECT n, 'SKU-' || lpad(n::text, 12, '0'), 'Product number ' || n, left(repeat(md5(n::text), 12), 370),
			       'Brand ' || n %% 500, 'Category ' || n %% 50, (n %% 100000) / 100.0, n %% 2 = 0, false, now(), now()
			FROM generate_series(1, %d) n;
		CREATE PROCEDURE one_by_one(n int) LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1..n LOOP
				UPDATE products SET featured = NOT featured, updated_at = now() WHERE id = i;
				COMMIT;
			END LOOP;
		END $$`, b.o.rows))
	if err != nil {
		return fmt.Errorf("creating table products: %w", err)
	}
	return nil
}

// write runs a workload. It returns where the log ends that holds it, and makes
// sure that there is a transaction behind that end: a reader sees that it has
// reached it when it meets that one.
func (b *bench) write(ctx context.Context, w workload) (lsn, error) {
	// Nobody waits for these commits; what is read from the log has been flushed all the same.
	if _, err := b.db.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		return 0, fmt.Errorf("switching synchronous commit off: %w", err)
	}
	began := time.Now()
	if _, err := b.db.Exec(ctx, w.sql); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	b.say("%s written in %.1f s", w.name, time.Since(began).Seconds())
	end, err := b.logEnd(ctx)
	if err != nil {
		return 0, err
	}
	return end, b.mark(ctx)
}

func (b *bench) logEnd(ctx context.Context) (lsn, error) {
	var text string
	if err := b.db.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return 0, fmt.Errorf("asking where the log ends: %w", err)
	}
	return parseLSN(text)
}

// mark changes one row; after it, all that was committed before is in the flushed log.
func (b *bench) mark(ctx context.Context) error {
	_, err := b.db.Exec(ctx, "SET synchronous_commit = on; UPDATE products SET updated_at = now() WHERE id = 1")
	if err != nil {
		return fmt.Errorf("marking the end: %w", err)
	}
	return nil
}
