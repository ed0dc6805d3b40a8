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
	// pollEvery is how soon what has arrived is noticed; no delay is shorter than a second.
	pollEvery = 50 * time.Millisecond
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

	sized      int                        // the group was opened for so many partitions
	pairs      map[string]*kafkasync.Pair // by topic
	partitions map[place]*partition
	order      []*partition            // the same, in turn
	left       map[place]rdkafka.Place // of partitions that were given back, what could not be committed
	found      <-chan []Partition      // what the surveyor has found

	share, most int      // of one chunk: bytes, records
	free        []*chunk // to be used again

	batches chan<- *batch
	landed  <-chan *batch
	batch   *batch
	flying  bool
	probed  bool // a message that was to show the brokers' clock is acknowledged

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

// errOutgrown ends a member whose group fetches too much ahead of each partition for as many as there are now.
var errOutgrown = errors.New("there are many more partitions than before")

// errPublishing ends a member whose publisher has ended; the publisher says why.
var errPublishing = errors.New("the publisher has ended")

// step sends, takes and commits what can be now, and waits for what comes next. What is held is
// sent before more is taken, so that taking and publishing go on side by side.
func (m *member) step(ctx context.Context) error {
	now := m.clock.read()
	wait := m.send(now)
	took, err := m.take(ctx)
	if err != nil {
		return err
	}
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
func (m *member) take(ctx context.Context) (int, error) {
	sum := 0
	var ended []*partition
	for _, p := range m.order {
		n, err := p.fill(m)
		sum += n
		switch {
		case err == nil:
		case isOutOfRange(err):
			p.torn = true
		case isPassing(err): // librdkafka goes on
			m.status.SetError(m.cfg.explain(err))
		default:
			return sum, fmt.Errorf("reading partition %d of topic %s: %w", p.place.Partition, p.place.Topic, m.cfg.explain(err))
		}
		// What is held may not be there any more either: it is re-sent first.
		if h, _ := p.head(); p.torn && h == nil && !p.flying {
			ended = append(ended, p)
		}
	}
	return sum, m.restart(ctx, ended)
}

// send hands what is due to the publisher, unless it has something already, and
// returns how long nothing else has to be done.
func (m *member) send(now reading) time.Duration {
	if m.flying {
		return pollEvery
	}
	wait := pollEvery
	b := m.batch
	b.reset(!m.probed && !now.known)
	for i, p := range m.order {
		if p.absent { // what is held goes with its topic
			continue
		}
		if at, left := p.next(m.delay, now); left > 0 {
			wait = min(wait, time.Duration(left)*time.Millisecond)
		} else if at != 0 && m.vouched() {
			b.gather(p, m.delay, now)
		}
		if b.full { // who had no turn is the first next time
			if p.flying {
				i++
			}
			m.order = append(m.order[i:len(m.order):len(m.order)], m.order[:i]...)
			break
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

// learn takes what the surveyor has found. A topic that was deleted and created again between two looks
// of librdkafka would be read on at an offset that means nothing in it.
func (m *member) learn(ctx context.Context, found []Partition) error {
	m.status.SetError(nil) // Kafka answers
	for _, p := range m.order {
		p.absent = true
	}
	var others []*partition
	for i := range found {
		f := &found[i]
		p := m.partitions[place{f.Topic, f.Number}]
		if p == nil {
			continue
		}
		p.absent = false
		if p.id != f.ID && f.ID != "" {
			others = append(others, p) // with its old end, which tells how many of its messages are lost
			continue
		}
		p.end = f.End
	}
	return m.restart(ctx, others)
}

// land takes note of a batch that is acknowledged.
func (m *member) land(b *batch) {
	now := m.clock.read()
	m.flying, m.probed = false, m.probed || b.probes
	m.status.landed(b, now)
	for _, p := range b.of {
		for _, c := range p.landed() {
			m.release(c)
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

// release keeps a chunk to be filled again, unless a record larger than a share has made it large.
func (m *member) release(c *chunk) {
	if c.records.Size() <= m.share && len(m.free) < chunksHeld*len(m.order) {
		m.free = append(m.free, c)
	}
}
