package node

import (
	"context"
	"errors"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// lookEvery is how often one looks who leads while one waits for an answer.
const lookEvery = 20 * time.Millisecond

// errDeposed says that the node which was asked leads no more.
var errDeposed = errors.New("it leads no more")

// askLeader asks the node that leads, as long as this one takes it for the leader: one that is frozen would never answer.
func (r *report) askLeader(ctx context.Context, leader string) (web.Status, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if r.peers.Status().Leader != leader {
					cancel(errDeposed)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	status, err := ask[web.Status](ctx, r.peers.Ask, askStatus, nil)
	if err != nil && errors.Is(context.Cause(ctx), errDeposed) {
		err = errDeposed
	}
	return status, err
}

// awaitLeader waits until a node leads, and reports whether one does.
func (r *report) awaitLeader(ctx context.Context) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for r.peers.Status().Leader == "" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
