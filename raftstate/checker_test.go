package raftstate_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// checker looks at every entry that any node applies: all apply the same ones, and
// whatever moves a position was committed under the lease that was the newest by then.
type checker struct {
	t *testing.T

	mu      sync.Mutex
	entries map[uint64]raftstate.Applied
}

// underEpoch is a position that says under which epoch it was committed.
func underEpoch(epoch uint64, n int) source.Position {
	return source.Position(fmt.Sprintf("epoch %d, commit %d", epoch, n))
}

func (c *checker) watch(id string, n *raftstate.Node) {
	n.ObserveApply(func(a raftstate.Applied) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if known, ok := c.entries[a.Index]; ok && known != a {
			c.t.Errorf("node %s applied %+v, another node %+v", id, a, known)
		}
		c.entries[a.Index] = a
		var epoch uint64
		var i int
		if _, err := fmt.Sscanf(string(a.Position), "epoch %d, commit %d", &epoch, &i); err != nil || a.Refused {
			return
		}
		if epoch != a.Epoch {
			c.t.Errorf("node %s: %q was stored under epoch %d", id, a.Position, a.Epoch)
		}
	})
}
