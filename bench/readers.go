package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What is compared.
const (
	recvlogical       = "pg_recvlogical to /dev/null"
	rawDrain          = "a raw drain of the binlog"
	ours              = "kafkasync to Kafka"
	bareProducer      = "librdkafka alone"
	delayer           = "kafkasync's delayer"
	ownConsumer       = "package consumer, an empty handler"
	bareLoop          = "librdkafka, a bare loop"
	bareDefaults      = bareLoop + ", all defaults"
	barePolls         = "librdkafka, a bare loop of polls"
	barePollsDefaults = barePolls + ", all defaults"
	bareBatches       = "librdkafka, a bare loop of batches"
	bareBlind         = bareBatches + ", no headers"
)

// readAlone lets the bare reader read up to end.
func (b *bench) readAlone(ctx context.Context, w workload, end place) (sample, error) {
	s, err := b.db.readAlone(ctx, end)
	s.rows = w.rows
	return s, err
}

// senderTime is what the server's process or thread that reads the log has used; 0 once it has gone.
func senderTime(tid int) time.Duration {
	used, err := readStat(fmt.Sprintf("/proc/%d/task/%[1]d/stat", tid))
	if err != nil {
		return 0
	}
	return used
}

// readAndPublish lets kafkasync read up to end: until its checkpoint, which follows Kafka's
// acknowledgements by up to 200 ms, has passed it.
func (b *bench) readAndPublish(ctx context.Context, w workload, end place) (sample, error) {
	before, err := b.published(ctx)
	if err != nil {
		return sample{}, err
	}
	run, err := b.start(ctx, b.program)
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
func (b *bench) watch(ctx context.Context, run *running, end place) (s sample, err error) {
	server, err := b.awaitReader(ctx, databaseName, run.alive)
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
type usage struct{ all, librdkafka, sender, machine time.Duration }

func (s *sample) spent(before, after usage) {
	s.cpu, s.librdkafka, s.sender = after.all-before.all, after.librdkafka-before.librdkafka, max(0, after.sender-before.sender)
	s.others = after.machine - before.machine - s.cpu - s.sender
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
		u.sender = senderTime(server)
	}
	u.machine, err = machineTime()
	return u, err
}
