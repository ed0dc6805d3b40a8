package raftstate

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// watch looks after a member that hears of no leader. It may have been removed
// while it was away, which nobody tells it: the others just do not talk to it any
// more. Or it has moved, and they talk to the address that it had. Or the voters
// have lost their folders. It returns what ends the node.
func (n *Node) watch(ctx context.Context, r *raft.Raft, s *store) error {
	every := n.cfg.ElectionTimeout
	silent := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if _, leader := r.LeaderWithID(); leader != "" {
			silent = time.Now()
			n.wait("")
			continue
		}
		if time.Since(silent) < lostAfter*every {
			continue
		}
		if err := n.seekCluster(ctx, r, s); err != nil {
			return err
		}
	}
}

// seekCluster asks the others what has become of the cluster.
func (n *Node) seekCluster(ctx context.Context, r *raft.Raft, s *store) error {
	found := n.survey(ctx, n.others())
	of := found.replies[:0]
	for _, reply := range found.replies {
		if reply.cluster == s.clusterID() || reply.isNew() {
			of = append(of, reply)
		}
	}
	found.replies = of
	if leader := leaderIn(found); leader != "" {
		// A member that the leader reaches is not silent: this one is none, or has moved.
		err := n.askToJoin(ctx, s, leader)
		if kafkasync.ClassOf(err) == kafkasync.Stop {
			return err
		}
		if err != nil {
			n.cfg.Logger.Debug("asking the leader in vain", "err", err)
		}
		return nil
	}
	if err := lost(r.GetConfiguration().Configuration().Servers, whos(found)); err != nil {
		// This node keeps what is left, and goes on showing it.
		n.wait(err.Error())
		return nil
	}
	n.wait(leaderless)
	return nil
}
