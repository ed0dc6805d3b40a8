package raftstate

import (
	"context"
	"errors"
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
	raft    *raft.Raft          // set while Run has it open
	term    *term               // set while this node leads
	changed chan struct{}       // closed, and replaced, when phase or term changes
	held    map[string]struct{} // pipelines that a Hold waits for or has

	holds    sync.WaitGroup // Holds under way
	inflight sync.WaitGroup // operations that the library has not answered yet
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
	ended chan struct{}
	cause error // set before ended is closed
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
	}, nil
}

// Run opens the node's folder, forms the cluster if it is empty, and takes part
// until ctx ends. It then ends the contexts of all holders, waits for them
// (they may still commit), hands leadership over if there is another node, and
// closes. It returns nil after ctx ended, and may be called once.
func (n *Node) Run(ctx context.Context) (err error) {
	if !n.advance(idle, opening) {
		return errors.New("running a node that has run already")
	}
	defer n.advance(opening, closed) // what remains if opening fails
	s, err := openStore(n.cfg)
	if err != nil {
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	transport, err := n.cfg.transport()
	if err != nil {
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, err)
	}
	r, err := n.start(s, transport)
	if err != nil {
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, errors.Join(err, closeTransport(transport)))
	}
	defer func() { err = errors.Join(err, n.shutdown(r)) }()
	n.mu.Lock()
	n.raft = r
	n.mu.Unlock()
	n.advance(opening, open)
	n.electLone(r, transport)
	return n.follow(ctx, r.LeaderCh())
}

func (n *Node) start(s *store, transport raft.Transport) (*raft.Raft, error) {
	rc := n.cfg.raftConfig()
	if err := s.form(rc, transport, n.cfg.voters(transport)); err != nil {
		return nil, err
	}
	var r *raft.Raft
	err := s.guard(func() (err error) {
		r, err = raft.NewRaft(rc, n.machine, s.log, s.log, s.snaps, transport)
		if err != nil {
			err = s.damaged(err)
		}
		return err
	})
	return r, err
}

// electLone makes the only voter of a cluster leader at once. It would
// otherwise wait out an election timeout for a leader that cannot exist.
func (n *Node) electLone(r *raft.Raft, transport raft.Transport) {
	servers := r.GetConfiguration().Configuration().Servers
	if len(servers) != 1 || servers[0].ID != raft.ServerID(n.cfg.ID) || servers[0].Suffrage != raft.Voter {
		return
	}
	// TimeoutNow is how a leader that hands over asks its successor to stand.
	id, self := raft.ServerID(n.cfg.ID), transport.LocalAddr()
	ask := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: transport.EncodePeer(id, self),
	}}
	if err := transport.TimeoutNow(id, self, ask, &raft.TimeoutNowResponse{}); err != nil {
		n.cfg.Logger.Debug("standing for election later", "err", err)
	}
}

// follow keeps n.term in step with leadership until ctx ends or the machine
// stands still. The channel holds only the newest value: if this node lost
// leadership and won it back between two reads, the second true comes without a
// false. Every value therefore ends the term before it.
func (n *Node) follow(ctx context.Context, leads <-chan bool) error {
	for {
		select {
		case <-ctx.Done():
			n.setTerm(nil, ErrStopped)
			return nil
		case <-n.machine.broken:
			err := n.machine.failure()
			n.setTerm(nil, err)
			return fmt.Errorf("running node %q: %w", n.cfg.ID, err)
		case leading := <-leads:
			var t *term
			if leading {
				t = &term{ended: make(chan struct{})}
			}
			n.setTerm(t, ErrLeadershipLost)
		}
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

// shutdown ends everything in the order in which it depends on one another.
func (n *Node) shutdown(r *raft.Raft) error {
	n.advance(open, closing)
	n.holds.Wait()
	if r.State() == raft.Leader && len(r.GetConfiguration().Configuration().Servers) > 1 {
		if err := r.LeadershipTransfer().Error(); err != nil {
			n.cfg.Logger.Info("leaving without handing leadership over", "err", err)
		}
	}
	n.advance(closing, closed)
	// The library does not answer what is under way when it is shut down, so that a waiting
	// goroutine would stay for ever. It does answer as long as it runs.
	n.inflight.Wait()
	if err := r.Shutdown().Error(); err != nil {
		return fmt.Errorf("closing node %q: %w", n.cfg.ID, err)
	}
	return nil
}
