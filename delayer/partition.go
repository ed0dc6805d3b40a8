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
	gone   bool // it has been taken away

	taken    int64 // offset behind the last record taken
	newest   int64 // timestamp of the last record taken
	told     int64 // the offset that the group was last told; -1: none
	toldNext int64 // and when the next message is due
}

const (
	chunksHeld  = 2
	takesInARow = 8
)

// fill takes what has arrived, as far as there is room. It returns how many records it took.
func (p *partition) fill(m *member, now reading) (int, error) {
	sum := 0
	// What is only passed over takes no room: a limit lets the other partitions have their turn.
	for turns := 0; len(p.chunks) < chunksHeld && turns < takesInARow; turns++ {
		c := m.spare()
		c.reset()
		c.seen = now.node
		n, strange, err := p.feed.Take(c, m.decoder, m.most, m.share)
		if strange != nil {
			m.status.tellOdd(p.place.Topic, p.place.Partition, strange)
		}
		if n > 0 {
			sum += n
			p.taken, p.newest = c.next, c.newest
		}
		if len(c.held) > 0 {
			p.chunks = append(p.chunks, c)
		} else {
			m.free = append(m.free, c)
		}
		if err != nil || n == 0 {
			p.advance()
			return sum, err
		}
	}
	p.advance()
	return sum, nil
}

// head is the first message that is in no batch.
func (p *partition) head() *held {
	at := p.at
	for _, c := range p.chunks {
		if at < len(c.held) {
			return &c.held[at]
		}
		at -= len(c.held)
	}
	return nil
}

// advance moves the place up to what is not done yet; while messages are being published that is not known.
func (p *partition) advance() {
	if p.flying {
		return
	}
	p.place.Offset = p.taken
	if h := p.head(); h != nil {
		p.place.Offset = h.Offset
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

// due is when a message is due, by the time that its record's counts; and whether it is.
// A timestamp in the future, of a clock that is wrong, does not keep it: it was written before we saw it.
func (h *held) due(seen, delay int64, now reading) (at int64, is bool) {
	at = h.written + delay
	if now.counts(h.appended) >= at {
		return at, true
	}
	return min(at, seen+delay), now.node >= seen+delay
}

// next is when the head is due, 0 if there is none, and how long until then by this node's clock.
func (p *partition) next(delay int64, now reading) (due, wait int64) {
	at := p.at
	for _, c := range p.chunks {
		if at >= len(c.held) {
			at -= len(c.held)
			continue
		}
		h := &c.held[at]
		due, is := h.due(c.seen, delay, now)
		if is {
			return due, 0
		}
		return due, max(1, min(h.written+delay-now.counts(h.appended), c.seen+delay-now.node))
	}
	return 0, 0
}

// noted is the place with what is committed beside it.
func (p *partition) noted(delay int64, now reading) (place rdkafka.Place, n note) {
	n = note{id: p.id, end: max(p.end, p.taken), at: p.newest}
	if h := p.head(); h != nil {
		n.at = min(h.written, now.node)
		n.next, _ = p.next(delay, now)
	}
	place = p.place
	place.Metadata = n.String()
	return place, n
}
