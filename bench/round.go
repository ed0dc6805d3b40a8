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
		read func(context.Context, workload, lsn) (sample, error)
	}{{recvlogical, b.readAlone}, {ours, b.readAndPublish}}
	if round%2 == 1 {
		readers[0], readers[1] = readers[1], readers[0]
	}
	for _, reader := range readers {
		s, err := reader.read(ctx, w, end)
		if err != nil {
			return fmt.Errorf("%s: %w", reader.name, err)
		}
		b.say("round %d: %s: %s: %s", round+1, w.name, reader.name, s)
		r.add(w.name, reader.name, s)
	}
	return nil
}

// prepare brings both slots to the end of the log. A slot's confirmed place is not
// enough: the server decodes from its restart place, and that of a slot that
// has just passed a large transaction may lie before it.
func (b *bench) prepare(ctx context.Context) error {
	if _, err := b.db.Exec(ctx, "VACUUM ANALYZE products"); err != nil {
		return fmt.Errorf("cleaning the table: %w", err)
	}
	if _, err := b.db.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	target, err := b.logEnd(ctx)
	if err != nil {
		return err
	}
	run, err := b.program.start(ctx)
	if err != nil {
		return err
	}
	err = every(ctx, 100*time.Millisecond, func() (bool, error) {
		if err := run.alive(); err != nil {
			return false, err
		}
		return b.moveSlot(ctx, target)
	})
	if err := errors.Join(err, run.stop()); err != nil {
		return err
	}
	return b.renewAlone(ctx)
}

// moveSlot gives our slot a reason to move its restart place, and reports
// whether it is there and past target: a checkpoint logs the running transactions, and
// the place moves when the reader confirms what follows that.
func (b *bench) moveSlot(ctx context.Context, target lsn) (bool, error) {
	if err := b.mark(ctx); err != nil {
		return false, err
	}
	if _, err := b.db.Exec(ctx, "CHECKPOINT"); err != nil {
		return false, fmt.Errorf("writing a checkpoint: %w", err)
	}
	if err := b.mark(ctx); err != nil {
		return false, err
	}
	var past bool
	err := b.db.QueryRow(ctx, `SELECT count(*) = 1 FROM pg_replication_slots
		WHERE slot_name = $1 AND active AND restart_lsn >= $2::pg_lsn AND confirmed_flush_lsn IS NOT NULL`, ourSlot, target.String()).Scan(&past)
	if err != nil {
		return false, fmt.Errorf("looking at slot %s: %w", ourSlot, err)
	}
	return past, nil
}

// awaitReader returns the server process that reads for a slot, once there is one. One
// that still makes the slot, which then confirms nothing yet, may begin behind what is written now.
func (b *bench) awaitReader(ctx context.Context, slot string, alive func() error) (pid int, err error) {
	err = every(ctx, 2*time.Millisecond, func() (bool, error) {
		if err := alive(); err != nil {
			return false, err
		}
		err := b.db.QueryRow(ctx, `SELECT coalesce(max(active_pid), 0) FROM pg_replication_slots
			WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL`, slot).Scan(&pid)
		return pid != 0, err
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for a reader of slot %s: %w", slot, err)
	}
	return pid, nil
}
