package delayer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// commitEvery bounds what is published again after a crash.
	commitEvery = 500 * time.Millisecond
	// pollEvery is how soon what has arrived is noticed; no delay is shorter than a second.
	pollEvery = 50 * time.Millisecond
	// wordLasts is how long the group's last word that this member is one of it counts. A process that was frozen
	// for as long as its session lasts must ask before it publishes.
	wordLasts = sessionTimeout / 2
	// landing is how long a partition that is taken away waits for what is in flight.
	landing = 5 * time.Second

	heldBytes    = 16 << 20 // of all partitions together
	leastShare   = 4 << 10
	mostShare    = 256 << 10
	sizeOfRecord = 160 // about, for how many records fit into a share
)

// member is one membership of a group. One goroutine owns it: it polls, takes
// records, gathers what is due and commits. Only the publishing of the one batch is beside it.
type member struct {
	cfg     Config
	delay   int64 // milliseconds
	clock   *Clock
	log     *slog.Logger
	status  *Status
	group   Group
	offsets Offsets
	decoder *decoder

	pairs      map[string]*kafkasync.Pair // by topic
	partitions map[place]*partition
	order      []*partition       // the same, in turn
	found      <-chan []Partition // what the surveyor has found

	share, most int      // of one chunk: bytes, records
	free        []*chunk // to be used again

	batches chan<- *batch
	landed  <-chan *batch
	batch   *batch
	flying  bool
	probed  bool // the brokers' clock is known, or cannot be

	committing bool      // a commit is under way
	asked      time.Time // when it began
	word       time.Time // when the group was last asked and said that this member is one of it
	tick       time.Time // when the next commit is due
}

// place names a partition.
type place struct {
	topic  string
	number int32
}

// live subscribes, and steps until ctx ends or something fails.
func (m *member) live(ctx context.Context) error {
	changed, err := m.subscribe()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		select {
		case <-changed:
			if changed, err = m.subscribe(); err != nil {
				return err
			}
		case b, ok := <-m.landed:
			if !ok {
				return errPublishing
			}
			m.land(b)
		case found := <-m.found:
			if err := m.learn(ctx, found); err != nil {
				return err
			}
		default:
			if err := m.step(ctx); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// errPublishing ends a member whose publisher has ended; the publisher says why.
var errPublishing = errors.New("the publisher has ended")

// step takes, sends and commits what can be now, and waits for what comes next.
func (m *member) step(ctx context.Context) error {
	now := m.clock.read()
	took, err := m.take(ctx, now)
	if err != nil {
		return err
	}
	wait := m.send(now)
	if took > 0 && !m.flying {
		wait = 0
	}
	if err := m.commit(now); err != nil {
		return err
	}
	event, err := m.group.Poll(wait)
	if err != nil {
		return err
	}
	return m.answer(ctx, event)
}

// take fills every partition's room.
func (m *member) take(ctx context.Context, now reading) (int, error) {
	sum := 0
	for _, p := range m.order {
		n, err := p.fill(m, now)
		sum += n
		if err == nil {
			continue
		}
		switch {
		case isOutOfRange(err):
			if err = m.restart(ctx, p); err == nil {
				return sum, nil // the order has changed
			}
		case isPassing(err): // librdkafka goes on
			m.status.SetError(m.cfg.explain(err))
			continue
		}
		if err = m.cfg.explain(err); err != nil {
			return sum, fmt.Errorf("reading partition %d of topic %s: %w", p.place.Partition, p.place.Topic, err)
		}
	}
	return sum, nil
}

// send hands what is due to the publisher, unless it has something already, and
// returns how long nothing else has to be done.
func (m *member) send(now reading) time.Duration {
	if m.flying {
		return pollEvery
	}
	wait := pollEvery
	b := m.batch
	b.reset()
	b.probe = !m.probed && !now.known
	for i, p := range m.order {
		if b.size >= batchBytes || b.probe && len(b.messages) > 0 {
			// The partitions that had no turn are the first next time.
			m.order = append(m.order[i:len(m.order):len(m.order)], m.order[:i]...)
			break
		}
		if _, left := p.next(m.delay, now); left > 0 {
			wait = min(wait, time.Duration(left)*time.Millisecond)
		} else if p.head() != nil && m.vouched() {
			b.gather(p, m.delay, now)
		}
	}
	if len(b.messages) == 0 {
		return wait
	}
	b.compact()
	m.flying = true
	m.batches <- b // never blocks: there is one batch
	return pollEvery
}

// vouched reports whether the group's word that we are one of it is recent; if it is not, it is asked for:
// a process that was frozen would else publish for partitions that are somebody else's by now. The word
// is that of a commit, which is refused to a member of an older generation.
func (m *member) vouched() bool {
	if m.cfg.now().Sub(m.word) < wordLasts {
		return true
	}
	m.tick = time.Time{} // commit now
	return false
}

// learn takes what the surveyor has found. A topic that was deleted and created again between two looks
// of librdkafka would be read on at an offset that means nothing in it.
func (m *member) learn(ctx context.Context, found []Partition) error {
	m.status.SetError(nil)
	for _, f := range found {
		p := m.partitions[place{f.Topic, f.Number}]
		if p == nil {
			continue
		}
		p.end = f.End
		if p.id != f.ID && f.ID != "" {
			if err := m.restart(ctx, p); err != nil {
				return fmt.Errorf("reading partition %d of topic %s, which was created again: %w", f.Number, f.Topic, err)
			}
		}
	}
	return nil
}

// land takes note of a batch that is acknowledged.
func (m *member) land(b *batch) {
	now := m.clock.read()
	m.flying, m.probed = false, true
	m.status.landed(b, now.broker)
	for _, p := range b.of {
		free := p.landed()
		if !p.gone {
			m.free = append(m.free, free...)
		}
	}
}

// spare returns a chunk to be filled.
func (m *member) spare() *chunk {
	if n := len(m.free); n > 0 {
		c := m.free[n-1]
		m.free = m.free[:n-1]
		return c
	}
	return &chunk{}
}

// commit tells the group how far the partitions are, twice a second and when its word is needed.
func (m *member) commit(now reading) error {
	at := m.cfg.now()
	if m.committing || at.Before(m.tick) {
		return nil
	}
	m.tick = at.Add(commitEvery)
	needed := at.Sub(m.word) >= wordLasts && m.due(now)
	var places []rdkafka.Place
	for _, p := range m.order {
		place, n := p.noted(m.delay, now)
		if needed || place.Offset != p.told || n.next != p.toldNext {
			p.told, p.toldNext = place.Offset, n.next
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return nil
	}
	if err := m.group.Commit(places, false); err != nil {
		return fmt.Errorf("committing offsets: %w", m.cfg.explain(err))
	}
	m.committing, m.asked = true, at
	return nil
}

// due reports whether something waits for the group's word.
func (m *member) due(now reading) bool {
	for _, p := range m.order {
		if _, left := p.next(m.delay, now); left == 0 && p.head() != nil {
			return true
		}
	}
	return false
}

// committed takes note of what came of a commit.
func (m *member) committed(err error) error {
	m.committing = false
	switch {
	case err == nil:
		m.word = m.asked
		m.status.SetError(nil)
		return nil
	case isFenced(err):
		// The group has gone on without us, or is about to: it says so itself, with what is taken away.
	case isPassing(err):
		m.status.SetError(m.cfg.explain(err))
	default:
		return fmt.Errorf("committing offsets: %w", m.cfg.explain(err))
	}
	for _, p := range m.order {
		p.told = -1 // again
	}
	return nil
}
