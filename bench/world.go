package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// The database, with table products, and the topic of the benchmark. The pipeline is called as the database.
const (
	databaseName = "bench"
	topic        = "products"
)

// bench is the servers and the program that is measured on them.
type bench struct {
	o        options
	progress io.Writer
	dir      string
	kafka    *devstack.Kafka
	binary   string   // kafkasync
	db       database // nil: no part needs one
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

func (b *bench) open(ctx context.Context) (err error) {
	kind := kinds()[b.o.source]
	wanted := []devstack.Component{devstack.ComponentKafka}
	if b.o.needsDatabase() {
		wanted = append(wanted, kind.component)
	}
	if err := devstack.Install(ctx, b.progress, wanted...); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "kafkasync-bench-"); err != nil {
		return fmt.Errorf("creating a folder: %w", err)
	}
	b.say("starting the servers")
	if b.kafka, err = devstack.StartKafka(ctx, devstack.KafkaConfig{Heap: "1g"}); err != nil {
		return err
	}
	if b.binary, err = b.build(ctx); err != nil || !b.o.needsDatabase() {
		return err
	}
	if b.db, err = kind.start(ctx, b.o); err != nil {
		return err
	}
	b.say("filling a table with %d rows", b.o.rows)
	if err := b.db.create(ctx, b.o.rows); err != nil {
		return err
	}
	// The delay is the default's cost, a header, without its messages coming back during the run.
	b.program, err = b.configure(ctx, settings{name: "kafkasync", pipeline: databaseName, topic: topic, delay: 6 * time.Hour})
	return err
}

// close stops what was started and removes what was written, also when ctx has ended.
func (b *bench) close(ctx context.Context) error {
	var errs []error
	if b.db != nil {
		errs = append(errs, b.db.close(ctx))
	}
	if b.kafka != nil {
		errs = append(errs, b.kafka.Close())
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
