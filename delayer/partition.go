package delayer

import (
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// partition is an assigned partition: what was taken from it and is not yet
// acknowledged, in order. Two chunks at the most, so that one can be published while the next one waits.
type partition struct {
	place rdkafka.Place // with the offset up to which nothing is left to do
	id    string        // of its topic
	end   int64         // as last seen
	feed  Feed

	chunks []*chunk
	at     int  // the first message of chunks[0] that is in no batch, or behind its last
	flying bool // some of its messages are in the batch that is being published
	torn   bool // what follows the last record taken is not there any more
	gone   bool // it has been taken away
	absent bool // its topic was not there when that was last looked at

	taken    int64 // offset behind the last record taken
	newest   int64 // timestamp of the last record taken
	safe     int64 // what has this timestamp or an older one lies before the place, as far as timestamps grow
	walled   bool  // the last message taken is followed by a truncate
	told     int64 // the offset that the group was last told; -1: none
	toldNext int64 // and when the next message is due
}

const (
	chunksHeld  = 2
	takesInARow = 8
)

// fill takes what has arrived, as far as there is room. It returns how many records it took.
func (p *partition) fill(m *member) (int, error) {
	sum := 0
	var err error
	// What is only passed over takes no room: a limit lets the other partitions have their turn.
	for turns := 0; len(p.chunks) < chunksHeld && turns < takesInARow && !p.torn; turns++ {
		c := m.spare()
		c.reset(p.walled)
		var n int
		var strange error
		n, strange, err = p.feed.Take(c, m.decoder, m.most, m.share)
		// After the taking: were it before, a process that is frozen in between would have
		// seen records that were written only later, and re-send them early.
		c.seen = m.clock.read().node
		if strange != nil {
			m.status.tellOdd(p.place.Topic, p.place.Partition, strange)
		}
		if n > 0 {
			sum += n
			p.taken, p.walled = c.next, c.walled
			if c.newest > 0 {
				p.newest = c.newest
			}
		}
		if len(c.held) > 0 {
			p.chunks = append(p.chunks, c)
		} else {
			m.release(c)
		}
		if err != nil || n == 0 {
			break
		}
	}
	p.advance()
	return sum, err
}

// head is the first message that is in no batch, and its chunk; nil if there is none.
func (p *partition) head() (*held, *chunk) {
	at := p.at
	for _, c := range p.chunks {
		if at < len(c.held) {
			return &c.held[at], c
		}
		at -= len(c.held)
	}
	return nil, nil
}

// advance moves the place up to what is not done yet; while messages are being published that is not known.
func (p *partition) advance() {
	if p.flying {
		return
	}
	p.place.Offset, p.safe = p.taken, p.newest
	if h, _ := p.head(); h != nil {
		p.place.Offset, p.safe = h.Offset, min(h.written, p.newest)
	}
}

// landed takes note that all messages in the batch are acknowledged, and returns the chunks that are free.
func (p *partition) landed() (free []*chunk) {
	p.flying = false
	for len(p.chunks) > 0 && p.at >= len(p.chunks[0].held) {
		p.at -= len(p.chunks[0].held)
		free = append(free, p.chunks[0])
		p.chunks = p.chunks[1:]
	}
	p.advance()
	return free
}

// due is when a message is due, by the clock that counts for it; and whether it is.
// A timestamp in the future, of a clock that is wrong, does not keep it: it was written before we saw it.
func (h *held) due(seen, delay int64, now reading) (due, bool) {
	clock := now.counts(h.appended)
	at := h.written + delay
	if clock >= at {
		return due{at, h.appended}, true
	}
	is := now.node >= seen+delay
	if !h.appended { // else the broker's word stands, also while its clock is not known
		at = min(at, seen+delay+clock-now.node)
	}
	return due{at, h.appended}, is
}

// next is when the head is due, 0 if there is none, and how long until then by this node's clock; 0: it is due.
func (p *partition) next(delay int64, now reading) (at, wait int64) {
	h, c := p.head()
	if h == nil {
		return 0, 0
	}
	due, is := h.due(c.seen, delay, now)
	if is {
		return due.at, 0
	}
	return due.at, max(1, min(h.written+delay-now.counts(h.appended), c.seen+delay-now.node))
}

// noted is the place with what is committed beside it.
func (p *partition) noted(delay int64, now reading) (place rdkafka.Place, n note) {
	// A timestamp in the future says nothing about what is written until then.
	n = note{id: p.id, end: max(p.end, p.taken), at: min(p.safe, now.node, now.broker)}
	n.next, _ = p.next(delay, now)
	place = p.place
	place.Metadata = n.String()
	return place, n
}
