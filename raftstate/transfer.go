package raftstate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// drainTimeout is how long the holders of a leader that hands over may take to commit what they have.
const drainTimeout = 5 * time.Second

// handover is a wish that the node which leads hands leadership over.
type handover struct {
	to       string // "" for whoever has most
	deadline time.Time
	done     chan error
}

// Transfer makes another node lead: the one with the id, or, if that is "", the
// voter that has received most. The holders of the leader that was are ended first, and may
// commit what is durable; they have not failed, and nothing is published twice.
func (n *Node) Transfer(ctx context.Context, to string) error {
	_, err := n.toLeader(ctx, askTransfer, putString(nil, to), func(*raft.Raft) ([]byte, error) {
		return nil, n.handOver(ctx, to)
	})
	if err != nil {
		return fmt.Errorf("handing leadership over: %w", err)
	}
	return nil
}

// handOver lets follow do it, where terms begin and end.
func (n *Node) handOver(ctx context.Context, to string) error {
	h := handover{to: to, deadline: time.Now().Add(drainTimeout), done: make(chan error, 1)}
	if deadline, ok := ctx.Deadline(); ok {
		h.deadline = deadline
	}
	select {
	case n.handovers <- h:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.followed:
		return ErrStopped
	}
	select {
	case err := <-h.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("which may still happen: %w", context.Cause(ctx))
	}
}

// transfer hands over while this node goes on. The term ends before: what the library refuses while it
// hands over, no holder then asks for.
func (n *Node) transfer(ctx context.Context, h handover) error {
	r, err := n.leadingRaft()
	if err != nil {
		return err
	}
	n.mu.Lock()
	t := n.term
	n.mu.Unlock()
	if t == nil {
		return ErrLeadershipLost
	}
	if h.to == n.cfg.ID {
		return nil
	}
	if m, ok := newest(r.GetConfiguration().Configuration().Servers, h.to); h.to != "" && (!ok || m.Suffrage != raft.Voter) {
		return fmt.Errorf("node %q cannot lead: %w", h.to, errors.Join(ErrNotMember, errors.New("only a member that votes can")))
	}
	n.setTerm(nil, ErrLeadershipLost)
	drained := make(chan struct{})
	go func() {
		t.holders.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
	case <-time.After(time.Until(h.deadline)):
	}
	if err = n.yield(ctx, r, h.to); err != nil && r.State() == raft.Leader {
		n.lead(ctx)
	}
	return err
}

// yield makes one of the voters lead, those first that have received most. One that cannot be reached is not asked.
func (n *Node) yield(ctx context.Context, r *raft.Raft, to string) error {
	var voters []Peer
	servers := map[string]raft.Server{}
	for _, m := range r.GetConfiguration().Configuration().Servers {
		address, _ := placeOf(m.Address)
		if m.Suffrage == raft.Voter && m.ID != n.member() && (to == "" || to == nodeOf(m.ID)) {
			voters = append(voters, Peer{ID: nodeOf(m.ID), Address: address})
			servers[nodeOf(m.ID)] = m
		}
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ElectionTimeout)
	defer cancel()
	found := n.survey(ctx, voters)
	slices.SortStableFunc(found.replies, func(a, b reply) int { return int(b.last) - int(a.last) })
	err := errors.New("no other voter can be reached")
	for _, reply := range found.replies {
		m := servers[reply.asked.ID]
		if err = r.LeadershipTransferToServer(m.ID, m.Address).Error(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("handing leadership over: %w", err)
}
