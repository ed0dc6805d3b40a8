package demo

import (
	"fmt"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
)

// shown is how many messages of a transaction are kept to be shown.
const shown = 5

// ledger notes what arrived, by transaction: messages come before, while and
// after the database says which rows a transaction changed. It is written by the
// consumer and read by the demo.
type ledger struct {
	place func(pos string) (uint64, error) // of a message in the log

	mu       sync.Mutex
	arrivals map[uint64]*arrival // by the place of the commit
	messages int                 // instant ones
	twins    int
	newest   map[string]*pair // by payload
	behind   int              // rows whose newest message has no twin yet

	killed uint64    // the place of the log at which a node was killed; 0: none was
	next   time.Time // when a message came that only another node can have sent
}

// pair is the seq of the newest instant message of a row and of its newest twin.
type pair struct{ instant, twin int64 }

// arrival is what arrived of one transaction.
type arrival struct {
	times map[string]int // by payload
	first []received
	later []received    // twins
	last  time.Duration // from the commit to the newest row that was not there before
}

// received is a message and when it came.
type received struct {
	kafkasync.Message
	after time.Duration // the commit
}

func newLedger(place func(pos string) (uint64, error)) *ledger {
	return &ledger{place: place, arrivals: map[uint64]*arrival{}, newest: map[string]*pair{}}
}

// add notes a message.
func (l *ledger) add(m kafkasync.Message) error {
	after := time.Since(m.Committed)
	pos, err := l.place(m.Pos)
	if err != nil {
		return fmt.Errorf("reading message %s of topic %s: %w", m.Value, m.Topic, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.arrivals[pos]
	if a == nil {
		a = &arrival{times: map[string]int{}}
		l.arrivals[pos] = a
	}
	l.match(&m)
	if m.Delayed != 0 {
		l.twins++
		if len(a.later) < shown {
			a.later = append(a.later, received{m, after})
		}
		return nil
	}
	l.messages++
	a.times[string(m.Value)]++
	again := a.times[string(m.Value)] > 1
	if l.killed != 0 && l.next.IsZero() && (again || pos >= l.killed) {
		l.next = time.Now()
	}
	if again {
		return nil
	}
	a.last = after
	if len(a.first) < shown {
		a.first = append(a.first, received{m, after})
	}
	return nil
}

// expectAnother says that the node that publishes is about to be killed. What was committed before this
// place and arrives again, and whatever was committed after it, then comes from another one.
func (l *ledger) expectAnother(place uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed = place
}

// another returns when the first message of another node arrived; zero: none has.
func (l *ledger) another() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// match keeps count of the rows whose newest message waits for its twin: a twin
// of an older one says less than what is there already.
func (l *ledger) match(m *kafkasync.Message) {
	p := l.newest[string(m.Value)]
	if p == nil {
		p = &pair{}
		l.newest[string(m.Value)] = p
	}
	was := p.twin < p.instant
	if m.Delayed != 0 {
		p.twin = max(p.twin, m.Seq)
	} else {
		p.instant = max(p.instant, m.Seq)
	}
	switch is := p.twin < p.instant; {
	case is && !was:
		l.behind++
	case was && !is:
		l.behind--
	}
}

// resent returns how many twins arrived, and how many rows still wait for one.
func (l *ledger) resent() (twins, behind int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.twins, l.behind
}

// count returns how many instant messages arrived in all.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.messages
}

// latest returns the place of the newest commit of which something arrived.
func (l *ledger) latest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	place := uint64(0)
	for pos := range l.arrivals {
		place = max(place, pos)
	}
	return place
}

// arrived returns how many different rows of a transaction arrived.
func (l *ledger) arrived(c *change) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := 0
	for _, a := range l.of(c) {
		rows += len(a.times)
	}
	return rows
}

// of returns what arrived with a commit between the change's two places.
func (l *ledger) of(c *change) []*arrival {
	var found []*arrival
	for pos, a := range l.arrivals {
		if c.from <= pos && pos < c.to {
			found = append(found, a)
		}
	}
	return found
}

// account is what became of changes.
type account struct {
	rows     int // that were changed
	messages int // that arrived, twins not among them
	repeated int // that had arrived before
	lost     int // rows of which no message arrived
	strange  int // messages about something that was not changed
}

// account compares what was changed with all that arrived.
func (l *ledger) account(changes ...*change) account {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := account{messages: l.messages}
	counted := 0
	for _, c := range changes {
		total.rows += len(c.rows)
		times := map[string]int{}
		for _, a := range l.of(c) {
			for row, n := range a.times {
				times[row] += n
			}
		}
		for row := range c.rows {
			n := times[row]
			counted += n
			if n == 0 {
				total.lost++
			} else {
				total.repeated += n - 1
			}
		}
	}
	total.strange = l.messages - counted
	return total
}

// first returns the first messages of a transaction, in the order in which they came.
func (l *ledger) first(c *change) []received {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []received
	for _, a := range l.of(c) {
		all = append(all, a.first...)
	}
	return all
}

// later returns the first twins of a transaction's messages.
func (l *ledger) later(c *change) []received {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []received
	for _, a := range l.of(c) {
		all = append(all, a.later...)
	}
	return all
}

// last returns how long after the commit the last row was there for the first time.
func (l *ledger) last(c *change) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := time.Duration(0)
	for _, a := range l.of(c) {
		longest = max(longest, a.last)
	}
	return longest
}
