package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// resendOurs lets a node re-send, and waits until its group has also passed over the twins.
func (b *bench) resendOurs(ctx context.Context, p *program, set settings, q backlog, o offsets) (m sample, err error) {
	if err := b.rest(ctx); err != nil {
		return m, err
	}
	started := time.Now()
	run, err := b.start(ctx, p)
	if err != nil {
		return m, err
	}
	s := &sending{child: run.child, offsets: o, topic: q.topic, from: q.ends, received: b.newReceived(run.pid())}
	group := fmt.Sprintf("%s-delayer-%d", set.name, set.delay.Milliseconds())
	m, err = b.followNode(ctx, s, group)
	if err := errors.Join(err, run.stop()); err != nil {
		return m, fmt.Errorf("%w; its log ends with:\n%s", err, run.lastWords())
	}
	err = b.readBack(ctx, &m, s, q, started)
	return m, err
}

func (b *bench) followNode(ctx context.Context, s *sending, group string) (m sample, err error) {
	// Not one for each message: those of the same row may have become one.
	if m, err = s.follow(ctx, b.o.rows); err != nil {
		return m, err
	}
	limit, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not after %s", patience))
	defer cancel()
	err = every(limit, 50*time.Millisecond, func() (bool, error) {
		if err := errors.Join(s.alive(), s.received.sometimes(ctx)); err != nil {
			return false, err
		}
		return s.caughtUp(ctx, group, s.topic)
	})
	if err != nil {
		return m, fmt.Errorf("waiting until group %s has passed over the twins: %w", group, err)
	}
	after, err := usageOf(s.pid(), 0)
	if err != nil {
		return m, err
	}
	m.outage.cpuAfter = after.all - s.before.all
	if m.outage.receivedAfter, err = s.received.now(ctx); err != nil {
		return m, err
	}
	if m.outage.logAfter, err = b.logSize(s.topic); err != nil {
		return m, err
	}
	m.peak, err = peakMemory(s.pid())
	return m, err
}

// readBack takes from the topic itself when the twins were appended, and that none is missing.
func (b *bench) readBack(ctx context.Context, m *sample, s *sending, q backlog, started time.Time) error {
	ends, err := s.ends(ctx, s.topic)
	if err != nil {
		return err
	}
	twins, err := b.scan(ctx, s.topic, "delayed", s.from, ends)
	if err != nil {
		return err
	}
	if twins.rows < q.due.rows {
		return fmt.Errorf("topic %s has twins of %d rows, want one of each of the %d", s.topic, twins.rows, q.due.rows)
	}
	m.rows, m.took = twins.records, twins.took()
	m.outage.log, m.outage.idle = q.log, twins.first.Sub(started)
	return nil
}
