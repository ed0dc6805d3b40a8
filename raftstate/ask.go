package raftstate

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// Ask hands the payload to Config.Answer on the node that leads, which may be this
// one, and returns what that returns. It fails with ErrNoLeader if none is known,
// and with ErrLeadershipLost if the node that was asked leads no more.
func (n *Node) Ask(ctx context.Context, payload []byte) ([]byte, error) {
	answer, err := n.toLeader(ctx, askLeader, payload, func(*raft.Raft) ([]byte, error) { return n.reply(ctx, payload) })
	if err != nil {
		return nil, fmt.Errorf("asking the leader: %w", err)
	}
	return answer, nil
}

// AskNode hands the payload to Config.Answer on a member, whether or not it leads.
func (n *Node) AskNode(ctx context.Context, id string, payload []byte) ([]byte, error) {
	if id == n.cfg.ID {
		return n.reply(ctx, payload)
	}
	r, err := n.running()
	if err != nil {
		return nil, fmt.Errorf("asking node %q: %w", id, err)
	}
	m, ok := newest(r.GetConfiguration().Configuration().Servers, id)
	if !ok {
		return nil, fmt.Errorf("asking node %q: %w", id, ErrNotMember)
	}
	address, _ := placeOf(m.Address)
	answer, err := n.call(ctx, address, askMember, payload)
	if err != nil {
		return nil, fmt.Errorf("asking node %q: %w", id, err)
	}
	return answer, nil
}

// toLeader does here what is for the leader if this node leads, else asks the leader to do it.
func (n *Node) toLeader(ctx context.Context, kind question, body []byte, here func(*raft.Raft) ([]byte, error)) ([]byte, error) {
	r, err := n.running()
	if err != nil {
		return nil, err
	}
	if r.State() == raft.Leader {
		return here(r)
	}
	member, _ := r.LeaderWithID()
	if member == "" {
		return nil, ErrNoLeader
	}
	address, _ := placeOf(member)
	return n.call(ctx, address, kind, body)
}

// newest is the incarnation of a node that was added last.
func newest(members []raft.Server, node string) (raft.Server, bool) {
	for _, v := range slices.Backward(members) {
		if nodeOf(v.ID) == node {
			return v, true
		}
	}
	return raft.Server{}, false
}
