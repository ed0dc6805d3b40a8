package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// round writes a workload once and lets both readers read it; each round
// another one goes first.
func (b *bench) round(ctx context.Context, w workload, round int, r *result) error {
	if err := b.prepare(ctx); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	end, err := b.write(ctx, w)
	if err != nil {
		return err
	}
	readers := []struct {
		name string
		read func(context.Context, workload, place) (sample, error)
	}{{b.db.names().alone, b.readAlone}, {ours, b.readAndPublish}}
	if round%2 == 1 {
		readers[0], readers[1] = readers[1], readers[0]
	}
	for _, reader := range readers {
		if err := b.rest(ctx); err != nil {
			return err
		}
		s, err := reader.read(ctx, w, end)
		if err != nil {
			return fmt.Errorf("%s: %w", reader.name, err)
		}
		b.say("round %d: %s: %s: %s", round+1, w.name, reader.name, s)
		r.add(w.name, reader.name, s)
	}
	return nil
}

// prepare brings both readers to the end of the log.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.db.tidy(ctx); err != nil {
		return err
	}
	target, err := b.db.logEnd(ctx)
	if err != nil {
		return err
	}
	run, err := b.start(ctx, b.program)
	if err != nil {
		return err
	}
	if err := errors.Join(b.advance(ctx, run, target), run.stop()); err != nil {
		return err
	}
	return b.db.renew(ctx)
}

// advance returns once a node would begin behind target.
func (b *bench) advance(ctx context.Context, run *running, target place) error {
	if _, err := b.awaitReader(ctx, databaseName, run.alive); err != nil {
		return err
	}
	return every(ctx, 100*time.Millisecond, func() (bool, error) {
		if err := errors.Join(run.alive(), b.db.mark(ctx)); err != nil {
			return false, err
		}
		if at, err := run.reached(ctx); err != nil || at < target {
			return false, err
		}
		return b.db.passed(ctx, target)
	})
}

// awaitReader returns who of the server reads for a pipeline, once there is somebody.
func (b *bench) awaitReader(ctx context.Context, pipeline string, alive func() error) (tid int, err error) {
	err = every(ctx, 2*time.Millisecond, func() (bool, error) {
		if err := alive(); err != nil {
			return false, err
		}
		tid, err = b.db.reader(ctx, pipeline)
		return tid != 0, err
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for a reader of the log: %w", err)
	}
	return tid, nil
}
