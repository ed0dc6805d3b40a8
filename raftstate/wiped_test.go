package raftstate_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// The first node of the file is the one that might form a second cluster.
func TestANodeThatLostItsFolderComesBackAsAnotherMember(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "b"} {
		t.Run("node "+id, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t)
			granted := c.compete("shop")
			first := receive(t, granted)
			if err := first.lease.Commit(t.Context(), underEpoch(first.lease.Epoch(), 1)); err != nil {
				t.Fatal(err)
			}
			before := slices.Sorted(maps.Keys(c.nodes["c"].Incarnations()))
			cluster := c.nodes[first.node].Status().ClusterID

			c.kill(id)
			c.wipe(id)
			n := c.start(id)
			c.awaitVoters("a", "b", "c")
			after := slices.Sorted(maps.Keys(n.Incarnations()))
			for i := range before {
				if node := strings.Split(before[i], "#")[0]; (before[i] == after[i]) != (node != id) {
					t.Errorf("got members %v after %v, want a new incarnation of %s and the others as before", after, before, id)
				}
			}
			eventually(t, "the node to know what was committed", func() bool {
				s := n.Status()
				return s.ClusterID == cluster && len(s.Pipelines) == 1 && s.Pipelines[0].Position == underEpoch(first.lease.Epoch(), 1)
			})
		})
	}
}

func TestANodeThatLostItsFolderGetsASnapshotAndStartsFromIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	c.adjust = func(cfg *raftstate.Config) { cfg.SnapshotThreshold = 5 }
	for _, p := range c.peers {
		c.start(p.ID)
	}
	c.awaitVoters("a", "b", "c")
	first := receive(t, c.compete("shop"))
	lost := c.follower()
	c.kill(lost)
	c.wipe(lost)
	var last source.Position
	for n := range 50 {
		last = underEpoch(first.lease.Epoch(), n+1)
		if err := first.lease.Commit(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.nodes[first.node].TakeSnapshot(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.start(lost)
		c.awaitVoters("a", "b", "c")
		eventually(t, "the node to know what was committed", func() bool {
			s := c.nodes[lost].Status()
			return len(s.Pipelines) == 1 && s.Pipelines[0].Position == last
		})
		c.kill(lost)
	}
}

func TestALostMajorityIsNotReplacedByANewCluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	first := receive(t, c.compete("shop"))
	if err := first.lease.Commit(t.Context(), "p1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node that is left to know what was committed", func() bool {
		s := c.nodes["c"].Status()
		return len(s.Pipelines) == 1 && s.Pipelines[0].Position == "p1"
	})
	for _, id := range []string{"a", "b"} {
		c.kill(id)
		c.wipe(id)
	}
	_, a, _ := c.launch("a")
	_, b, _ := c.launch("b")
	// Whoever sees first that the other is lost says so, and ends.
	ended := make(chan error, 2)
	go func() { ended <- <-a }()
	go func() { ended <- <-b }()
	err := receive(t, ended)
	for _, want := range []string{"2 of the 3 voting nodes are lost (", "recovered by force"} {
		if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if s := c.nodes["c"].Status(); s.Leader != "" || s.Pipelines[0].Position != "p1" {
		t.Errorf("got %+v, want what is left, and no leader", s)
	}
}

func TestANodeThatLostItsFolderDoesNotVoteForWhatItWas(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	leader := c.leader()
	lost, other := "", ""
	for id := range c.nodes {
		switch {
		case id == leader:
		case lost == "":
			lost = id
		default:
			other = id
		}
	}
	// Nobody leads who could let the lost one in again. The other, which knows it as a voter, cannot win with it.
	c.kill(leader)
	c.kill(lost)
	c.wipe(lost)
	_, ended, _ := c.launch(lost)
	granted := c.compete("shop")
	eventually(t, "the wiped node to find the cluster", func() bool {
		err := c.nodes[lost].Ready()
		return err != nil && strings.Contains(err.Error(), "which has no leader now")
	})
	eventually(t, "the other to look for votes", func() bool {
		err := c.nodes[other].Ready()
		return err != nil && strings.Contains(err.Error(), "no leader is known")
	})
	c.start(leader)
	c.enter(leader, "shop", granted)
	receive(t, granted)
	c.awaitVoters("a", "b", "c")
	select {
	case err := <-ended:
		t.Errorf("node %s ended: %v", lost, err)
	default:
	}
}

func TestANodeOfAnotherClusterIsNotTakenIn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	lone := c.config("b")
	lone.Peers = nil
	n, stop := run(t, lone)
	eventually(t, "the lone node to lead", func() bool { return n.Status().Role == "leader" })
	stop()

	c.start("b") // with the file of the cluster and the folder of before
	_, a, _ := c.launch("a")
	_, third, _ := c.launch("c")
	for id, ended := range map[string]<-chan error{"a": a, "c": third} {
		err := receive(t, ended)
		for _, want := range []string{`node "b" already belongs to a cluster of which node "` + id + `" is no member`, "member add " + id, `move the data folder of node "b" away`} {
			if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
	}
}

func TestTwoNodesWithOneIDDoNotReplaceEachOther(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	second := c.config("b")
	second.Dir = t.TempDir()
	second.Address = c.net.join("b")
	second.Peers = []raftstate.Peer{c.peers[0], {ID: "b", Address: second.Address}, c.peers[2]}
	err := runOnce(t, second)
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), `node "b" runs already, with its data`) {
		t.Errorf("got %v, want the first to be named", err)
	}
	c.awaitVoters("a", "b", "c")
}

// What steps there are the disk says: each of its writes is the one before which the node dies.
func TestTheFirstNodeMayDieAtEveryStepOfForming(t *testing.T) {
	t.Parallel()
	for step := range 14 {
		t.Run(fmt.Sprintf("after %d writes", step), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			c.adjust = func(cfg *raftstate.Config) { cfg.Disk = (&brokenDisk{left: step}).write }
			_, ended, _ := c.launch("a")
			c.adjust = nil
			c.start("b")
			c.start("c")
			if err := receive(t, ended); !strings.Contains(err.Error(), "cannot be written: no space left on device") {
				t.Errorf("got %v, want the disk to be named", err)
			}
			delete(c.nodes, "a")
			c.start("a")
			c.awaitVoters("a", "b", "c")
			if h := receive(t, c.compete("shop")); h.lease.Epoch() != 1 {
				t.Errorf("got epoch %d, want the first", h.lease.Epoch())
			}
		})
	}
}

func TestAFolderKeepsItsIncarnationOnceItHoldsSomething(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	before := c.nodes["a"].Incarnations()
	for _, id := range []string{"a", "b", "c"} {
		c.kill(id)
	}
	for _, id := range []string{"c", "b", "a"} {
		c.start(id)
	}
	c.awaitVoters("a", "b", "c")
	if after := c.nodes["a"].Incarnations(); !maps.Equal(before, after) {
		t.Errorf("got %v, want %v", after, before)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "a", "raft.db")); err != nil {
		t.Error(err)
	}
}
