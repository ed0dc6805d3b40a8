package consumer

import (
	"fmt"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
)

// batch is what was taken from a partition at once and is not done.
type batch struct {
	todo   []kafkasync.Message // each row once, in order
	broken []broken
	next   int64 // behind its last record
}

// broken is a record that cannot be read. It is not handed over, and not passed over either.
type broken struct {
	message kafkasync.Message
	err     error
}

// add takes a record.
func (b *batch) add(d *decoder, r *broker.Record) {
	m, err := d.message(r)
	if err != nil {
		b.broken = append(b.broken, broken{m, fmt.Errorf("reading the record at offset %d of partition %d of topic %s: %w", r.Offset, d.partition, d.topic, err)})
	} else {
		b.todo = append(b.todo, m)
	}
	b.next = r.Offset + 1
}

// done is the offset before which nothing is left to do.
func (b *batch) done() int64 {
	done := b.next
	if len(b.todo) > 0 {
		done = b.todo[0].Offset
	}
	if len(b.broken) > 0 {
		done = min(done, b.broken[0].message.Offset)
	}
	return done
}
