//go:build planted_deposed_commits || planted_ignore_epoch

package raftstate

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// plantedDeposedCommits lets a holder go on after its node has lost leadership: its context does not
// end, and what it commits goes to whoever leads, under the newest epoch that its node knows; or under its own one,
// where it is that no epoch is checked. No release has these build tags.
const plantedDeposedCommits = true

// insist commits through whoever leads what could not be committed here.
func (l *Lease) insist(ctx context.Context, c commit, failed error) (commit, error) {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	c.n += 1 << 32 // beyond those of its successor
	for {
		if !plantedIgnoreEpoch {
			c.epoch = l.node.machine.epoch(l.pipeline)
		}
		_, err := l.node.toLeader(ctx, askName, encode(c), func(*raft.Raft) ([]byte, error) { return nil, l.node.nameFor(ctx, encode(c)) })
		if err == nil {
			return c, nil
		}
		l.node.mu.Lock()
		ending := l.node.phase >= closing
		l.node.mu.Unlock()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			ending = true
		}
		if ending {
			return c, failed
		}
	}
}
