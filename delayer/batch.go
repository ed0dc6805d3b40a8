package delayer

import (
	"bytes"
	"hash/maphash"

	"github.com/kafkasync/kafkasync"
)

const (
	// batchBytes bounds what is published at once, and so what is published again after a crash in between.
	batchBytes = 4 << 20
	// heldOverhead is what a message takes on the wire besides its own bytes: the names of
	// its headers, numbers as text.
	heldOverhead = 120
)

// batch is what is due at one moment, of all partitions, in the order of each.
type batch struct {
	messages []kafkasync.Message
	due      []int64 // of each message
	of       []*partition
	size     int
	probe    bool // its acknowledgement is to show the brokers' clock

	collapsed map[string]uint64 // messages left out, by topic
	fold      fold
}

func newBatch() *batch {
	return &batch{collapsed: map[string]uint64{}, fold: fold{seed: maphash.MakeSeed(), rows: map[uint64]int{}}}
}

func (b *batch) reset() {
	clear(b.messages) // they keep the bytes of chunks alive
	b.messages, b.due, b.of, b.size, b.probe = b.messages[:0], b.due[:0], b.of[:0], 0, false
	clear(b.collapsed)
	b.fold.reset()
}

// gather appends what is due of a partition, and reports whether there is anything. It stops where the batch is full.
func (b *batch) gather(p *partition, delay int64, now reading) bool {
	first := len(b.messages)
	b.fold.begin()
	at := p.at
	for _, c := range p.chunks {
		if at >= len(c.held) {
			at -= len(c.held)
			continue
		}
		for ; at < len(c.held); at++ {
			h := &c.held[at]
			due, is := h.due(c.seen, delay, now)
			if !is || b.size >= batchBytes {
				b.of = b.took(p, first)
				return len(b.messages) > first
			}
			b.add(h, due)
			p.at++
			if b.probe {
				b.of = b.took(p, first)
				return true
			}
		}
		at = 0
	}
	b.of = b.took(p, first)
	return len(b.messages) > first
}

// took notes that the batch has messages of p, if it has.
func (b *batch) took(p *partition, first int) []*partition {
	if len(b.messages) == first {
		return b.of
	}
	p.flying = true
	return append(b.of, p)
}

// add appends a message, unless it is about the same row as one that is there: then the newer one stays, in its place.
func (b *batch) add(h *held, due int64) {
	if h.walled {
		b.fold.wall()
	}
	b.size += heldOverhead + len(h.Key) + len(h.Value) + len(h.Pipeline) + len(h.Table) + len(h.Pos)
	if other, ok := b.fold.find(b.messages, &h.Message); ok {
		b.collapsed[h.Topic]++
		if b.messages[other].Seq > h.Seq {
			return
		}
		b.messages[other].Topic = "" // see compact
	}
	b.fold.put(len(b.messages))
	b.messages, b.due = append(b.messages, h.Message), append(b.due, due)
}

// compact takes the messages out that a newer one has replaced.
func (b *batch) compact() {
	kept := 0
	for i := range b.messages {
		if b.messages[i].Topic == "" {
			continue
		}
		if kept != i {
			b.messages[kept], b.due[kept] = b.messages[i], b.due[i]
		}
		kept++
	}
	clear(b.messages[kept:])
	b.messages, b.due = b.messages[:kept], b.due[:kept]
}

// fold finds messages about the same row among those since the last wall.
type fold struct {
	seed maphash.Seed
	rows map[uint64]int // by hash, the place of the newest in the batch
	from int            // what lies before is of another partition, or behind a wall
	hash uint64         // of the message that find was asked about last
	last int            // messages so far
}

func (f *fold) reset() {
	clear(f.rows)
	f.from, f.last = 0, 0
}

// begin starts a partition, whose rows are its own.
func (f *fold) begin() { f.from = f.last }

// wall lets nothing collapse with what lies before.
func (f *fold) wall() { f.from = f.last }

// find returns the place of a message about the same row.
func (f *fold) find(messages []kafkasync.Message, m *kafkasync.Message) (int, bool) {
	f.hash = maphash.Bytes(f.seed, m.Key) ^ 31*maphash.Bytes(f.seed, m.Value)
	at, ok := f.rows[f.hash]
	if !ok || at < f.from || m.Value == nil { // a tombstone never collapses
		return 0, false
	}
	o := &messages[at]
	same := o.Pipeline == m.Pipeline && o.Table == m.Table && bytes.Equal(o.Key, m.Key) && bytes.Equal(o.Value, m.Value)
	return at, same && o.Value != nil
}

// put says where the message that find was asked about is.
func (f *fold) put(at int) {
	f.rows[f.hash] = at
	f.last = at + 1
}
