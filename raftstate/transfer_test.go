package raftstate_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

func TestLeadershipIsHandedToWhomeverOneNames(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	h := receive(t, granted)
	for i := range 6 {
		to := []string{"a", "b", "c"}[i%3]
		if to == h.node {
			continue
		}
		asked := []string{"a", "b", "c"}[i/2]
		c.awaitLeader(asked, h.node) // a majority is enough for the lease: this node may not have heard yet
		begun := time.Now()
		if err := c.nodes[asked].Transfer(t.Context(), to); err != nil {
			t.Fatalf("handing over from %s to %s: %v", h.node, to, err)
		}
		if cause := receive(t, h.ended); !errors.Is(cause, raftstate.ErrLeadershipLost) {
			t.Errorf("got cause %v, want ErrLeadershipLost", cause)
		}
		h = receive(t, granted)
		t.Logf("a transfer until the next lease: %s", time.Since(begun))
		if h.node != to {
			t.Errorf("got the lease on %s, want it on %s", h.node, to)
		}
	}
	c.awaitLeader("a", h.node)
	if err := c.nodes["a"].Transfer(t.Context(), "x"); !errors.Is(err, raftstate.ErrNotMember) {
		t.Errorf("got %v, want ErrNotMember", err)
	}
}

func TestAHandOverThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	down := c.follower()
	c.kill(down)
	if err := c.nodes[first.node].Transfer(t.Context(), down); err == nil {
		t.Error("got no error from handing over to a node that is down")
	}
	second := receive(t, granted)
	if second.node != first.node || second.lease.Commit(t.Context(), underEpoch(second.lease.Epoch(), 1)) != nil {
		t.Errorf("got %s after %s, want it to go on", second.node, first.node)
	}
}

// A node that is down may have received as much as the one that takes over.
func TestANodeThatStopsPassesOverOneThatIsDown(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	down := c.follower()
	c.kill(down)
	next := c.follower()
	c.stop(first.node)
	c.start(down) // two of three are needed to go on
	if second := receive(t, granted); second.node != next {
		t.Errorf("got the lease on %s, want it on %s", second.node, next)
	}
}
