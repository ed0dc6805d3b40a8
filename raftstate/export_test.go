package raftstate

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync/source"
)

// TransportOver is how a node's Raft library talks over a network.
func TransportOver(s raft.StreamLayer) *raft.NetworkTransport {
	return transportOver(s, hclog.NewNullLogger())
}

// Applied is what an entry of the log did on one node.
type Applied struct {
	Index    uint64
	Entry    string // its bytes
	Refused  bool
	Epoch    uint64          // of the pipeline's lease, afterwards
	Position source.Position // that the entry committed; "" if it is no commit
}

// ObserveApply has every entry that the node applies from now on told to fn.
func (n *Node) ObserveApply(fn func(Applied)) {
	n.machine.mu.Lock()
	defer n.machine.mu.Unlock()
	n.machine.observe = func(entry *raft.Log, out outcome) {
		a := Applied{Index: entry.Index, Entry: string(entry.Data), Refused: out.err != nil, Epoch: out.record.epoch}
		if c, err := decode(entry.Data); err == nil {
			if c, ok := c.(commit); ok {
				a.Position = c.position
			}
		}
		fn(a)
	}
}

// Incarnations are the members as the Raft library knows them, with the suffrage of each.
func (n *Node) Incarnations() map[string]string {
	members := map[string]string{}
	r, err := n.running()
	if err != nil {
		return members
	}
	for _, m := range r.GetConfiguration().Configuration().Servers {
		members[string(m.ID)] = m.Suffrage.String()
	}
	return members
}

// Barrier returns once the node, leading, has applied all that was committed before.
func (n *Node) Barrier(ctx context.Context) error { return n.barrier(ctx) }

// TakeSnapshot replaces the node's log, but for its end, by a snapshot.
func (n *Node) TakeSnapshot() error {
	r, err := n.running()
	if err != nil {
		return err
	}
	return r.Snapshot().Error()
}
