package raftstate

import (
	"context"
	"fmt"
	"slices"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// Cluster is the cluster's id.
func (l *Lease) Cluster() string { return l.node.machine.clusterID() }

// Covered lists what the pipeline covers. The list is the caller's.
func (l *Lease) Covered() []source.Coverage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.covered)
}

// Cover returns once a quorum has stored, in one step, what is covered and which gaps there are more.
func (l *Lease) Cover(ctx context.Context, covered []source.Coverage, gaps []source.Gap) error {
	covered = slices.Clone(covered) // it becomes part of the state
	r, err := l.node.propose(ctx, cover{pipeline: l.pipeline, epoch: l.epoch, covered: covered, gaps: slices.Clone(gaps)})
	if err != nil {
		return fmt.Errorf("storing what pipeline %q covers: %w", l.pipeline, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.covered = r.covered
	return nil
}

// Use returns once a quorum knows that messages of the pair's topic may carry its delay, as
// it must before the first one does. A pair that is known already keeps its first ends, unless its
// topic is another one by now. Name comes first: a pair that nobody names may be
// released while it is put to use.
func (l *Lease) Use(ctx context.Context, p kafkasync.Pair) error {
	if _, err := l.node.propose(ctx, use{pipeline: l.pipeline, epoch: l.epoch, pair: p}); err != nil {
		return fmt.Errorf("storing that pipeline %q uses topic %q with delay %s: %w", l.pipeline, p.Topic, p.Delay, err)
	}
	return nil
}

// Intact is where a run last found everything that is covered in order; "" if that is not known.
func (l *Lease) Intact() source.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.intact
}

// SetIntact says where that is now. The cluster knows it from the next Commit of another position on.
func (l *Lease) SetIntact(p source.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intact = p
}

// Verify returns nil if, when it was called, this node led the cluster and no newer
// lease of the pipeline had been granted. It asks a quorum.
func (l *Lease) Verify(ctx context.Context) error {
	// Leading is not enough: a node that lost leadership, while another granted a lease, and won it
	// back leads before it has applied that grant. The barrier's own entry comes after all of them.
	if err := l.node.barrier(ctx); err != nil {
		return fmt.Errorf("verifying the lease of pipeline %q: %w", l.pipeline, err)
	}
	if current := l.node.machine.epoch(l.pipeline); current != l.epoch {
		return fmt.Errorf("epoch %d of pipeline %q, which is at %d: %w", l.epoch, l.pipeline, current, ErrFenced)
	}
	return nil
}

// Skip gives up what lies between the pipeline's position and p: each covered
// table gets a gap with the cause. p is the next position; if it is "", the source has to be
// prepared again, and the gaps end where it then begins. The lease is of no
// further use but to begin a run.
func (l *Lease) Skip(ctx context.Context, p source.Position, cause string) error {
	l.SetIntact("") // as the cluster does: no later commit may bring it back
	if _, err := l.node.propose(ctx, skip{pipeline: l.pipeline, epoch: l.epoch, position: p, cause: cause}); err != nil {
		return fmt.Errorf("giving up changes of pipeline %q: %w", l.pipeline, err)
	}
	return nil
}

// Drop forgets all that is known of the pipeline, but for what keeps its epochs
// and sequence numbers growing should it begin anew. The lease is of no further use.
func (l *Lease) Drop(ctx context.Context) error {
	l.SetIntact("")
	if _, err := l.node.propose(ctx, drop{pipeline: l.pipeline, epoch: l.epoch}); err != nil {
		return fmt.Errorf("dropping pipeline %q: %w", l.pipeline, err)
	}
	return nil
}
