package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync"
)

// change is what one message says. A truncate has no key; it goes to every
// partition, which stands in its place.
type change struct {
	topic, key string
	op         kafkasync.Op
}

func (c change) String() string { return fmt.Sprintf("%s of %q on %s", c.op, c.key, c.topic) }

// changes counts what a transaction does. A row that is changed twice leads to two messages.
type changes map[change]int

// outcome is how a transaction ended, as its writer knows it.
type outcome int

const (
	rolledBack outcome = iota
	committed
	unknown // the connection broke during COMMIT
)

// ledger is what the writers remember. Every transaction inserts its number into
// a captured table of the same name, which ties its position in the log to what it did.
type ledger struct {
	mu      sync.Mutex
	did     map[int64]changes
	outcome map[int64]outcome
}

func newLedger() *ledger {
	return &ledger{did: map[int64]changes{}, outcome: map[int64]outcome{}}
}

func (l *ledger) enter(id int64, did changes, how outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did[id], l.outcome[id] = did, how
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.did)
}

// settle compares the memory with the numbers that the database holds, and
// returns the transactions that count.
func (l *ledger) settle(held []int64) (map[int64]changes, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var problems []string
	settled := map[int64]changes{}
	for _, id := range held {
		if did, known := l.did[id]; known && l.outcome[id] != rolledBack {
			settled[id] = did
		} else {
			problems = append(problems, fmt.Sprintf("the database holds transaction %d, which did not commit", id))
		}
	}
	for id, how := range l.outcome {
		if _, holds := settled[id]; !holds && how == committed {
			problems = append(problems, fmt.Sprintf("the database has lost transaction %d", id))
		}
	}
	return settled, problems
}

// sample is a place in the log that was seen to be given up, and when at the latest.
type sample struct {
	what string
	lsn  uint64
	at   time.Time
}

// evidence is all that is needed to judge a run.
type evidence struct {
	ledgerTopic string
	lsn         func(pos string) (uint64, error) // the order of places; nil: of a Postgres
	committed   map[int64]changes
	messages    []message // each partition in its order
	samples     []sample
	runs        int             // processes and runs of the pipeline that wrote the messages
	excused     excused         // what need not be there
	earlier     map[uint64]bool // places that were judged before: what comes of them once more is a repeat
	bulks       *bulks          // transactions that are too large for the ledger; may be nil
	proved      proved          // filled by the verdict
	spared      int             // changes that a gap names; by the verdict
	missing     int             // those of them that are not there indeed
}

// proved counts the changes that had to be in Kafka, and were looked for there.
type proved map[string]map[kafkasync.Op]int

// place is a transaction as Kafka shows it.
type place struct {
	lsn    uint64
	tx     int64
	named  bool // a row of the ledger says which transaction this is
	copies map[change][]time.Time
}

// verdict returns what contradicts the guarantees; nothing if they were kept.
func (e *evidence) verdict() []string {
	places, problems := e.places()
	whole, lost := e.compare(places)
	problems = append(problems, lost...)
	order := newOrder()
	for i := range e.messages {
		m := &e.messages[i]
		order.follow(m, places[m.Pos].lsn)
	}
	problems = append(problems, order.problems(e.runs)...)
	return append(problems, e.early(whole)...)
}

// places groups the messages by their position in the log.
func (e *evidence) places() (map[string]*place, []string) {
	var problems []string
	places := map[string]*place{}
	at := map[int64]string{}
	number := e.lsn
	if number == nil {
		number = parseLSN
	}
	for i := range e.messages {
		m := &e.messages[i]
		p := places[m.Pos]
		if p == nil {
			lsn, err := number(m.Pos)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", where(m), err))
			}
			p = &place{lsn: lsn, copies: map[change][]time.Time{}}
			places[m.Pos] = p
		}
		c := change{m.Topic, string(m.Key), m.Op}
		if m.Op == kafkasync.Truncated {
			c.key = partitionKey(m.Partition)
		}
		if e.earlier[p.lsn] {
			continue
		}
		p.copies[c] = append(p.copies[c], m.appended)
		if m.Topic != e.ledgerTopic {
			continue
		}
		id, err := strconv.ParseInt(string(m.Key), 10, 64)
		before, seen := at[id]
		if err != nil || m.Op != kafkasync.Created || p.named && p.tx != id || seen && before != m.Pos {
			problems = append(problems, fmt.Sprintf("%s: row %q of the ledger at %s, after transaction %d there and %q elsewhere", where(m), m.Key, m.Pos, p.tx, before))
		}
		p.tx, p.named, at[id] = id, true, m.Pos
	}
	return places, problems
}

// completed is a transaction and the time at which the last of its messages was first in Kafka.
type completed struct {
	lsn uint64
	tx  int64
	at  time.Time
}

// compare holds every transaction against its messages: none may be missing, none be made up.
func (e *evidence) compare(places map[string]*place) ([]completed, []string) {
	var problems []string
	var whole []completed
	seen := map[int64]bool{}
	e.proved = proved{}
	for pos, p := range places {
		if e.earlier[p.lsn] {
			continue
		}
		did, ok := e.committed[p.tx]
		if !p.named || !ok {
			problems = append(problems, fmt.Sprintf("messages at %s are of no transaction that committed (ledger row: %v, %d): %d changes", pos, p.named, p.tx, len(p.copies)))
			continue
		}
		seen[p.tx] = true
		for c := range p.copies {
			if did[c] == 0 {
				problems = append(problems, fmt.Sprintf("transaction %d at %s: Kafka has %v, which it did not do", p.tx, pos, c))
			}
		}
		done := completed{lsn: p.lsn, tx: p.tx}
		var wrong string
		if done.at, wrong = e.bulks.completed(p.lsn, p.tx); wrong != "" {
			problems = append(problems, fmt.Sprintf("transaction %d at %s: %s: LOST", p.tx, pos, wrong))
		}
		for c, want := range did {
			copies := p.copies[c]
			if e.excused.at(c.topic, p.lsn) {
				e.spared += want
				e.missing += max(0, want-len(copies))
				continue
			}
			e.proved.add(c, want)
			if len(copies) < want {
				problems = append(problems, fmt.Sprintf("transaction %d at %s: %v is %d times in Kafka, want at least %d: LOST", p.tx, pos, c, len(copies), want))
				continue
			}
			slices.SortFunc(copies, time.Time.Compare)
			if first := copies[want-1]; first.After(done.at) {
				done.at = first
			}
		}
		whole = append(whole, done)
	}
	for _, lsn := range e.bulks.strangers(places, e.earlier) {
		problems = append(problems, fmt.Sprintf("messages of a large transaction at %s, which did not commit", formatLSN(lsn)))
	}
	for id := range e.committed {
		if !seen[id] {
			problems = append(problems, fmt.Sprintf("transaction %d: nothing of it is in Kafka: LOST", id))
		}
	}
	return whole, problems
}

func (p proved) add(c change, n int) {
	if p[c.topic] == nil {
		p[c.topic] = map[kafkasync.Op]int{}
	}
	p[c.topic][c.op] += n
}

// early finds the moments at which log was given up although something of it was not in Kafka yet.
func (e *evidence) early(whole []completed) []string {
	slices.SortFunc(whole, func(a, b completed) int { return cmp.Compare(a.lsn, b.lsn) })
	slowest := make([]completed, len(whole)) // up to each place
	for i, c := range whole {
		if i > 0 && slowest[i-1].at.After(c.at) {
			c = slowest[i-1]
		}
		slowest[i] = c
	}
	var problems []string
	for _, s := range e.samples {
		// A transaction is given up by every place behind its commit record, which lies at its lsn.
		n, _ := slices.BinarySearchFunc(whole, s.lsn, func(c completed, lsn uint64) int { return cmp.Compare(c.lsn, lsn) })
		if n > 0 && slowest[n-1].at.After(s.at) {
			problems = append(problems, fmt.Sprintf("%s was at %s by %s, but transaction %d at %s was not in Kafka before %s: EARLY",
				s.what, formatLSN(s.lsn), s.at.Format(time.StampMicro), slowest[n-1].tx, formatLSN(slowest[n-1].lsn), slowest[n-1].at.Format(time.StampMicro)))
		}
	}
	return problems
}

func where(m *message) string { return fmt.Sprintf("%s/%d@%d", m.Topic, m.Partition, m.Offset) }

func partitionKey(p int32) string { return fmt.Sprintf("partition %d", p) }

func parseLSN(text string) (uint64, error) {
	var high, low uint32
	if _, err := fmt.Sscanf(text, "%X/%X", &high, &low); err != nil {
		return 0, fmt.Errorf("%q is no place in the log: %w", text, err)
	}
	return uint64(high)<<32 | uint64(low), nil
}

func formatLSN(lsn uint64) string { return fmt.Sprintf("%X/%X", lsn>>32, uint32(lsn)) }
