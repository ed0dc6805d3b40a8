package raftstate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkasync/kafkasync/source"
)

// Lease is the right to run a pipeline, under one epoch. It may be used after
// its context has ended, to commit what became durable meanwhile; once another
// lease has been granted, everything it tries fails with ErrFenced. Its methods
// may run beside one another, except that Commit is for one goroutine.
type Lease struct {
	node     *Node
	pipeline string
	epoch    uint64
	floor    int64
	declared bool

	mu       sync.Mutex
	covered  []source.Coverage
	position source.Position
	intact   source.Position // goes with the next commit
	n, known uint64          // numbers of the last commit begun, and of the last known to be stored
	ceiling  int64
}

func newLease(n *Node, pipeline string, r record) *Lease {
	return &Lease{
		node:     n,
		pipeline: pipeline,
		epoch:    r.epoch,
		floor:    r.ceiling,
		declared: r.declared,
		covered:  r.covered,
		position: r.position,
		intact:   r.intact,
		n:        r.n,
		known:    r.n,
		ceiling:  r.ceiling,
	}
}

// Position is where the last commit of any lease left the pipeline; "" before the first.
func (l *Lease) Position() source.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position
}

// Epoch counts the grants of the pipeline's lease; the first is 1.
func (l *Lease) Epoch() uint64 { return l.epoch }

// Declared reports whether an earlier lease declared the server. Declare does not change it.
func (l *Lease) Declared() bool { return l.declared }

// Floor is the first sequence number of this lease: no earlier one used it or a higher one.
func (l *Lease) Floor() int64 { return l.floor }

// Ceiling is the first sequence number that may not be used yet. It starts at Floor.
func (l *Lease) Ceiling() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ceiling
}

// Commit returns once a quorum has stored p. Committing the last position again
// does nothing. After an error p may or may not have been stored.
func (l *Lease) Commit(ctx context.Context, p source.Position) error {
	if p == "" {
		return errors.New("committing an empty position")
	}
	l.mu.Lock()
	if p == l.position && l.n == l.known {
		l.mu.Unlock()
		return nil
	}
	l.n++
	c := commit{pipeline: l.pipeline, epoch: l.epoch, n: l.n, position: p, intact: l.intact}
	l.mu.Unlock()

	begun := time.Now()
	_, err := l.node.propose(ctx, c)
	if err != nil && plantedDeposedCommits {
		c, err = l.insist(ctx, c, err)
	}
	if err != nil {
		return fmt.Errorf("committing the position of pipeline %q: %w", l.pipeline, err)
	}
	l.node.cfg.Observe(time.Since(begun))

	l.mu.Lock()
	defer l.mu.Unlock()
	l.position, l.known = p, c.n
	return nil
}

// Declare returns once a quorum knows that the server is about to be prepared.
func (l *Lease) Declare(ctx context.Context) error {
	if _, err := l.node.propose(ctx, declare{pipeline: l.pipeline, epoch: l.epoch}); err != nil {
		return fmt.Errorf("declaring the server of pipeline %q: %w", l.pipeline, err)
	}
	return nil
}

// Raise returns once a quorum has stored the ceiling. A ceiling that is not higher does nothing.
func (l *Lease) Raise(ctx context.Context, ceiling int64) error {
	if ceiling <= l.Ceiling() {
		return nil
	}
	r, err := l.node.propose(ctx, raise{pipeline: l.pipeline, epoch: l.epoch, ceiling: ceiling})
	if err != nil {
		return fmt.Errorf("raising the ceiling of pipeline %q to %d: %w", l.pipeline, ceiling, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ceiling = max(l.ceiling, r.ceiling)
	return nil
}
