package node

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

// orderLimit bounds an order, from its arrival to its answer. The run that it interrupts may take
// 7 s of it to end; HTTP cuts an answer off at 30 s.
const orderLimit = 25 * time.Second

var (
	errOrdered = errors.New("an operator's order is carried out")
	errBusy    = errors.New("another order for this pipeline is being carried out")
	errLate    = fmt.Errorf("the order took longer than %s; look at 'kafkasync status' for how far it came", orderLimit)
)

// order is something to be done to a pipeline under its lease, while it does not run.
type order struct {
	do       func(ctx context.Context, l *raftstate.Lease) error
	after    error // if set: once it is done, the pipeline does not run again, and this says why
	deadline time.Time
	done     chan error // gets one value once the order has been received
}

// carryOut does it under a lease that hold gets.
func (o *order) carryOut(ctx context.Context, name string,
	hold func(context.Context, string, func(context.Context, *raftstate.Lease) error) error,
) error {
	ctx, cancel := context.WithDeadlineCause(ctx, o.deadline, errLate)
	defer cancel()
	err := hold(ctx, name, o.do)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err) // libraries say "deadline exceeded"
	}
	return err
}

// orders is how orders come to a supervisor: one at a time.
type orders struct {
	busy  atomic.Bool
	queue chan *order
	ended chan struct{} // closed when nobody receives any more
}

func newOrders() *orders { return &orders{queue: make(chan *order), ended: make(chan struct{})} }

// give hands an order over and returns what came of it. Once it has been received it is
// carried out, also if ctx ends: half of it would be worse than all.
func (o *orders) give(ctx context.Context, do func(context.Context, *raftstate.Lease) error, after error) error {
	if !o.busy.CompareAndSwap(false, true) {
		return errBusy
	}
	defer o.busy.Store(false)
	ctx, cancel := context.WithTimeoutCause(ctx, orderLimit, errLate)
	defer cancel()
	deadline, _ := ctx.Deadline()
	given := &order{do: do, after: after, deadline: deadline, done: make(chan error, 1)}
	select {
	case o.queue <- given:
		return <-given.done
	case <-o.ended:
		return raftstate.ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// next waits for an order, and returns nil when ctx has ended or the pause is over.
func (o *orders) next(ctx context.Context, over <-chan time.Time) *order {
	select {
	case next := <-o.queue:
		return next
	case <-over:
	case <-ctx.Done():
	}
	return nil
}

func (o *orders) close() { close(o.ended) }
