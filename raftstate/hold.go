package raftstate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// Hold waits until this node leads, takes the pipeline's lease, calls fn under
// it and returns what fn returns. fn's context ends when ctx ends, when this
// node stops leading (context.Cause is ErrLeadershipLost) or when Run is ending
// (ErrStopped); fn must then return, and may commit what is durable before it does.
//
// Every call has an epoch of its own. While one is under way, another for the
// same pipeline fails with ErrHeld.
func (n *Node) Hold(ctx context.Context, pipeline string, fn func(ctx context.Context, l *Lease) error) error {
	if pipeline == "" {
		return errors.New("holding a pipeline without a name")
	}
	leave, err := n.reserve(pipeline)
	if err != nil {
		return fmt.Errorf("holding pipeline %q: %w", pipeline, err)
	}
	defer leave()
	for {
		t, err := n.leading(ctx)
		if err != nil {
			return fmt.Errorf("waiting for the lease of pipeline %q: %w", pipeline, err)
		}
		l, err := n.take(ctx, pipeline)
		switch {
		case err == nil && !t.over():
			return under(ctx, t, l, fn)
		case err != nil && !errors.Is(err, ErrLeadershipLost):
			return fmt.Errorf("taking the lease of pipeline %q: %w", pipeline, err)
		}
		// The library knows before follow does. Wait for it, or this loop would spin.
		select {
		case <-t.ended:
		case <-ctx.Done():
		}
	}
}

// reserve lets one Hold of a pipeline in.
func (n *Node) reserve(pipeline string) (leave func(), err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase >= closing {
		return nil, ErrStopped
	}
	if _, ok := n.held[pipeline]; ok {
		return nil, ErrHeld
	}
	n.held[pipeline] = struct{}{}
	n.holds.Add(1)
	return func() {
		n.mu.Lock()
		delete(n.held, pipeline)
		n.mu.Unlock()
		n.holds.Done()
	}, nil
}

// leading waits for a term of this node.
func (n *Node) leading(ctx context.Context) (*term, error) {
	for {
		n.mu.Lock()
		phase, t, changed := n.phase, n.term, n.changed
		n.mu.Unlock()
		if phase >= closing {
			return nil, ErrStopped
		}
		if ctx.Err() == nil && t != nil {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
		}
	}
}

// take applies a grant. What is committed must be applied first: a cluster that
// has its identity already must not be given another.
func (n *Node) take(ctx context.Context, pipeline string) (*Lease, error) {
	if err := n.barrier(ctx); err != nil {
		return nil, err
	}
	if n.machine.clusterID() == "" {
		if _, err := n.propose(ctx, identify{clusterID: newUUID()}); err != nil {
			return nil, fmt.Errorf("naming the cluster: %w", err)
		}
	}
	r, err := n.propose(ctx, grant{pipeline: pipeline, holder: n.cfg.ID, micros: time.Now().UnixMicro()})
	if err != nil {
		return nil, err
	}
	return newLease(n, pipeline, r), nil
}

// under calls fn with a context that ends with the term.
func under(ctx context.Context, t *term, l *Lease, fn func(context.Context, *Lease) error) error {
	held, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	defer func() {
		cancel(nil)
		<-watched
	}()
	go func() {
		defer close(watched)
		select {
		case <-t.ended:
			cancel(t.cause)
		case <-held.Done():
		}
	}()
	return fn(held, l)
}

// newUUID returns a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
