package raftstate_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
)

// brokenDisk fails every write after so many.
type brokenDisk struct {
	mu   sync.Mutex
	left int
}

func (d *brokenDisk) write() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left < 0 {
		return errors.New("no space left on device")
	}
	return nil
}

func (d *brokenDisk) fail() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = 0
}

func TestANodeWhoseDiskFailsEndsAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			disks, ended := map[string]*brokenDisk{}, map[string]<-chan error{}
			for _, p := range c.peers {
				disk := &brokenDisk{left: 1 << 30}
				disks[p.ID] = disk
				c.adjust = func(cfg *raftstate.Config) { cfg.Disk = disk.write }
				_, ended[p.ID], _ = c.launch(p.ID)
			}
			c.awaitVoters("a", "b", "c")
			granted := c.compete("shop")
			first := receive(t, granted)
			broken := first.node
			if role == "follower" {
				broken = c.follower()
			}
			disks[broken].fail()

			commit := func(h held, n int) error {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				return h.lease.Commit(ctx, underEpoch(h.lease.Epoch(), n))
			}
			err := commit(first, 1)
			if role == "follower" && err != nil {
				t.Errorf("got %v, want two nodes to be enough", err)
			}
			err = receive(t, ended[broken])
			for _, want := range []string{"the Raft log in the data folder", "cannot be written", "no space left on device"} {
				if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			if role == "leader" {
				first = receive(t, granted)
				if first.node == broken {
					t.Fatal("got the lease on the node whose disk fails")
				}
			}
			if err := commit(first, 2); err != nil {
				t.Errorf("got %v, want the others to go on", err)
			}
		})
	}
}

// The library ends the process if it cannot store a term.
func TestATermThatCannotBeStoredEndsTheNodeOnly(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "a", "b", "c")
	disk := &brokenDisk{left: 1 << 30}
	for _, id := range []string{"b", "c"} {
		c.start(id)
	}
	c.adjust = func(cfg *raftstate.Config) { cfg.Disk = disk.write }
	_, ended, _ := c.launch("a")
	c.awaitVoters("a", "b", "c")
	eventually(t, "another node to lead", func() bool {
		return c.nodes["b"].Status().Leader != "a" || c.nodes["b"].Transfer(t.Context(), "b") == nil
	})
	disk.fail()
	leader := c.leader()
	to := "b"
	if leader == "b" {
		to = "c"
	}
	if err := c.nodes[leader].Transfer(t.Context(), to); err != nil { // a new term, which a has to store
		t.Fatal(err)
	}
	if err := receive(t, ended); kafkasync.ClassOf(err) != kafkasync.Wait {
		t.Errorf("got %v, want the disk to be named", err)
	}
}
