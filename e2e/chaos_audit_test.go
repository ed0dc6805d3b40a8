package e2e_test

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// auditor reads what has come into Kafka since it last did, holds it against what the load remembers, and forgets both:
// a run of any length needs memory for one round of it.
type auditor struct {
	chaos   *chaos
	read    offsets
	order   *order
	twins   *healing
	earlier map[uint64]bool // places of transactions that were judged
	newest  int64           // of those
	epoch   uint64
	placed  string // the last position, and what it means
	place   uint64

	messages []message
	instants int
	fresh    []time.Time // when each transaction was in Kafka for the first time
	named    map[string]bool
}

func newAuditor(c *chaos) *auditor {
	a := &auditor{chaos: c, read: offsets{}, order: newOrder(), twins: newHealing(), earlier: map[uint64]bool{}}
	p, err := c.any().pipeline(c.t.Context())
	c.must(err)
	a.epoch = p.Epoch
	return a
}

// audit judges a round that is over: all nodes are well, nothing is written, and everything is published.
func (a *auditor) audit() {
	c := a.chaos
	c.t.Helper()
	p, err := c.any().pipeline(c.t.Context())
	c.must(err)
	a.take()
	held := c.db.held(c.t, a.newest)
	e := &evidence{
		ledgerTopic: c.load.topic("ledger"), lsn: c.db.place, messages: a.messages, samples: c.samples.take(),
		earlier: a.earlier, bulks: c.bulks,
	}
	var problems, wrong []string
	e.excused, problems = c.load.excuses(c.any().gaps(c.t))
	e.committed, wrong = c.load.ledger.settle(held)
	problems = append(problems, wrong...)
	places, wrong := e.places()
	problems = append(problems, wrong...)
	whole, wrong := e.compare(places)
	problems = append(problems, wrong...)
	problems = append(problems, e.early(whole)...)
	problems = append(problems, a.order.problems(1+int(p.Epoch-a.epoch))...)
	problems = append(problems, a.twins.problems()...)
	problems = append(problems, c.bulks.wrong...)
	problems = append(problems, c.seen.problems()...)
	a.count(e, whole)
	c.tally.judged(c.t, problems)
	report(c.t, problems)
	if len(problems) > 0 {
		c.t.FailNow() // the state that it is in is of more use than further faults
	}
	a.forget(whole, held, p.Epoch)
}

// take reads what is new.
func (a *auditor) take() {
	c := a.chaos
	to := ends(c.t, c.brokers, append(c.load.topicNames(), c.bulks.topic)...)
	a.named = map[string]bool{}
	readBetween(c.t, c.brokers, a.read, to, func(r *kgo.Record) {
		m := parse(c.t, r)
		lsn := a.lsn(m.Pos)
		if m.Delayed != 0 {
			a.twins.twin(&m, lsn)
			return
		}
		a.instants++
		a.twins.instant(&m, lsn)
		a.order.follow(&m, lsn)
		if m.Topic == c.bulks.topic {
			c.bulks.take(&m, lsn)
			return
		}
		if m.Topic == c.load.topic("ledger") && !a.named[string(m.Key)] && !a.earlier[lsn] {
			a.named[string(m.Key)] = true
			a.fresh = append(a.fresh, m.appended)
		}
		a.messages = append(a.messages, m)
	})
	a.read = to
}

// lsn is the place that a position means. Many messages in a row have the same.
func (a *auditor) lsn(pos string) uint64 {
	if pos != a.placed {
		lsn, err := a.chaos.db.place(pos)
		a.chaos.must(err)
		a.placed, a.place = pos, lsn
	}
	return a.place
}

// count adds up what the round has shown.
func (a *auditor) count(e *evidence, whole []completed) {
	c, due := a.chaos, 0
	for _, ops := range e.proved {
		for _, n := range ops {
			due += n
		}
	}
	for _, done := range whole {
		if c.bulks.began[done.tx] {
			due += c.bulks.rows
			c.tally.sweeps++
		}
	}
	slices.SortFunc(a.fresh, time.Time.Compare)
	c.tally.count(len(whole), due, a.instants-due)
	c.tally.silences(a.fresh, c.bulks)
}

// forget leaves only what the next rounds need.
func (a *auditor) forget(whole []completed, held []int64, epoch uint64) {
	for _, done := range whole {
		a.earlier[done.lsn] = true
	}
	if len(held) > 0 {
		a.newest = max(a.newest, slices.Max(held))
	}
	a.epoch, a.messages, a.fresh, a.instants = epoch, nil, nil, 0
	a.chaos.load.ledger = newLedger()
	clear(a.chaos.bulks.sweeps)
}

// healed waits for all twins.
func (a *auditor) healed() {
	c := a.chaos
	c.t.Helper()
	var missing []string
	last, moved := -1, time.Now()
	const patience = time.Minute // the longest delay, and the session of a member that was killed, several times
	for {
		a.take()
		missing = a.twins.missing(time.Now().Add(time.Hour))
		if len(missing) == 0 || time.Since(moved) > patience {
			break
		}
		if len(missing) != last {
			last, moved = len(missing), time.Now()
		}
		moment(c.t, 200*time.Millisecond)
	}
	report(c.t, append(a.twins.problems(), missing...))
}
