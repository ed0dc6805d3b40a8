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
	marks  map[int64]mark // by offset: messages that failed by themselves
	next   int64          // behind its last record
}

// mark is how often a message failed by itself, and why the last time.
type mark struct {
	times int
	err   error
}

// broken is a record that cannot be read. It is not handed over, and not passed over either.
type broken struct {
	message kafkasync.Message
	headers []kafkasync.Header // as they were
	err     error
}

// add takes a record.
func (b *batch) add(d *decoder, r *broker.Record) {
	m, err := d.message(r)
	if err != nil {
		err = fmt.Errorf("reading the record at offset %d of partition %d of topic %s: %w", r.Offset, d.partition, d.topic, err)
		b.broken = append(b.broken, broken{m, d.headers(r), err})
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
