package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// What is compared.
const (
	recvlogical  = "pg_recvlogical to /dev/null"
	ours         = "kafkasync to Kafka"
	bareProducer = "librdkafka alone"
	delayer      = "kafkasync's delayer"
	bareLoop     = "librdkafka, a bare loop"
	bareDefaults = bareLoop + ", all defaults"
)

// aloneSlot is the slot of pg_recvlogical.
const aloneSlot = "alone"

// renewAlone makes the slot of pg_recvlogical anew, at the end of the log.
func (b *bench) renewAlone(ctx context.Context) error {
	if err := b.dropSlot(ctx, aloneSlot); err != nil {
		return err
	}
	if _, err := b.db.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", aloneSlot); err != nil {
		return fmt.Errorf("making slot %s anew: %w", aloneSlot, err)
	}
	return nil
}

// dropSlot removes a slot, if there is one, as soon as nobody reads for it.
func (b *bench) dropSlot(ctx context.Context, slot string) error {
	err := every(ctx, 20*time.Millisecond, func() (bool, error) {
		var left int
		_, err := b.db.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", slot)
		if err == nil {
			err = b.db.QueryRow(ctx, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&left)
		}
		return left == 0, err
	})
	if err != nil {
		return fmt.Errorf("dropping slot %s: %w", slot, err)
	}
	return nil
}

// readAlone lets pg_recvlogical read up to end.
func (b *bench) readAlone(ctx context.Context, w workload, end lsn) (sample, error) {
	cmd := b.pg.Command(ctx, "pg_recvlogical", "-d", b.pg.URL(database), "--slot", aloneSlot, "--start", "--no-loop",
		"--endpos", end.String(), "-o", "proto_version=1", "-o", "publication_names="+ourSlot, "-f", "/dev/null")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("starting: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	server, err := b.awaitReader(ctx, aloneSlot, func() error { return nil })
	if err != nil {
		return sample{}, errors.Join(err, cmd.Process.Kill())
	}
	began := time.Now()
	before := walsenderTime(server)
	busy, err := machineTime()
	if err != nil {
		return sample{}, errors.Join(err, cmd.Process.Kill())
	}
	s := sample{rows: w.rows}
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
			s.others = now - busy - s.cpu - s.walsender
			return s, err
		case <-tick.C:
			// Both until they have gone; the kernel's own record of the peak would begin with ours.
			s.walsender = max(s.walsender, walsenderTime(server)-before)
			if peak, err := peakMemory(cmd.Process.Pid); err == nil {
				s.peak = peak
			}
		}
	}
}

// walsenderTime is what the server's process has used; 0 once it has gone.
func walsenderTime(pid int) time.Duration {
	used, err := cpuTime(pid)
	if err != nil {
		return 0
	}
	return used
}

// readAndPublish lets kafkasync read up to end: until its checkpoint, which follows Kafka's
// acknowledgements by up to 200 ms, has passed it.
func (b *bench) readAndPublish(ctx context.Context, w workload, end lsn) (sample, error) {
	before, err := b.published(ctx)
	if err != nil {
		return sample{}, err
	}
	run, err := b.program.start(ctx)
	if err != nil {
		return sample{}, err
	}
	s, err := b.watch(ctx, run, end)
	if err := errors.Join(err, run.stop()); err != nil {
		return s, fmt.Errorf("%w; its log ends with:\n%s", err, run.lastWords())
	}
	after, err := b.published(ctx)
	if err != nil {
		return s, err
	}
	if after-before < int64(w.rows) {
		return s, fmt.Errorf("kafka has %d more records of %d changed rows", after-before, w.rows)
	}
	s.rows = w.rows
	return s, nil
}

// watch measures from the moment that the server begins to read.
func (b *bench) watch(ctx context.Context, run *running, end lsn) (s sample, err error) {
	server, err := b.awaitReader(ctx, ourSlot, run.alive)
	if err != nil {
		return s, err
	}
	began := time.Now()
	pid := run.pid()
	before, err := usageOf(pid, server)
	if err != nil {
		return s, err
	}
	err = every(ctx, 10*time.Millisecond, func() (bool, error) {
		if err := run.alive(); err != nil {
			return false, err
		}
		at, err := run.reached(ctx)
		return at >= end, err
	})
	if err != nil {
		return s, err
	}
	s.took = time.Since(began)
	after, err := usageOf(pid, server)
	if err != nil {
		return s, err
	}
	s.spent(before, after)
	s.peak, err = peakMemory(pid)
	return s, err
}

// usage is what our process, the server's, and all together have used of the processors.
type usage struct{ all, librdkafka, walsender, machine time.Duration }

func (s *sample) spent(before, after usage) {
	s.cpu, s.librdkafka, s.walsender = after.all-before.all, after.librdkafka-before.librdkafka, max(0, after.walsender-before.walsender)
	s.others = after.machine - before.machine - s.cpu - s.walsender
}

// usageOf looks at both; server is 0 if there is none.
func usageOf(pid, server int) (u usage, err error) {
	if u.all, err = cpuTime(pid); err != nil {
		return u, err
	}
	if u.librdkafka, err = librdkafkaTime(pid); err != nil {
		return u, err
	}
	if server != 0 {
		u.walsender = walsenderTime(server)
	}
	u.machine, err = machineTime()
	return u, err
}
