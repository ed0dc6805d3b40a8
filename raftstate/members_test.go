package raftstate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
)

func TestANodeIsAddedAndAnotherRemoved(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	if err := first.lease.Commit(t.Context(), "p1"); err != nil {
		t.Fatal(err)
	}
	follower := c.nodes[c.follower()]
	added := raftstate.Peer{ID: "d", Address: c.net.join("d")}
	for range 2 { // the second changes nothing
		if err := follower.AddMember(t.Context(), added); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the node to be awaited", func() bool {
		members := follower.Members()
		return len(members) == 4 && members[3] == raftstate.Member{ID: "d", Address: added.Address, Role: "awaited"}
	})
	for _, p := range []raftstate.Peer{{ID: "d", Address: "x:1"}, {ID: "e", Address: added.Address}} {
		if err := follower.AddMember(t.Context(), p); err == nil || !strings.Contains(err.Error(), "is a member already") {
			t.Errorf("adding %v: got %v, want an error", p, err)
		}
	}
	c.peers = append(c.peers, added)
	d := c.start("d")
	c.awaitVoters("a", "b", "c", "d")
	eventually(t, "the new node to know the position", func() bool { return d.Status().Pipelines[0].Position == "p1" })

	gone := c.follower()
	if gone == "d" {
		gone = first.node
	}
	if err := c.nodes[gone].Name(t.Context(), []raftstate.Naming{{Topics: "x", Delay: time.Second}}); err != nil {
		t.Fatal(err)
	}
	_, revision := c.nodes[first.node].Unnamed()
	if err := d.RemoveMember(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if _, after := c.nodes[first.node].Unnamed(); gone != first.node && after == revision {
		t.Error("what the removed node named is still there")
	}
	if err := d.RemoveMember(t.Context(), gone); !errors.Is(err, raftstate.ErrNotMember) {
		t.Errorf("got %v, want ErrNotMember", err)
	}
}

func TestANodeThatWasRemovedNoticesAndSaysSo(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"while it ran", "while it was down"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			c.start("a")
			c.start("b")
			_, ended, cancel := c.launch("c")
			c.awaitVoters("a", "b", "c")
			if when == "while it was down" {
				cancel()
				if err := receive(t, ended); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.nodes["a"].RemoveMember(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			if when == "while it was down" {
				_, ended, _ = c.launch("c")
			}
			err := receive(t, ended)
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), `node "c" is no member of the cluster any more: it was removed`) {
				t.Errorf("got %v, want it to say that it was removed", err)
			}
			delete(c.nodes, "c")
			c.awaitVoters("a", "b")

			// What it knows is of the same cluster, so it may come back as it is.
			if err := c.nodes["b"].AddMember(t.Context(), c.peers[2]); err != nil {
				t.Fatal(err)
			}
			c.start("c")
			c.awaitVoters("a", "b", "c")
		})
	}
}

func TestANodeIsNotRemovedIfTooFewWouldBeLeft(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	down := c.follower()
	c.kill(down)
	left := c.follower()
	if err := c.nodes[first.node].RemoveMember(t.Context(), left); err == nil || !strings.Contains(err.Error(), "only 1 of the 2 nodes that would vote") {
		t.Errorf("got %v, want it refused", err)
	}
	if err := first.lease.Commit(t.Context(), "p1"); err != nil {
		t.Errorf("got %v, want the cluster to go on", err)
	}
	if err := c.nodes[left].RemoveMember(t.Context(), down); err != nil {
		t.Errorf("got %v, want the node that is down to be removed", err)
	}
	c.awaitVoters(first.node, left)
}

func TestALeaderRemovesItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	ended := map[string]<-chan error{}
	for _, p := range c.peers {
		_, ended[p.ID], _ = c.launch(p.ID)
	}
	c.awaitVoters("a", "b", "c")
	granted := c.compete("shop")
	first := receive(t, granted)
	if err := c.nodes[first.node].RemoveMember(t.Context(), first.node); err != nil {
		t.Fatal(err)
	}
	if second := receive(t, granted); second.node == first.node {
		t.Error("got the next lease on the node that was removed")
	}
	if err := receive(t, ended[first.node]); kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want it to say that it was removed", err)
	}
}

func TestANodeThatMovedIsFoundAgain(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.kill("b")
	c.net.mu.Lock()
	delete(c.net.nodes, c.peers[1].Address)
	c.net.mu.Unlock()
	c.peers[1].Address = c.net.join("b")
	c.start("b")
	c.awaitVoters("a", "b", "c")
	for id, n := range c.nodes {
		eventually(t, "node "+id+" to know the new address", func() bool { return n.Members()[1].Address == c.peers[1].Address })
	}
}

func TestALoneNodeBecomesACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	lone := c.config("a")
	lone.Peers, lone.Address = nil, ""
	n, stop := run(t, lone)
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error { return l.Commit(ctx, "p1") })
	stop()

	a := c.start("a")
	eventually(t, "the node to know its address", func() bool {
		members := a.Members()
		return len(members) == 1 && members[0].Address == c.peers[0].Address
	})
	for _, p := range c.peers[1:] {
		if err := a.AddMember(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		c.start(p.ID)
	}
	c.awaitVoters("a", "b", "c")
	for id, n := range c.nodes {
		eventually(t, "node "+id+" to know the position", func() bool {
			s := n.Status()
			return len(s.Pipelines) == 1 && s.Pipelines[0].Position == "p1"
		})
	}
	for _, id := range []string{"a", "b", "c"} {
		c.stop(id)
	}
	if err := runOnce(t, lone); kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "of a cluster of 3 nodes") {
		t.Errorf("got %v, want a node of a cluster not to run alone", err)
	}
}

func TestTheLeaderAnswersForTheClusterAndEveryMemberForItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.adjust = func(cfg *raftstate.Config) {
		cfg.Answer = func(_ context.Context, payload []byte) ([]byte, error) {
			if string(payload) == "fail" {
				return nil, &kafkasync.Fault{Class: kafkasync.Stop, What: "it fails", Fix: "nothing", Err: errors.New("because")}
			}
			return []byte(cfg.ID + " answers " + string(payload)), nil
		}
	}
	for _, p := range c.peers {
		c.start(p.ID)
	}
	c.awaitVoters("a", "b", "c")
	leader := c.leader()
	for id, n := range c.nodes {
		if got, err := n.Ask(t.Context(), []byte("1")); string(got) != leader+" answers 1" || err != nil {
			t.Errorf("node %s: got %q, %v, want the leader's answer", id, got, err)
		}
		for of := range c.nodes {
			if got, err := n.AskNode(t.Context(), of, []byte("2")); string(got) != of+" answers 2" || err != nil {
				t.Errorf("node %s: got %q, %v, want the answer of %s", id, got, err, of)
			}
		}
		var fault *kafkasync.Fault
		if _, err := n.Ask(t.Context(), []byte("fail")); !errors.As(err, &fault) || fault.Error() != "it fails: because; to fix: nothing" || fault.Class != kafkasync.Stop {
			t.Errorf("node %s: got %v, want the leader's fault", id, err)
		}
		if _, err := n.AskNode(t.Context(), "x", nil); !errors.Is(err, raftstate.ErrNotMember) {
			t.Errorf("node %s: got %v, want ErrNotMember", id, err)
		}
	}
}
