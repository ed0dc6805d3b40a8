package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
)

// Pairs is how the cluster learns which topics carry which delays. Who re-sends them subscribes to nothing else.
type Pairs interface {
	// Use returns once a quorum knows the pair.
	Use(ctx context.Context, pair kafkasync.Pair) error
}

// promises makes sure that the cluster knows a pair before the first message that
// carries it is published: one that is acknowledged is the promise of its twin. What
// an earlier run told the cluster is told again once: the topic may be another one by now.
type promises struct {
	sink  sink.Sink
	pairs Pairs

	last promise // neighbours are mostly of one topic
	made map[promise]bool
}

type promise struct {
	topic string
	delay time.Duration
}

// make makes those that the messages need.
func (p *promises) make(ctx context.Context, msgs []kafkasync.Message) error {
	for i := range msgs {
		m := &msgs[i]
		if m.Delay == 0 || m.Delay == p.last.delay && m.Topic == p.last.topic {
			continue
		}
		one := promise{m.Topic, m.Delay}
		if !p.made[one] {
			if err := p.tell(ctx, one); err != nil {
				return fmt.Errorf("making known that topic %s carries the delay %s: %w", one.topic, one.delay, err)
			}
			p.made[one] = true
		}
		p.last = one
	}
	return nil
}

func (p *promises) tell(ctx context.Context, one promise) error {
	pair := kafkasync.Pair{Topic: one.topic, Delay: one.delay}
	if locator, ok := p.sink.(sink.Locator); ok {
		var err error
		if pair, err = locator.Locate(ctx, one.topic, one.delay); err != nil {
			return err
		}
	}
	return p.pairs.Use(ctx, pair)
}
