package raftstate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// handle answers what another node asks.
func (n *Node) handle(ctx context.Context, q request) ([]byte, error) {
	if q.question == askWho {
		w, err := n.whoAmI()
		if err != nil {
			return nil, err
		}
		return w.bytes(), nil
	}
	if own := n.clusterOf(); q.cluster != own && (q.question != askJoin || q.cluster != "") {
		return nil, fmt.Errorf("this node is of cluster %q, the question is of cluster %q", own, q.cluster)
	}
	if q.question == askMember {
		return n.reply(ctx, q.body)
	}
	r, err := n.leadingRaft()
	if err != nil {
		return nil, err
	}
	body := &reader{rest: q.body}
	switch q.question {
	case askLeader:
		return n.reply(ctx, q.body)
	case askJoin:
		id, incarnation, address := body.string(), body.string(), body.string()
		if err := body.end(); err != nil {
			return nil, err
		}
		return putString(nil, n.clusterOf()), n.admitMember(ctx, r, id, incarnation, address)
	case askName:
		return nil, n.nameFor(ctx, q.body)
	case askAdd:
		p := Peer{ID: body.string(), Address: body.string()}
		if err := body.end(); err != nil {
			return nil, err
		}
		return nil, n.addMember(ctx, r, p)
	case askRemove:
		id := body.string()
		if err := body.end(); err != nil {
			return nil, err
		}
		return nil, n.removeMember(ctx, r, id)
	case askTransfer:
		to := body.string()
		if err := body.end(); err != nil {
			return nil, err
		}
		return nil, n.handOver(ctx, to)
	default:
		return nil, fmt.Errorf("question %d: unknown to this version", q.question)
	}
}

func (n *Node) reply(ctx context.Context, payload []byte) ([]byte, error) {
	if n.cfg.Answer == nil {
		return nil, errors.New("this node answers no questions")
	}
	return n.cfg.Answer(ctx, payload)
}

// leadingRaft fails with ErrLeadershipLost on a node that does not lead.
func (n *Node) leadingRaft() (*raft.Raft, error) {
	r, err := n.running()
	if err != nil {
		return nil, err
	}
	if r.State() != raft.Leader {
		return nil, ErrLeadershipLost
	}
	return r, nil
}

// running fails with ErrStopped on a node that has not opened, or has closed.
func (n *Node) running() (*raft.Raft, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.raft == nil || n.phase == closed {
		return nil, ErrStopped
	}
	return n.raft, nil
}
