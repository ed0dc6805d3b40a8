package delayer

import (
	"context"
	"slices"
	"time"
)

const (
	surveyEvery = 2 * time.Second
	surveyLimit = 10 * time.Second
)

// surveyor looks again and again how far the whole group is, whichever node has
// the partitions: every node can tell what waits.
type surveyor struct {
	cfg     Config
	offsets Offsets
	status  *Status
	found   chan<- []Partition
	wake    func()
	ends    map[place]int64 // at the last look
}

// backlog is what waits in a topic.
type backlog struct {
	waiting int64
	next    time.Time
	overdue time.Duration // of the next; below 0 if it is not due yet
	settled bool
}

// run looks until ctx ends. That Kafka does not answer is shown, and asked again: it is no reason to end a membership.
func (s *surveyor) run(ctx context.Context) {
	for ctx.Err() == nil {
		s.look(ctx)
		timer := time.NewTimer(surveyEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// look looks once.
func (s *surveyor) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, surveyLimit)
	defer cancel()
	known, _ := s.cfg.Pairs()
	pairs := byTopic(known, s.cfg.Delay)
	topics := make([]string, 0, len(pairs))
	for topic := range pairs {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	partitions, err := s.offsets.Survey(ctx, topics)
	if err != nil {
		if ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded { //nolint:errorlint // a cause is never wrapped
			s.status.unsurveyed(s.cfg.explain(err))
		}
		return
	}
	backlogs := make(map[string]backlog, len(topics))
	for _, topic := range topics {
		backlogs[topic] = backlog{settled: true}
	}
	ends := make(map[place]int64, len(partitions))
	for _, p := range partitions {
		b := backlogs[p.Topic]
		if p.Committed < p.End { // else the group has passed the end that was asked for before
			b.waiting += max(0, p.End-begin(p, pairs[p.Topic]).offset)
		}
		key := place{p.Topic, p.Number}
		ends[key] = p.End
		before, looked := s.ends[key]
		b.settled = b.settled && looked && p.Committed >= before && !waits(p)
		if n, ok := parseNote(p.Note); ok && p.Committed >= 0 && n.id == p.ID && n.next != 0 {
			if at := time.UnixMilli(n.next); b.next.IsZero() || at.Before(b.next) {
				b.next = at
			}
		}
		backlogs[p.Topic] = b
	}
	now := time.UnixMilli(s.cfg.Clock.read().broker)
	for topic, b := range backlogs {
		if !b.next.IsZero() {
			b.overdue = now.Sub(b.next)
			backlogs[topic] = b
		}
	}
	s.ends = ends
	s.status.surveyed(backlogs)
	select {
	case s.found <- partitions:
		s.wake()
	default: // the member has not taken the last one yet, and will be told the next time
	}
}

// waits reports whether somebody holds a message of the partition.
func waits(p Partition) bool {
	n, ok := parseNote(p.Note)
	return ok && n.id == p.ID && n.next != 0
}
