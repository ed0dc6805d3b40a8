package raftstate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// propose returns the pipeline's record once a quorum has stored c and this
// node has applied it. If ctx ends first, or leadership is lost, c may still be stored.
func (n *Node) propose(ctx context.Context, c command) (record, error) {
	data := encode(c)
	f, err := n.await(ctx, func(r *raft.Raft) raft.Future { return r.Apply(data, 0) })
	if err != nil {
		return record{}, err
	}
	applied, ok := f.(raft.ApplyFuture)
	if !ok {
		return record{}, fmt.Errorf("applying command %d: got a %T", c.kind(), f)
	}
	out, ok := applied.Response().(outcome)
	if !ok {
		return record{}, fmt.Errorf("applying command %d: got a %T", c.kind(), applied.Response())
	}
	return out.record, out.err
}

// barrier returns once this node has applied all that was committed before it led.
func (n *Node) barrier(ctx context.Context) error {
	_, err := n.await(ctx, func(r *raft.Raft) raft.Future { return r.Barrier(0) })
	return err
}

// await starts an operation and waits for its end. The library's futures know
// no context, so a goroutine waits for them; a node that leads gets its answer
// from the quorum, one that lost it is told so within the lease timeout.
func (n *Node) await(ctx context.Context, start func(*raft.Raft) raft.Future) (raft.Future, error) {
	r, err := n.enter()
	if err != nil {
		return nil, err
	}
	type answer struct {
		future raft.Future
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		defer n.inflight.Done()
		f := start(r)
		answered <- answer{f, f.Error()}
	}()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a quorum, which may still store it: %w", context.Cause(ctx))
	case a := <-answered:
		return a.future, translate(a.err)
	}
}

// enter counts an operation in, unless Run has closed.
func (n *Node) enter() (*raft.Raft, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.raft == nil || n.phase == closed {
		return nil, ErrStopped
	}
	n.inflight.Add(1)
	return n.raft, nil
}

// translate names what a caller decides on.
func translate(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrLeadershipLost, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", ErrStopped, err)
	default:
		return err
	}
}
