package raftstate_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

func TestALeaderThatIsCutOffLosesItsLease(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	ceiling := first.lease.Floor() + time.Hour.Microseconds()
	p1, p3 := underEpoch(first.lease.Epoch(), 1), underEpoch(first.lease.Epoch()+1, 1)
	if err := errors.Join(first.lease.Commit(t.Context(), p1), first.lease.Raise(t.Context(), ceiling)); err != nil {
		t.Fatal(err)
	}

	c.net.isolate(first.node, true)
	if err := first.lease.Commit(t.Context(), underEpoch(first.lease.Epoch(), 2)); !errors.Is(err, raftstate.ErrLeadershipLost) {
		t.Errorf("got %v from a commit without a quorum, want ErrLeadershipLost", err)
	}
	if cause := receive(t, first.ended); !errors.Is(cause, raftstate.ErrLeadershipLost) {
		t.Errorf("got cause %v, want ErrLeadershipLost", cause)
	}

	second := receive(t, granted)
	if second.node == first.node {
		t.Fatalf("got the next lease on the node that was cut off")
	}
	if second.lease.Position() != p1 || second.lease.Epoch() != first.lease.Epoch()+1 || second.lease.Floor() < ceiling {
		t.Errorf("got %q, epoch %d, floor %d after p1, epoch %d, ceiling %d",
			second.lease.Position(), second.lease.Epoch(), second.lease.Floor(), first.lease.Epoch(), ceiling)
	}
	if err := second.lease.Commit(t.Context(), p3); err != nil {
		t.Fatal(err)
	}

	c.net.isolate(first.node, false)
	want := c.nodes[second.node].Status()
	eventually(t, "the healed node to know what the others know", func() bool {
		got := c.nodes[first.node].Status()
		return got.ClusterID == want.ClusterID && reflect.DeepEqual(got.Pipelines, want.Pipelines) && c.nodes[first.node].Ready() == nil
	})
	if err := first.lease.Commit(t.Context(), underEpoch(first.lease.Epoch(), 3)); err == nil {
		t.Error("got no error from a commit under the old lease")
	}
	if got := c.nodes[second.node].Status().Pipelines[0].Position; got != p3 {
		t.Errorf("got %q, want %q", got, p3)
	}
}

func TestANodeWithoutAMajorityIsNotReady(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	leader := receive(t, c.compete("shop")).node
	for id, n := range c.nodes {
		eventually(t, "node "+id+" to be ready", func() bool { return n.Ready() == nil })
	}
	c.net.isolate(leader, true)
	eventually(t, "the node that was cut off to see it", func() bool { return c.nodes[leader].Ready() != nil })
}

// Who is cut off knows of nothing that it lacks; the leader does.
func TestWhatANodeLacksShowsBesideTheLeadersStatus(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	held := receive(t, c.compete("shop"))
	away := c.follower()
	eventually(t, "the follower to have everything", func() bool {
		s := c.nodes[away].Status()
		return s.Applied > 0 && s.Applied == c.nodes[held.node].Status().Committed
	})
	c.net.isolate(away, true)
	for i := range 3 {
		if err := held.lease.Commit(t.Context(), underEpoch(held.lease.Epoch(), i+1)); err != nil {
			t.Fatal(err)
		}
	}
	leader, follower := c.nodes[held.node].Status(), c.nodes[away].Status()
	if follower.Applied != follower.Committed || leader.Committed < follower.Applied+3 {
		t.Errorf("got %d applied of %d, and %d on the leader: want the leader to know of 3 more, and the other one of none",
			follower.Applied, follower.Committed, leader.Committed)
	}
	c.net.isolate(away, false)
	eventually(t, "the follower to have everything again", func() bool { return c.nodes[away].Status().Applied >= leader.Committed })
}

func TestALeaderThatStopsHandsOver(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	c.stop(first.node)
	if cause := receive(t, first.ended); !errors.Is(cause, raftstate.ErrStopped) {
		t.Errorf("got cause %v, want ErrStopped", cause)
	}
	second := receive(t, granted)
	s := c.nodes[second.node].Status()
	if second.node == first.node || s.Leader != second.node || s.Pipelines[0].Holder != second.node || len(s.Nodes) != 3 {
		t.Errorf("got %+v after %s stopped, want %s to lead", s, first.node, second.node)
	}
	if log := c.log.String(); strings.Contains(log, "without handing leadership over") {
		t.Errorf("got %s, want leadership handed over", log)
	}
}
