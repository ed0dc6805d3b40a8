package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// database, table and topic of the benchmark.
const (
	database = "bench"
	topic    = "products"
)

// bench is the servers and the program that is measured on them.
type bench struct {
	o        options
	progress io.Writer
	dir      string
	pg       *devstack.Postgres
	kafka    *devstack.Kafka
	db       *pgx.Conn
	program  *program
}

// setUp starts the servers, fills the table and builds the program.
func setUp(ctx context.Context, o options, progress io.Writer) (*bench, error) {
	b := &bench{o: o, progress: progress}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

func (b *bench) open(ctx context.Context) error {
	err := devstack.Install(ctx, b.progress, devstack.ComponentPostgres, devstack.ComponentKafka)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "kafkasync-bench-"); err != nil {
		return fmt.Errorf("creating a folder: %w", err)
	}
	b.say("starting Postgres and Kafka")
	b.pg, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{Settings: map[string]string{
		// What a server does in the background when it likes would hit one side
		// of the comparison only; we do it ourselves, between the rounds.
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "32GB",
	}})
	if err != nil {
		return err
	}
	if b.kafka, err = devstack.StartKafka(ctx, devstack.KafkaConfig{Heap: "1g"}); err != nil {
		return err
	}
	if err := b.pg.CreateDatabase(ctx, database); err != nil {
		return err
	}
	if b.db, err = pgx.Connect(ctx, b.pg.URL(database)); err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	b.say("filling a table with %d rows", b.o.rows)
	if err := b.createTable(ctx); err != nil {
		return err
	}
	b.program, err = b.newProgram(ctx)
	return err
}

// close stops what was started and removes what was written, also when ctx has ended.
func (b *bench) close(ctx context.Context) error {
	var errs []error
	if b.db != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		errs = append(errs, b.db.Close(ctx))
	}
	if b.kafka != nil {
		errs = append(errs, b.kafka.Close())
	}
	if b.pg != nil {
		errs = append(errs, b.pg.Close())
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// say tells a person at a terminal how far it is; the result does not depend on whether it could.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// every calls ask each d until it says that it is done, fails, or ctx ends.
func every(ctx context.Context, d time.Duration, ask func() (done bool, err error)) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		if done, err := ask(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
