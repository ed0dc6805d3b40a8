package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// postgres is a database, and our connection to it.
type postgres struct {
	postgresSession
	server     *devstack.Postgres
	parameters string // of kafkasync's connection
}

func startPostgres(ctx context.Context, o options) (database, error) {
	server, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Settings: map[string]string{
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "32GB",
	}})
	if err != nil {
		return nil, err
	}
	p := &postgres{server: server, parameters: o.parameters}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func (p *postgres) open(ctx context.Context) (err error) {
	if err := p.server.CreateDatabase(ctx, databaseName); err != nil {
		return err
	}
	if p.conn, err = pgx.Connect(ctx, p.server.URL(databaseName)); err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	// Nobody waits for our commits; what is read from the log has been flushed all the same.
	return p.exec(ctx, "SET synchronous_commit = off")
}

func (p *postgres) close(ctx context.Context) error {
	return errors.Join(p.postgresSession.close(ctx), p.server.Close())
}

func (p *postgres) names() names {
	return names{server: "Postgres", alone: recvlogical, table: "public.products", pos: "0/16B3748"}
}

func (p *postgres) about(ctx context.Context) (version string, width float64, err error) {
	err = p.conn.QueryRow(ctx, "SELECT current_setting('server_version'), avg(pg_column_size(p.*)) FROM (SELECT * FROM products LIMIT 1000) p").Scan(&version, &width)
	if err != nil {
		return "", 0, fmt.Errorf("asking Postgres what it is: %w", err)
	}
	return version + ", defaults, but no autovacuum and no checkpoints during a round", width, nil
}

func (p *postgres) source() string {
	url := p.server.URL(databaseName)
	if p.parameters != "" {
		url += "?" + p.parameters
	}
	return fmt.Sprintf("{postgres: {url: %q}}", url)
}

// create makes a table as shops have them: 11 columns, about 490 bytes a row.
func (p *postgres) create(ctx context.Context, rows int) error {
	err := p.exec(ctx, fmt.Sprintf(`
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
				%s;
				COMMIT;
			END LOOP;
		END $$`, rows, touch("WHERE id = i")))
	if err != nil {
		return fmt.Errorf("creating table products: %w", err)
	}
	return nil
}

func (p *postgres) connect(ctx context.Context) (session, error) {
	conn, err := pgx.Connect(ctx, p.server.URL(databaseName))
	if err != nil {
		return nil, fmt.Errorf("connecting to Postgres: %w", err)
	}
	return postgresSession{conn}, nil
}

// postgresSession is a connection to a Postgres.
type postgresSession struct{ conn *pgx.Conn }

func (s postgresSession) exec(ctx context.Context, sql string) error {
	_, err := s.conn.Exec(ctx, sql)
	return err
}

func (s postgresSession) close(ctx context.Context) error {
	if s.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}

func (p *postgres) tidy(ctx context.Context) error {
	if err := p.exec(ctx, "VACUUM ANALYZE products"); err != nil {
		return fmt.Errorf("cleaning the table: %w", err)
	}
	return p.checkpoint(ctx)
}

func (p *postgres) checkpoint(ctx context.Context) error {
	if err := p.exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	return nil
}

func (p *postgres) logEnd(ctx context.Context) (place, error) {
	var text string
	if err := p.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&text); err != nil {
		return 0, fmt.Errorf("asking where the log ends: %w", err)
	}
	return parseLSN(text)
}

// mark is flushed, and what was committed before with it.
func (p *postgres) mark(ctx context.Context) error {
	if err := p.exec(ctx, "BEGIN; SET LOCAL synchronous_commit = on; "+touchOne(1)+"; COMMIT"); err != nil {
		return fmt.Errorf("marking the end: %w", err)
	}
	return nil
}
