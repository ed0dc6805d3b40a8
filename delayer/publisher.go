package delayer

import (
	"context"
	"fmt"

	"github.com/kafkasync/kafkasync/sink"
)

// publisher makes batches durable, one after the other, beside the member.
type publisher struct {
	sink sink.Sink
	wake func()
}

// run publishes what comes until batches is closed or publishing fails; then it says why. What is in
// flight lasts as long as flight does.
func (p *publisher) run(flight context.Context, batches <-chan *batch, landed chan<- *batch) error {
	defer p.wake()
	defer close(landed)
	for b := range batches {
		if err := p.sink.Publish(flight, b.messages); err != nil {
			return fmt.Errorf("re-sending what is due: %w", err)
		}
		landed <- b // never blocks: it holds the only batch there is
		p.wake()
	}
	return nil
}
