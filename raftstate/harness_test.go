package raftstate_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

// cluster is some nodes in one process, with disks of their own and a network that can be cut.
type cluster struct {
	t       *testing.T
	net     *network
	checker *checker
	dir     string
	peers   []raftstate.Peer
	log     *lockedBuffer
	timeout time.Duration
	adjust  func(*raftstate.Config) // of every node that starts; may be nil

	nodes map[string]*raftstate.Node // that run
	stops map[string]func() error
}

// newCluster starts nothing.
func newCluster(t *testing.T, ids ...string) *cluster {
	t.Helper()
	c := &cluster{
		t: t, net: newNetwork(), dir: t.TempDir(), log: &lockedBuffer{}, timeout: 300 * time.Millisecond,
		checker: &checker{t: t, entries: map[uint64]raftstate.Applied{}},
		nodes:   map[string]*raftstate.Node{}, stops: map[string]func() error{},
	}
	for _, id := range ids {
		c.peers = append(c.peers, raftstate.Peer{ID: id, Address: c.net.join(id)})
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the nodes logged:\n%s", c.log)
		}
	})
	return c
}

// startCluster returns a cluster of three that has formed.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, "a", "b", "c")
	for _, p := range c.peers {
		c.start(p.ID)
	}
	c.awaitVoters("a", "b", "c")
	return c
}

func (c *cluster) config(id string) raftstate.Config {
	cfg := raftstate.Config{
		ID: id, Dir: filepath.Join(c.dir, id), Address: c.address(id), Peers: slices.Clone(c.peers), ElectionTimeout: c.timeout,
		Dial: c.net.dialer(id), Logger: slog.New(slog.NewTextHandler(c.log, nil)).With("node", id),
	}
	if c.adjust != nil {
		c.adjust(&cfg)
	}
	return cfg
}

func (c *cluster) address(id string) string {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for address, node := range c.net.nodes {
		if node == id {
			return address
		}
	}
	return c.t.Name() // no node of this network
}

// start starts a node, which must not end by itself.
func (c *cluster) start(id string) *raftstate.Node {
	c.t.Helper()
	n, ended, cancel := c.launch(id)
	c.stops[id] = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	c.t.Cleanup(func() {
		if err := c.stops[id](); err != nil {
			c.t.Errorf("running node %s: %v", id, err)
		}
	})
	return n
}

// launch starts a node that may end by itself.
func (c *cluster) launch(id string) (n *raftstate.Node, ended <-chan error, cancel func()) {
	c.t.Helper()
	n, err := raftstate.New(c.config(id))
	if err != nil {
		c.t.Fatal(err)
	}
	c.checker.watch(id, n)
	ctx, cancel := context.WithCancel(context.Background())
	done, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		done <- n.Run(ctx)
	}()
	c.t.Cleanup(func() {
		cancel()
		<-gone
	})
	c.nodes[id] = n
	return n, done, cancel
}

// stop ends a node as SIGTERM does.
func (c *cluster) stop(id string) {
	c.t.Helper()
	if err := c.stops[id](); err != nil {
		c.t.Errorf("running node %s: %v", id, err)
	}
	delete(c.nodes, id)
}

// kill ends a node without a word to the others, as kill -9 does.
func (c *cluster) kill(id string) {
	c.t.Helper()
	c.net.isolate(id, true)
	c.stop(id)
	c.net.isolate(id, false)
}

// wipe takes the disk of a node that does not run.
func (c *cluster) wipe(id string) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.dir, id)); err != nil {
		c.t.Fatal(err)
	}
}

// awaitVoters waits until all nodes that run agree that these, and no others, are members, and that all vote.
func (c *cluster) awaitVoters(ids ...string) {
	c.t.Helper()
	for id, n := range c.nodes {
		eventually(c.t, "node "+id+" to see the voters "+strings.Join(ids, ", "), func() bool {
			members, incarnations := n.Members(), n.Incarnations()
			if len(members) != len(ids) || len(incarnations) != len(ids) {
				return false
			}
			for _, suffrage := range incarnations {
				if suffrage != "Voter" {
					return false
				}
			}
			return n.Ready() == nil
		})
	}
}

// leader waits until a node leads.
func (c *cluster) leader() string {
	c.t.Helper()
	var leader string
	eventually(c.t, "a leader", func() bool {
		for id, n := range c.nodes {
			if n.Status().Role == "leader" {
				leader = id
				return true
			}
		}
		return false
	})
	return leader
}

// awaitLeader waits until a node knows who leads.
func (c *cluster) awaitLeader(id, leader string) {
	c.t.Helper()
	eventually(c.t, "node "+id+" to know that "+leader+" leads", func() bool { return c.nodes[id].Status().Leader == leader })
}

func (c *cluster) follower() string {
	c.t.Helper()
	leader := c.leader()
	for _, p := range c.peers {
		if p.ID != leader && c.nodes[p.ID] != nil {
			return p.ID
		}
	}
	c.t.Fatal("no follower runs")
	return ""
}

// held is a lease and who holds it.
type held struct {
	node  string
	lease *raftstate.Lease
	ended chan error // gets the cause once the holder's context has ended
}

// compete lets every node that runs wait for the pipeline, as often as it loses it. Leases arrive on the channel as they are granted.
func (c *cluster) compete(name string) chan held {
	c.t.Helper()
	granted := make(chan held, 100)
	for id := range c.nodes {
		c.enter(id, name, granted)
	}
	return granted
}

// enter lets a node take part in that.
func (c *cluster) enter(id, name string, granted chan<- held) {
	n := c.nodes[id]
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		for ctx.Err() == nil && !errors.Is(err, raftstate.ErrStopped) {
			err = n.Hold(ctx, name, func(ctx context.Context, l *raftstate.Lease) error {
				h := held{node: id, lease: l, ended: make(chan error, 1)}
				granted <- h
				<-ctx.Done()
				h.ended <- context.Cause(ctx)
				return context.Cause(ctx)
			})
		}
	}()
	c.t.Cleanup(func() {
		cancel()
		<-done
	})
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("got nothing within %s", patience)
		panic("unreachable")
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

// lockedBuffer is a log that several nodes write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
