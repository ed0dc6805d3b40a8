package raftstate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
)

func TestNodesFormOneClusterInWhateverOrderTheyStart(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"abc", "acb", "bac", "bca", "cab", "cba"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			for id := range strings.SplitSeq(order, "") {
				c.start(id)
			}
			c.awaitVoters("a", "b", "c")
			first := receive(t, c.compete("shop"))
			if first.lease.Epoch() != 1 {
				t.Errorf("got epoch %d, want the first", first.lease.Epoch())
			}
			for id, n := range c.nodes {
				eventually(t, "node "+id+" to know the cluster's identity", func() bool {
					return n.Status().ClusterID == first.lease.Cluster()
				})
				if leader := n.Status().Leader; leader != first.node {
					t.Errorf("node %s: got leader %q, want %q", id, leader, first.node)
				}
			}
		})
	}
}

func TestNoClusterFormsBeforeAllNodesAreSeen(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	a, b := c.start("a"), c.start("b")
	for id, n := range map[string]*raftstate.Node{"a": a, "b": b} {
		want := fmt.Sprintf("cannot reach node c at %s", c.address("c"))
		eventually(t, "node "+id+" to say for whom it waits", func() bool {
			err := n.Ready()
			return err != nil && strings.Contains(err.Error(), want)
		})
	}
	c.start("c")
	c.awaitVoters("a", "b", "c")
}

func TestFilesThatDifferFormNoCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	ended := make(chan error, 3)
	for _, id := range []string{"a", "c", "b"} {
		if id == "b" {
			c.peers[0], c.peers[1] = c.peers[1], c.peers[0]
		}
		n, done, _ := c.launch(id)
		go func() { ended <- <-done }()
		defer func() {
			if role := n.Status().Role; role == "leader" {
				t.Errorf("node %s leads", id)
			}
		}()
	}
	if err := receive(t, ended); kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "lists other nodes") {
		t.Errorf("got %v, want the files to be named", err)
	}
}

// The others are seen empty, and then cannot store what the first sends them.
func TestNoLeaseIsGrantedWhileTheFirstNodeVotesAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.adjust = func(cfg *raftstate.Config) { cfg.Disk = (&brokenDisk{left: 4}).write }
	_, b, _ := c.launch("b")
	_, third, _ := c.launch("c")
	c.adjust = nil
	a := c.start("a")
	for _, ended := range []<-chan error{b, third} {
		if err := receive(t, ended); kafkasync.ClassOf(err) != kafkasync.Wait {
			t.Errorf("got %v, want the disk to be named", err)
		}
	}
	eventually(t, "the first node to lead", func() bool { return a.Status().Role == "leader" })
	held := make(chan error, 1)
	go func() {
		held <- a.Hold(t.Context(), "shop", func(context.Context, *raftstate.Lease) error { return errors.New("granted") })
	}()
	eventually(t, "the lease to be asked for, and the members to be counted", func() bool { return a.Barrier(t.Context()) == nil })
	c.stop("a")
	if err := receive(t, held); !errors.Is(err, raftstate.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
	// Nothing was promised by b and c, whose folders hold nothing. They come back as other incarnations.
	c.start("a")
	c.start("b")
	c.start("c")
	c.awaitVoters("a", "b", "c")
	receive(t, c.compete("shop"))
}
