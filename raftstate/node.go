package raftstate

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
)

// Node is one member of the cluster. Its methods may be called from any
// goroutine, and at any time: before Run has opened and after it has ended they say so.
type Node struct {
	cfg     Config
	machine *machine

	mu      sync.Mutex
	phase   phase
	store   *store              // set while Run has it open
	wire    *wire               // the same; nil for a lone node without an address
	raft    *raft.Raft          // set once this node takes part
	term    *term               // set while this node leads
	changed chan struct{}       // closed, and replaced, when phase or term changes
	held    map[string]struct{} // pipelines that a Hold waits for or has
	waiting string              // for what, in words, while this node cannot take part; else ""

	admit     sync.Once
	admitted  chan struct{} // closed when a leader has reached this node, which was empty
	broke     chan error    // gets why Run has to end
	handovers chan handover // for follow
	followed  chan struct{} // closed when follow has ended

	membership sync.Mutex     // held while this node, leading, changes who is a member
	holds      sync.WaitGroup // Holds under way
	inflight   sync.WaitGroup // operations that the library has not answered yet
	tasks      sync.WaitGroup // what runs beside follow
}

// phase is how far Run is.
type phase int

const (
	idle    phase = iota // Run has not been called
	opening              // Holds wait
	open                 // Raft runs
	closing              // no new Hold is accepted; those that exist may still commit
	closed               // nothing is accepted
)

// term is one uninterrupted time of leading.
type term struct {
	ended   chan struct{}
	cause   error          // set before ended is closed
	holders sync.WaitGroup // calls under a lease of this term
}

func (t *term) over() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

// New checks the configuration; it touches neither disk nor network.
func New(cfg Config) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring node %q: %w", cfg.ID, err)
	}
	return &Node{
		cfg:     cfg.withDefaults(),
		machine: newMachine(),
		changed: make(chan struct{}),
		held:    map[string]struct{}{},

		admitted:  make(chan struct{}),
		broke:     make(chan error, 1),
		handovers: make(chan handover),
		followed:  make(chan struct{}),
	}, nil
}

// follow keeps n.term in step with leadership until ctx ends or the machine
// stands still. The channel holds only the newest value: if this node lost
// leadership and won it back between two reads, the second true comes without a
// false. Every value therefore ends the term before it.
func (n *Node) follow(ctx context.Context, leads <-chan bool) error {
	defer close(n.followed)
	for {
		select {
		case <-ctx.Done():
			n.setTerm(nil, ErrStopped)
			return nil
		case <-n.machine.broken:
			err := n.machine.failure()
			n.setTerm(nil, err)
			return fmt.Errorf("running node %q: %w", n.cfg.ID, err)
		case err := <-n.broke:
			n.setTerm(nil, err)
			return fmt.Errorf("running node %q: %w", n.cfg.ID, err)
		case h := <-n.handovers:
			h.done <- n.transfer(ctx, h)
		case leading := <-leads:
			if leading {
				n.lead(ctx)
			} else {
				n.setTerm(nil, ErrLeadershipLost)
			}
		}
	}
}

// lead begins a term.
func (n *Node) lead(ctx context.Context) {
	t := &term{ended: make(chan struct{})}
	n.setTerm(t, ErrLeadershipLost)
	n.mu.Lock()
	r, w := n.raft, n.wire
	n.mu.Unlock()
	if w != nil {
		n.tasks.Go(func() { n.steward(context.WithoutCancel(ctx), t, r) })
	}
}

// setTerm replaces the current term, which ends for the cause given.
func (n *Node) setTerm(t *term, cause error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.term != nil {
		n.term.cause = cause
		close(n.term.ended)
	}
	n.term = t
	n.announce()
}

// advance moves the node from one phase to another, unless it is in neither.
func (n *Node) advance(from, to phase) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.phase != from {
		return false
	}
	n.phase = to
	n.announce()
	return true
}

// announce wakes whoever waits for a change. n.mu is held.
func (n *Node) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// member is what the membership calls this node.
func (n *Node) member() raft.ServerID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return serverID(n.cfg.ID, n.store.incarnation)
}

// place is where it is for the membership.
func (n *Node) place() raft.ServerAddress {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wire == nil {
		return serverAddress(n.cfg.ID, n.store.incarnation)
	}
	return n.wire.self
}

// address is where the others reach this node.
func (n *Node) address() string {
	address, _ := placeOf(n.place())
	return address
}

// wait notes, and tells an operator, for what this node waits; "" if for nothing.
func (n *Node) wait(what string) {
	n.mu.Lock()
	changed := n.waiting != what
	n.waiting = what
	n.mu.Unlock()
	if changed && what != "" {
		n.cfg.Logger.Info("this node takes no part yet", "reason", what)
	}
}
