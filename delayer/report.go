package delayer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
)

// report collects what was found out about partitions, so that an operator reads a line for each topic and not for each partition.
type report struct {
	topics map[reported]*sum
}

type reported struct {
	topic string
	cause cause
}

type sum struct {
	partitions int
	lost       int64
	again      int64 // records that are looked through, some of which may have been re-sent before
}

func newReport() *report { return &report{topics: map[reported]*sum{}} }

func (r *report) add(f *Partition, s start) {
	if s.cause == goesOn {
		return
	}
	key := reported{f.Topic, s.cause}
	if r.topics[key] == nil {
		r.topics[key] = &sum{}
	}
	r.topics[key].partitions++
	r.topics[key].lost += s.lost
	r.topics[key].again += f.End - s.offset
}

// tell counts and logs.
func (r *report) tell(ctx context.Context, m *member) {
	order := slices.SortedFunc(maps.Keys(r.topics), func(a, b reported) int {
		return cmp.Or(strings.Compare(a.topic, b.topic), cmp.Compare(a.cause, b.cause))
	})
	for _, key := range order {
		s := r.topics[key]
		if s.lost > 0 {
			m.status.lost(key.topic, s.lost)
		}
		about := []any{"topic", key.topic, "partitions", s.partitions, "records_read_again_at_most", s.again}
		if key.cause != recreated || s.lost > 0 { // else it is not known
			about = append(about, "delay_messages_lost_at_most", s.lost)
		}
		switch key.cause {
		case deleted:
			m.log.WarnContext(ctx, "records were deleted before their delay messages were sent: the topic's retention is shorter than delay and outage together", about...)
		case recreated:
			m.log.WarnContext(ctx, "the topic was deleted and created again: the delay messages of the old one that still waited are lost", about...)
		case cutBack:
			m.log.WarnContext(ctx, "the topic ends before what the delayer has committed (an unclean leader election, or a broker that was restored): it goes on by the time of the records", about...)
		case forgotten:
			m.log.WarnContext(ctx, "the offsets of the delayer's group are gone (they expire after offsets.retention.minutes): it begins where the delay became known, and some delay messages come again", about...)
		case goesOn:
		}
	}
}
