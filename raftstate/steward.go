package raftstate

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// stewardEvery is how often a leader looks at its members.
const stewardEvery = 100 * time.Millisecond

// steward does what is a leader's to do for the membership, for as long as it
// leads: it lets members vote that have everything, finishes what an
// earlier leader began, and keeps its own address right.
func (n *Node) steward(ctx context.Context, t *term, r *raft.Raft) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.ended:
			return
		case <-time.After(stewardEvery):
		}
		if err := n.tend(ctx, r); err != nil {
			n.cfg.Logger.Debug("looking after the members", "err", err)
		}
	}
}

// tend takes each step that can be taken now. What fails is tried again by the next round.
func (n *Node) tend(ctx context.Context, r *raft.Raft) error {
	ctx, cancel := context.WithTimeout(ctx, 4*n.cfg.ElectionTimeout)
	defer cancel()
	ready := map[raft.ServerID]bool{} // asked before the lock is taken: one that does not answer must not hold others up
	for _, m := range r.GetConfiguration().Configuration().Servers {
		ready[m.ID] = m.Suffrage != raft.Voter && !isAwaited(m) && n.hasEverything(ctx, r, m)
	}
	n.membership.Lock()
	defer n.membership.Unlock()
	members := r.GetConfiguration().Configuration().Servers
	for _, m := range members {
		last, _ := newest(members, nodeOf(m.ID))
		address := m.Address
		switch {
		case last.ID != m.ID && !isAwaited(last):
			return n.removeOlder(ctx, nodeOf(m.ID), last.ID)
		case m.ID == n.member() && m.Address != n.place():
			address = n.place()
		case last.ID != m.ID || !ready[m.ID]:
			continue
		}
		if err := n.change(ctx, func(r *raft.Raft) raft.Future { return r.AddVoter(m.ID, address, 0, 0) }); err != nil {
			return err
		}
	}
	return nil
}

// hasEverything reports whether a member has what was committed when this was
// called. It would be no fault to let it vote before: the others would only have to wait for it.
func (n *Node) hasEverything(ctx context.Context, r *raft.Raft, m raft.Server) bool {
	committed := r.CommitIndex()
	address, incarnation := placeOf(m.Address)
	w, err := n.askWho(ctx, address)
	return err == nil && w.incarnation == incarnation && w.last >= committed
}
