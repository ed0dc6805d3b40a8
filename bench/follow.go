package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is how long nothing may happen before it is an error: several times
// what a group needs that has to notice first that a member has died.
const patience = time.Minute

// sending is a process that is to add records to a topic.
type sending struct {
	*child
	offsets

	topic    string
	from     []int64 // where it ended before
	received *received
	before   usage // when the first record was there
}

// follow returns once n records have been added, with what that has cost from the
// first to the last of them.
func (s *sending) follow(ctx context.Context, n int) (m sample, err error) {
	var added int64
	last := time.Now()
	err = every(ctx, 20*time.Millisecond, func() (bool, error) {
		if err := errors.Join(s.alive(), s.received.sometimes(ctx)); err != nil {
			return false, err
		}
		ends, err := s.ends(ctx, s.topic)
		if err != nil {
			return false, err
		}
		now := total(ends) - total(s.from)
		if added == 0 && now > 0 {
			if s.before, err = usageOf(s.pid(), 0); err != nil {
				return false, err
			}
		}
		if now > added {
			added, last = now, time.Now()
		}
		if time.Since(last) > patience {
			return false, s.silence(added, n)
		}
		return added >= int64(n), nil
	})
	if err != nil {
		return m, err
	}
	after, err := usageOf(s.pid(), 0)
	if err != nil {
		return m, err
	}
	m.spent(s.before, after)
	m.outage = &outage{}
	if m.outage.received, err = s.received.now(ctx); err != nil {
		return m, err
	}
	m.peak, err = peakMemory(s.pid())
	return m, err
}

func (s *sending) silence(added int64, n int) error {
	if added == 0 {
		return fmt.Errorf("nothing was re-sent to topic %s in %s, though %d messages are overdue: does %s re-send at all?", s.topic, patience, n, s.name)
	}
	return fmt.Errorf("only %d of %d messages were re-sent to topic %s, and no more for %s", added, n, s.topic, patience)
}
