package e2e_test

import (
	"fmt"
	"strconv"
	"time"

	"github.com/kafkasync/kafkasync"
)

// bulks are transactions that update every row of one large table, whose keys are 1 to rows: too many for the ledger to hold each.
type bulks struct {
	topic  string
	rows   int
	began  map[int64]bool    // transactions that did it, committed or not
	sweeps map[uint64]*sweep // by place
	wrong  []string
}

// sweep is what is in Kafka of one of them.
type sweep struct {
	seen        []uint64 // a bit for each row
	left        int
	messages    int
	first, done time.Time // of the first message, and of the last one that was still missing
}

func newBulks(topic string, rows int) *bulks {
	return &bulks{topic: topic, rows: rows, began: map[int64]bool{}, sweeps: map[uint64]*sweep{}}
}

// take takes an instant message of the table.
func (b *bulks) take(m *message, lsn uint64) {
	id, err := strconv.Atoi(string(m.Key))
	if err != nil || id < 1 || id > b.rows || m.Op != kafkasync.Updated {
		b.wrong = append(b.wrong, fmt.Sprintf("%s: got %s %q, want the update of a row", where(m), m.Op, m.Key))
		return
	}
	s := b.sweeps[lsn]
	if s == nil {
		s = &sweep{seen: make([]uint64, b.rows/64+1), left: b.rows, first: m.appended}
		b.sweeps[lsn] = s
	}
	s.messages++
	if s.seen[id/64]&(1<<(id%64)) == 0 {
		s.seen[id/64] |= 1 << (id % 64)
		s.left--
		s.done = later(s.done, m.appended)
	}
	if s.first.After(m.appended) {
		s.first = m.appended
	}
}

// completed is when the last message of a transaction at this place was in Kafka, if it is one of these.
func (b *bulks) completed(lsn uint64, tx int64) (at time.Time, wrong string) {
	if b == nil {
		return time.Time{}, ""
	}
	s := b.sweeps[lsn]
	switch {
	case s == nil && !b.began[tx]:
		return time.Time{}, ""
	case s == nil:
		return time.Time{}, fmt.Sprintf("none of the %d rows it updated is in Kafka", b.rows)
	case !b.began[tx]:
		return time.Time{}, fmt.Sprintf("it updated no row of %s, and %d messages say so", b.topic, s.messages)
	case s.left > 0:
		return time.Time{}, fmt.Sprintf("%d of the %d rows it updated are not in Kafka", s.left, b.rows)
	}
	return s.done, ""
}

// strangers are the places at which no transaction is known, now or from before.
func (b *bulks) strangers(places map[string]*place, earlier map[uint64]bool) (found []uint64) {
	if b == nil {
		return nil
	}
	known := map[uint64]bool{}
	for _, p := range places {
		known[p.lsn] = true
	}
	for lsn := range b.sweeps {
		if !known[lsn] && !earlier[lsn] {
			found = append(found, lsn)
		}
	}
	return found
}

// within finds the sweep that was under way then.
func (b *bulks) within(at time.Time) *sweep {
	for _, s := range b.sweeps {
		if s.first.Before(at) && at.Before(s.done) {
			return s
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
