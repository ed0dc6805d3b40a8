package consumer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer/internal/broker"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// place names a partition.
type place struct {
	topic  string
	number int32
}

// partition is an assigned partition. While it has a worker, that one takes its records; else the member does. Where
// both may meet, mu is between them.
type partition struct {
	place place
	note  note

	done atomic.Int64 // offset before which nothing is left to do
	told int64        // the offset that the group was last told; -1: none

	busy   bool                    // it has a worker
	cancel context.CancelCauseFunc // of the handler's context, while it has one
	stop   chan struct{}           // closed: the worker is to end after what it is doing
	left   bool                    // stop is closed

	mu     sync.Mutex
	feed   broker.Feed // nil: it has been closed
	most   int         // records of a batch
	size   int         // bytes of a batch
	closed error       // why nothing can be taken any more
	decode decoder
	fold   *fold
	room   []kafkasync.Message // of the batch that is at work: one after the other uses it
}

// take returns the next batch, nil if there is none: nothing has arrived, or the partition is to be left, or it
// cannot be read (then trouble says why).
func (p *partition) take() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.feed == nil || p.closed != nil {
		return nil
	}
	select {
	case <-p.stop:
		return nil
	default:
	}
	b := batch{todo: p.room[:0]}
	err := p.feed.Take(p.most, p.size, func(r *broker.Record) { b.add(&p.decode, r) })
	switch {
	case err == nil || isPassing(err): // librdkafka goes on
	default:
		p.closed = err
	}
	if b.next == 0 {
		return nil
	}
	p.room = b.todo
	b.todo = p.fold.compact(b.todo)
	return &b
}

// trouble is why nothing can be taken any more; nil if it can.
func (p *partition) trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// limit says how large a batch may be.
func (p *partition) limit(most, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most, p.size, p.room = most, size, nil
}

// leave lets the worker end after what it is doing.
func (p *partition) leave() {
	if !p.left {
		p.left = true
		close(p.stop)
	}
}

// close gives the records up. A worker that is still in a handler takes nothing any more.
func (p *partition) close() {
	p.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.feed != nil {
		p.feed.Close()
		p.feed = nil
	}
}

// at is what is to be committed.
func (p *partition) at() rdkafka.Place {
	return rdkafka.Place{Topic: p.place.topic, Partition: p.place.number, Offset: p.done.Load(), Metadata: p.note.String()}
}

// worker hands batches to the handler.
type worker struct {
	cfg     *Config
	handler Handler
	status  *status
	ended   chan<- *partition
	over    <-chan struct{} // closed: nobody takes from ended any more
	wake    func()
	letters broker.Sender // nil: there is no dead-letter topic
}

// run works on a partition as long as there is something to do.
func (w *worker) run(ctx context.Context, p *partition, b *batch) {
	for ; b != nil; b = p.take() {
		if !w.finish(ctx, p, b) {
			break
		}
	}
	select {
	case w.ended <- p:
		w.wake()
	case <-w.over:
	}
}

// finish hands a batch over until it is done, and reports whether it is: else the partition is to be left.
func (w *worker) finish(ctx context.Context, p *partition, b *batch) bool {
	for n := 1; ; n++ {
		err := w.attempt(ctx, b)
		if err != nil && w.letters != nil {
			err = w.bury(ctx, b, err)
		}
		p.done.Store(b.done())
		if err == nil {
			w.status.succeeded(p)
			return true
		}
		wait := backoff(n, w.cfg.RetryMin, w.cfg.RetryMax)
		w.status.failed(p, n, err)
		w.cfg.Logger.WarnContext(ctx, "handling messages failed", "consumer", w.cfg.Name, "topic", p.place.topic, "partition", p.place.number,
			"offset", b.done(), "attempt", n, "again_in", wait.String(), "err", err)
		if !pause(p.stop, wait) {
			return false
		}
	}
}

// attempt hands over what is left of a batch, and says why something is still left.
func (w *worker) attempt(ctx context.Context, b *batch) error {
	var err error
	if len(b.todo) > 0 {
		if err = w.handler.Handle(ctx, handed(b.todo)); err == nil {
			clear(b.todo) // its room is used again
			b.todo = nil
		} else {
			err = b.keepFailed(err)
		}
	}
	for i := range b.broken {
		err = errors.Join(err, b.broken[i].err)
	}
	return err
}

// handed is a copy of the slice, which the handler may sort and change.
func handed(messages []kafkasync.Message) []kafkasync.Message {
	return append([]kafkasync.Message{}, messages...)
}
