package e2e_test

import (
	"fmt"
	"time"
)

// order looks at each partition as it is read: seq only ever grows, and the log is gone
// through from a place before only when a run has begun anew.
type order struct {
	last  map[partition]*reached
	wrong []string
	woken []*waking
}

type partition struct {
	topic  string
	number int32
}

// reached is how far a partition has come.
type reached struct {
	seq, offset int64
	lsn         uint64
	back        int
}

// waking is a node that was frozen while it led, and woke up: what it had in flight then may come behind
// what its successor has published, and that is all that may.
type waking struct {
	at       time.Time
	messages int
	bytes    int
}

// inFlight is how much a pipeline may have in flight, in bytes, and wakingTime how long that may take.
const (
	inFlight   = 16 << 20
	wakingTime = 10 * time.Second
)

func newOrder() *order { return &order{last: map[partition]*reached{}} }

// wakes notes that a frozen node goes on.
func (o *order) wakes(at time.Time) { o.woken = append(o.woken, &waking{at: at}) }

// follow takes the next message of a partition, which is of the transaction at a place of the log.
func (o *order) follow(m *message, lsn uint64) {
	p := partition{m.Topic, m.Partition}
	at := o.last[p]
	if at == nil {
		at = &reached{offset: -1}
		o.last[p] = at
	}
	if m.Offset <= at.offset {
		o.wrong = append(o.wrong, fmt.Sprintf("%s was read after offset %d", where(m), at.offset))
	}
	at.offset = m.Offset
	if m.Seq <= at.seq {
		if !o.excuses(m) {
			o.wrong = append(o.wrong, fmt.Sprintf("%s: seq %d after %d, at %s", where(m), m.Seq, at.seq, m.appended.Format(time.StampMilli)))
		}
		return
	}
	if lsn < at.lsn {
		at.back++
	}
	at.seq, at.lsn = m.Seq, lsn
}

// excuses counts a message that is behind the others for what a node had in flight when it was frozen.
func (o *order) excuses(m *message) bool {
	for _, w := range o.woken {
		if since := m.appended.Sub(w.at); since >= 0 && since < wakingTime {
			w.messages++
			w.bytes += len(m.Key) + len(m.Value)
			return true
		}
	}
	return false
}

// problems is what was wrong in so many runs of the pipeline. What comes next is counted anew.
func (o *order) problems(runs int) []string {
	problems := o.wrong
	for p, at := range o.last {
		if at.back >= runs {
			problems = append(problems, fmt.Sprintf("%s/%d: the log goes back %d times, in %d runs", p.topic, p.number, at.back, runs))
		}
		at.back = 0
	}
	for _, w := range o.woken {
		if w.bytes > inFlight {
			problems = append(problems, fmt.Sprintf("a node that woke up at %s published %d messages with %d bytes behind its successor's, want at most the %d that were in flight",
				w.at.Format(time.StampMilli), w.messages, w.bytes, inFlight))
		}
	}
	o.wrong = nil
	return problems
}
