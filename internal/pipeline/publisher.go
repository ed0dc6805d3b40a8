package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
)

// publisher makes batches durable, one after the other.
type publisher struct {
	router Router
	sink   sink.Sink
	lease  Ceiling
	acked  *progress
	status *Status
	seq    *sequence
	twins  *promises

	msgs []kafkasync.Message
	buf  route.Buffer
}

// run publishes until full is closed, ctx ends, or something fails. Once ctx
// has ended it begins no batch; the one in flight lasts as long as flight.
func (p *publisher) run(ctx, flight context.Context, full <-chan *source.Batch, free chan<- *source.Batch) error {
	for b := range full {
		if err := p.publish(ctx, flight, b); err != nil {
			return err
		}
		free <- b // never blocks: it holds all the batches that there are
	}
	return nil
}

func (p *publisher) publish(ctx, flight context.Context, b *source.Batch) error {
	if err := p.route(b); err != nil {
		return err
	}
	began := time.Now()
	if err := p.twins.make(ctx, p.msgs); err != nil {
		return err
	}
	if len(p.msgs) > 0 {
		if err := p.seq.stamp(ctx, p.lease, p.msgs, began); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // the lease, before each publish
		return context.Cause(ctx)
	}
	if len(p.msgs) > 0 {
		if err := p.sink.Publish(flight, p.msgs); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	// A batch that holds nothing for Kafka waits for its turn as well: its
	// position says that all before it is durable.
	if b.Pos != "" {
		p.acked.set(b.Pos)
	}
	now := time.Now()
	p.status.publishedBatch(b, p.msgs, now.Sub(began), now)
	return nil
}

func (p *publisher) route(b *source.Batch) error {
	p.buf.Reset()
	p.msgs = p.msgs[:0]
	var err error
	for i := range b.Changes {
		c := &b.Changes[i]
		if p.msgs, err = p.router.Append(p.msgs, &p.buf, c); err != nil {
			return fmt.Errorf("routing a change of %s at %s: %w", c.Table.Name, c.Place, err)
		}
	}
	return nil
}
