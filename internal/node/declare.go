package node

import (
	"context"
	"time"
)

const (
	declareEvery = time.Second
	declareLimit = 5 * time.Second
)

// declare makes known what the rules of this node name, as soon as there is a leader who takes it: the
// cluster must not let go of a delay that only a node names which does not lead.
func (n *Node) declare(ctx context.Context) {
	tick := time.NewTicker(declareEvery)
	defer tick.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, declareLimit)
		err := n.raft.Name(asking, n.named)
		cancel()
		if err == nil {
			return
		}
		n.log.DebugContext(ctx, "making known which delays the rules name", "err", err)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
