package consumer

import (
	"fmt"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
)

// skew is how far the clocks of the processes of a group and of the brokers may be apart: who begins with the
// latest messages may get some that are older by it.
const skew = time.Second

// beginning is where a partition is read from.
type beginning struct {
	offset int64
	since  time.Time // set: at the first message that is not older, instead of at offset
	fresh  bool      // nothing is committed: this is to be, before it is read
	gap    *Gap
	note   note // to be committed beside the offsets
}

// origins is what the group has committed of each topic, of whichever partition: by it a name is known.
func origins(found []broker.Partition) map[string]note {
	known := map[string]note{}
	for i := range found {
		if found[i].Committed < 0 {
			continue
		}
		n, ok := parseNote(found[i].Note)
		if old, is := known[found[i].Topic]; !is || ok && n.count > old.count {
			known[found[i].Topic] = n
		}
	}
	return known
}

// begin decides where a partition is read from: where the group has committed, or, for a new name, where
// it is to start; what was added to a topic later is read from its beginning. count is how many partitions the topic has.
func begin(p *broker.Partition, known map[string]note, count int, start Start, now time.Time) beginning {
	origin, is := known[p.Topic]
	b := beginning{offset: p.Committed, note: note{id: p.ID, count: origin.count, from: origin.from}}
	if p.Committed >= 0 {
		b.gap = gapOf(p)
		if b.gap != nil {
			b.offset = p.Begin
		}
		return b
	}
	b.offset, b.fresh = p.Begin, true
	if !is {
		b.note.count = count
		switch {
		case start.latest:
			b.offset, b.note.from = p.End, now.UnixMilli()
		case !start.at.IsZero():
			b.since, b.note.from = start.at, max(1, start.at.UnixMilli())
		}
		return b
	}
	// Another process of this name was here first, or one that died before it had come to this
	// partition: from the same time on, or what was published since would be passed over.
	if int(p.Number) < origin.count && origin.from > 0 {
		b.since = time.UnixMilli(origin.from)
		if start.latest {
			b.since = b.since.Add(-skew)
		}
	}
	return b
}

// gapOf is what is gone between what the group has committed and what is there; nil: nothing.
func gapOf(p *broker.Partition) *Gap {
	g := &Gap{Topic: p.Topic, Partition: p.Number, From: p.Committed, To: p.Committed}
	n, noted := parseNote(p.Note)
	switch {
	case noted && n.id != p.ID && n.id != "" && p.ID != "":
		g.Cause = "the topic was deleted and created again"
	case p.Committed < p.Begin:
		g.To, g.Cause = p.Begin, "they were deleted by the topic's retention, or by hand, before they were read"
	case p.Committed > p.End:
		g.Cause = fmt.Sprintf("the partition ends at %d: a broker has lost its end, or was restored", p.End)
	default:
		return nil
	}
	return g
}

// fault is a gap as an error.
func (c Config) fault(g *Gap) error {
	lost := "an unknown number of messages"
	if n := g.To - g.From; n > 0 {
		lost = fmt.Sprintf("%d messages", n)
	}
	return &kafkasync.Fault{
		Class: kafkasync.Stop,
		What: fmt.Sprintf("partition %d of topic %s cannot be read on at offset %d, where consumer %s is: %s",
			g.Partition, g.Topic, g.From, c.Name, g.Cause),
		Risk: lost + " that this consumer has not seen; what it stores of these rows may be stale",
		Fix: fmt.Sprintf("refresh what it stores, then, while none of its processes runs: kafka-consumer-groups.sh --bootstrap-server %s "+
			"--group %s --topic %s:%d --reset-offsets --to-earliest --execute; or decide in Config.OnGap", strings.Join(c.Brokers, ","), c.Name, g.Topic, g.Partition),
	}
}
