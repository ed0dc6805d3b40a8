package delayer

import (
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
	due      []due // of each message
	of       []*partition
	size     int
	full     bool // the next message goes into another batch

	// probe says that the brokers' clock is not known. One message whose timestamp the broker
	// sets is enough then: its acknowledgement shows it, and the others wait for that.
	probe  bool
	probes bool // such a message is there

	collapsed map[string]uint64 // messages left out, by topic
	fold      fold
}

// due is when a message is due, in milliseconds since 1970 by the clock that counts for it.
type due struct {
	at       int64
	appended bool
}

func newBatch() *batch { return &batch{collapsed: map[string]uint64{}, fold: newFold()} }

func (b *batch) reset(probe bool) {
	clear(b.messages) // they keep the bytes of chunks alive
	clear(b.of)
	b.messages, b.due, b.of, b.size, b.full = b.messages[:0], b.due[:0], b.of[:0], 0, false
	b.probe, b.probes = probe, false
	clear(b.collapsed)
	b.fold.reset()
}

// gather appends what is due of a partition. It stops where the batch is full.
func (b *batch) gather(p *partition, delay int64, now reading) {
	first := len(b.messages)
	b.fold.begin()
	for h, c := p.head(); h != nil; h, c = p.head() {
		due, is := h.due(c.seen, delay, now)
		if !is || !b.add(h, due) {
			break
		}
		p.at++
	}
	if len(b.messages) > first {
		p.flying = true
		b.of = append(b.of, p)
	}
}

// add appends a message, unless it is about the same row as one that is there: then the newer one stays,
// in its place. It reports whether there was room.
func (b *batch) add(h *held, at due) bool {
	size := sizeOf(&h.Message)
	b.full = b.full || b.probes && b.probe || len(b.messages) > 0 && b.size+size > batchBytes
	if b.full {
		return false
	}
	if h.walled {
		b.fold.wall()
	}
	b.size += size
	b.probes = b.probes || h.appended
	if other, ok := b.fold.find(b.messages, &h.Message); ok {
		b.collapsed[h.Topic]++
		if b.messages[other].Seq > h.Seq {
			return true
		}
		b.messages[other].Topic = "" // see compact
	}
	b.fold.put(len(b.messages))
	b.messages, b.due = append(b.messages, h.Message), append(b.due, at)
	return true
}

func sizeOf(m *kafkasync.Message) int {
	size := heldOverhead + len(m.Key) + len(m.Value) + len(m.Pipeline) + len(m.Table) + len(m.Pos)
	for i := range m.Extra {
		size += len(m.Extra[i].Key) + len(m.Extra[i].Value)
	}
	return size
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
