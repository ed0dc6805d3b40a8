package raftstate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
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
		l, err := n.take(ctx, t, pipeline)
		switch {
		case err == nil && n.begin(t):
			return under(ctx, t, l, fn)
		case err != nil && !errors.Is(err, ErrLeadershipLost):
			return fmt.Errorf("taking the lease of pipeline %q: %w", pipeline, err)
		}
		// The library knows before follow does. Wait for it, or this loop would spin. After a
		// hand-over that failed it goes on refusing for a moment, in a term that has begun and does not end.
		select {
		case <-t.ended:
		case <-ctx.Done():
		case <-time.After(n.cfg.ElectionTimeout / 2):
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

// begin counts a holder in, unless the term is over.
func (n *Node) begin(t *term) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.term != t {
		return false
	}
	t.holders.Add(1)
	return true
}

// take applies a grant. What is committed must be applied first: a cluster that
// has its identity already must not be given another.
func (n *Node) take(ctx context.Context, t *term, pipeline string) (*Lease, error) {
	applied := n.machine.record(pipeline) // only for a planted bug
	if err := n.barrier(ctx); err != nil {
		return nil, err
	}
	if n.machine.clusterID() == "" {
		if err := n.nameCluster(ctx, t); err != nil {
			return nil, err
		}
	}
	r, err := n.propose(ctx, grant{pipeline: pipeline, holder: n.cfg.ID, micros: time.Now().UnixMicro()})
	if err != nil {
		return nil, err
	}
	if plantedSkipBarrier {
		r.position = applied.position
	}
	return newLease(n, pipeline, r), nil
}

// nameCluster gives the cluster its identity, with which its first lease comes, once it
// is formed: a lease of a node that is the only voter yet would be lost with that one's disk.
func (n *Node) nameCluster(ctx context.Context, t *term) error {
	for {
		r, err := n.leadingRaft()
		if err != nil {
			return err
		}
		voters, members := 0, r.GetConfiguration().Configuration().Servers
		for _, m := range members {
			if m.Suffrage == raft.Voter {
				voters++
			}
		}
		if voters > len(members)/2 {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.ended:
			return t.cause
		case <-time.After(stewardEvery):
		}
	}
	// Its entry comes after the one that made them voters, so a quorum of these has to store it.
	if _, err := n.propose(ctx, identify{clusterID: n.clusterOf()}); err != nil {
		return fmt.Errorf("naming the cluster: %w", err)
	}
	return nil
}

// under calls fn with a context that ends with the term.
func under(ctx context.Context, t *term, l *Lease, fn func(context.Context, *Lease) error) error {
	held, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	defer func() {
		cancel(nil)
		<-watched
		t.holders.Done()
	}()
	go func() {
		defer close(watched)
		select {
		case <-t.ended:
			if plantedDeposedCommits && errors.Is(t.cause, ErrLeadershipLost) {
				<-held.Done()
			}
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
