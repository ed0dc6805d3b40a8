package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// aloneSlot is the slot of pg_recvlogical.
const aloneSlot = "alone"

// slotOf is what kafkasync calls the slot of a pipeline, and its publication.
func slotOf(pipeline string) string { return "kafkasync_" + pipeline }

// reader is a walsender. One that still makes the slot, which then confirms nothing yet, may begin
// behind what is written now.
func (p *postgres) reader(ctx context.Context, pipeline string) (tid int, err error) {
	return p.walsender(ctx, slotOf(pipeline))
}

func (p *postgres) walsender(ctx context.Context, slot string) (pid int, err error) {
	err = p.conn.QueryRow(ctx, `SELECT coalesce(max(active_pid), 0) FROM pg_replication_slots
		WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL`, slot).Scan(&pid)
	if err != nil {
		return 0, fmt.Errorf("looking at slot %s: %w", slot, err)
	}
	return pid, nil
}

// hangUp has nothing to do: a walsender ends with its connection.
func (p *postgres) hangUp(context.Context) error { return nil }

// passed gives our slot a reason to move its restart place, and reports whether it is past
// target. Its confirmed place is not enough: the server decodes from its restart place, and that of a slot
// that has just passed a large transaction may lie before it. A checkpoint logs the running transactions,
// and the place moves when the reader confirms what follows that.
func (p *postgres) passed(ctx context.Context, target place) (past bool, err error) {
	if err := p.checkpoint(ctx); err != nil {
		return false, err
	}
	if err := p.mark(ctx); err != nil {
		return false, err
	}
	slot := slotOf(databaseName)
	err = p.conn.QueryRow(ctx, `SELECT count(*) = 1 FROM pg_replication_slots
		WHERE slot_name = $1 AND active AND restart_lsn >= $2::pg_lsn AND confirmed_flush_lsn IS NOT NULL`, slot, target.lsn()).Scan(&past)
	if err != nil {
		return false, fmt.Errorf("looking at slot %s: %w", slot, err)
	}
	return past, nil
}

// renew makes the slot of pg_recvlogical anew, at the end of the log.
func (p *postgres) renew(ctx context.Context) error {
	if err := p.dropSlot(ctx, aloneSlot); err != nil {
		return err
	}
	if _, err := p.conn.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", aloneSlot); err != nil {
		return fmt.Errorf("making slot %s anew: %w", aloneSlot, err)
	}
	return nil
}

// dropSlot removes a slot, if there is one, as soon as nobody reads for it.
func (p *postgres) dropSlot(ctx context.Context, slot string) error {
	err := every(ctx, 20*time.Millisecond, func() (bool, error) {
		var left int
		_, err := p.conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", slot)
		if err == nil {
			err = p.conn.QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&left)
		}
		return left == 0, err
	})
	if err != nil {
		return fmt.Errorf("dropping slot %s: %w", slot, err)
	}
	return nil
}

func (p *postgres) forget(ctx context.Context, pipeline string) error {
	if err := p.dropSlot(ctx, slotOf(pipeline)); err != nil {
		return err
	}
	if err := p.exec(ctx, "DROP PUBLICATION "+slotOf(pipeline)); err != nil {
		return fmt.Errorf("dropping publication %s: %w", slotOf(pipeline), err)
	}
	return nil
}

// readAlone runs pg_recvlogical. It sees that it has reached the end when it meets the mark behind it.
func (p *postgres) readAlone(ctx context.Context, end place) (s sample, err error) {
	cmd := p.server.Command(ctx, "pg_recvlogical", "-d", p.server.URL(databaseName), "--slot", aloneSlot, "--start", "--no-loop",
		"--endpos", end.lsn(), "-o", "proto_version=1", "-o", "publication_names="+slotOf(databaseName), "-f", "/dev/null")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return s, fmt.Errorf("starting: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var server int
	err = every(ctx, 2*time.Millisecond, func() (bool, error) {
		server, err = p.walsender(ctx, aloneSlot)
		return server != 0, err
	})
	if err != nil {
		return s, errors.Join(err, cmd.Process.Kill())
	}
	began := time.Now()
	before := senderTime(server)
	busy, err := machineTime()
	if err != nil {
		return s, errors.Join(err, cmd.Process.Kill())
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			s.took = time.Since(began)
			if err != nil {
				return s, fmt.Errorf("reading: %w: %s", err, said.String())
			}
			s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			now, err := machineTime()
			s.others = now - busy - s.cpu - s.sender
			return s, err
		case <-tick.C:
			// Both until they have gone; the kernel's own record of the peak would begin with ours.
			s.sender = max(s.sender, senderTime(server)-before)
			if peak, err := peakMemory(cmd.Process.Pid); err == nil {
				s.peak = peak
			}
		}
	}
}
