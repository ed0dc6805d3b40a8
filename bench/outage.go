package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// outagePipeline is that of the delayer's part. Everything of it is new in each round: its data,
// slot, topic and group. So the topic holds nothing but this round's messages.
const outagePipeline = "outage"

// backlog is a topic that is full of messages whose delay has passed while no node ran.
type backlog struct {
	topic string
	ends  []int64 // of its partitions
	log   int64   // bytes of its segments
	due   span    // the messages
}

// resend measures how fast a node re-sends after an outage, beside bare loops over
// librdkafka that read the same topic. The loops come first, always: with twins
// behind the messages, they would have to read twice as much.
func (b *bench) resend(ctx context.Context, round int, r *result) error {
	offsets, err := b.openOffsets()
	if err != nil {
		return err
	}
	defer offsets.close()
	name := outagePipeline + strconv.Itoa(round)
	s := settings{name: name, pipeline: outagePipeline, topic: name, delay: b.o.delay}
	p, err := b.configure(ctx, s)
	if err != nil {
		return err
	}
	q, err := b.fill(ctx, p, s, offsets)
	if err != nil {
		return fmt.Errorf("filling topic %s: %w", s.topic, err)
	}
	workload := fmt.Sprintf("%d overdue delay messages", b.o.rows)
	loops, err := b.resendBare(ctx, q, offsets, round)
	if err != nil {
		return err
	}
	for _, reader := range []string{bareLoop, bareDefaults} {
		r.add(workload, reader, loops[reader])
	}
	own, err := b.resendOurs(ctx, p, s, q, offsets)
	if err != nil {
		return fmt.Errorf("%s: %w", delayer, err)
	}
	b.say("round %d: %s: %s, %.2f of the bare loop, %.2f of that with all defaults; %s", round+1, delayer, own,
		own.rate()/loops[bareLoop].rate(), own.rate()/loops[bareDefaults].rate(), own.outage)
	r.add(workload, delayer, own)
	return b.db.forget(ctx, outagePipeline)
}

// fill has a node publish the bulk UPDATE, ends the node before the first delay has
// passed, and returns when the last one has.
func (b *bench) fill(ctx context.Context, p *program, s settings, o offsets) (q backlog, err error) {
	if err := b.db.tidy(ctx); err != nil {
		return q, err
	}
	stopped, err := b.publishAll(ctx, p)
	if err != nil {
		return q, err
	}
	q.topic = s.topic
	if q.ends, err = o.ends(ctx, q.topic); err != nil {
		return q, err
	}
	if q.due, err = b.scan(ctx, q.topic, "delay", make([]int64, partitions), q.ends); err != nil {
		return q, err
	}
	if q.due.rows < b.o.rows {
		return q, fmt.Errorf("kafka has messages of %d rows, want one of each of the %d", q.due.rows, b.o.rows)
	}
	if first := q.due.first.Add(s.delay); first.Before(stopped) {
		return q, fmt.Errorf("the first delay had passed %s before the node was stopped: want a longer -delay than %s", stopped.Sub(first), s.delay)
	}
	if q.log, err = b.logSize(q.topic); err != nil {
		return q, err
	}
	left := time.Until(q.due.last.Add(s.delay + time.Second))
	b.say("%d messages of %.0f MB are in Kafka and the node is stopped; all are overdue in %.0f s", q.due.records, megabytes(q.log), left.Seconds())
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return q, nil
	case <-ctx.Done():
		return q, context.Cause(ctx)
	}
}

// publishAll runs a node until its checkpoint has passed the bulk UPDATE, and says when it has ended.
func (b *bench) publishAll(ctx context.Context, p *program) (stopped time.Time, err error) {
	run, err := b.start(ctx, p)
	if err != nil {
		return stopped, err
	}
	err = b.publishWith(ctx, run)
	if err := errors.Join(err, run.stop()); err != nil {
		return stopped, fmt.Errorf("%w; its log ends with:\n%s", err, run.lastWords())
	}
	return time.Now(), nil
}

func (b *bench) publishWith(ctx context.Context, run *running) error {
	if _, err := b.awaitReader(ctx, outagePipeline, run.alive); err != nil {
		return err
	}
	if _, err := b.write(ctx, b.workloads()[0]); err != nil {
		return err
	}
	// Behind the mark as well, which would else be published by the next node, and be due only a delay later.
	end, err := b.db.logEnd(ctx)
	if err != nil {
		return err
	}
	return every(ctx, 50*time.Millisecond, func() (bool, error) {
		if err := run.alive(); err != nil {
			return false, err
		}
		at, err := run.reached(ctx)
		return at >= end, err
	})
}
