package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// committer moves the checkpoint up to what is acknowledged, and then lets the
// database forget its log. Positions cannot be compared: their order is that of arrival.
type committer struct {
	every  time.Duration
	lease  Checkpoint
	stream source.Stream
	acked  *progress
	status *Status

	committed, confirmed source.Position
}

// run commits until ctx ends or a commit fails.
func (c *committer) run(ctx context.Context) error {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := c.checkpoint(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// checkpoint commits the newest acknowledged position, if it is a new one, and
// confirms what is committed.
func (c *committer) checkpoint(ctx context.Context) error {
	if newest := c.acked.newest(); newest != "" && newest != c.committed {
		if err := c.lease.Commit(ctx, newest); err != nil {
			return fmt.Errorf("committing the position: %w", err)
		}
		c.committed = newest
		c.status.committed(newest)
	}
	if c.confirmed != c.committed {
		if err := c.stream.Confirm(ctx, c.committed); err != nil {
			return fmt.Errorf("confirming to the source: %w", err)
		}
		c.confirmed = c.committed
	}
	return nil
}
