package raftstate_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync/raftstate"
)

// cluster is three nodes of one process whose network can be cut.
type cluster struct {
	nodes      map[string]*raftstate.Node
	stop       map[string]func()
	transports map[string]*raft.InmemTransport
	log        *lockedBuffer
}

// held is a lease and who holds it.
type held struct {
	node  string
	lease *raftstate.Lease
	ended chan error // gets the cause once the holder's context has ended
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		nodes: map[string]*raftstate.Node{}, stop: map[string]func(){}, transports: map[string]*raft.InmemTransport{}, log: &lockedBuffer{},
	}
	var peers []raftstate.Peer
	for _, id := range []string{"a", "b", "c"} {
		address, transport := raft.NewInmemTransport("")
		peers = append(peers, raftstate.Peer{ID: id, Address: string(address)})
		c.transports[id] = transport
	}
	for id := range c.transports {
		c.heal(id)
	}
	for id, transport := range c.transports {
		c.nodes[id], c.stop[id] = run(t, raftstate.Config{
			ID: id, Dir: t.TempDir(), Peers: peers, Transport: transport, ElectionTimeout: 500 * time.Millisecond,
			Logger: slog.New(slog.NewTextHandler(c.log, nil)),
		})
	}
	return c
}

// cut takes a node off the network.
func (c *cluster) cut(id string) {
	c.transports[id].DisconnectAll()
	for other, transport := range c.transports {
		if other != id {
			transport.Disconnect(c.transports[id].LocalAddr())
		}
	}
}

func (c *cluster) heal(id string) {
	for other, transport := range c.transports {
		if other != id {
			transport.Connect(c.transports[id].LocalAddr(), c.transports[id])
			c.transports[id].Connect(transport.LocalAddr(), transport)
		}
	}
}

// compete lets every node wait for the pipeline, as often as it loses it. Leases arrive on the channel as they are granted.
func (c *cluster) compete(t *testing.T, name string) <-chan held {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	granted := make(chan held, 100)
	var group sync.WaitGroup
	for id, n := range c.nodes {
		group.Go(func() {
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
		})
	}
	t.Cleanup(func() {
		cancel()
		group.Wait()
	})
	return granted
}

func TestALeaderThatIsCutOffLosesItsLease(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete(t, "shop")
	first := receive(t, granted)
	ceiling := first.lease.Floor() + time.Hour.Microseconds()
	if err := errors.Join(first.lease.Commit(t.Context(), "p1"), first.lease.Raise(t.Context(), ceiling)); err != nil {
		t.Fatal(err)
	}

	c.cut(first.node)
	if err := first.lease.Commit(t.Context(), "p2"); !errors.Is(err, raftstate.ErrLeadershipLost) {
		t.Errorf("got %v from a commit without a quorum, want ErrLeadershipLost", err)
	}
	if cause := receive(t, first.ended); !errors.Is(cause, raftstate.ErrLeadershipLost) {
		t.Errorf("got cause %v, want ErrLeadershipLost", cause)
	}

	second := receive(t, granted)
	if second.node == first.node {
		t.Fatalf("got the next lease on the node that was cut off")
	}
	if second.lease.Position() != "p1" || second.lease.Epoch() <= first.lease.Epoch() || second.lease.Floor() < ceiling {
		t.Errorf("got %q, epoch %d, floor %d after p1, epoch %d, ceiling %d",
			second.lease.Position(), second.lease.Epoch(), second.lease.Floor(), first.lease.Epoch(), ceiling)
	}
	if err := second.lease.Commit(t.Context(), "p3"); err != nil {
		t.Fatal(err)
	}

	c.heal(first.node)
	want := c.nodes[second.node].Status()
	eventually(t, "the healed node to know what the others know", func() bool {
		got := c.nodes[first.node].Status()
		return got.ClusterID == want.ClusterID && reflect.DeepEqual(got.Pipelines, want.Pipelines) && c.nodes[first.node].Ready() == nil
	})
	if err := first.lease.Commit(t.Context(), "p4"); err == nil {
		t.Error("got no error from a commit under the old lease")
	}
	if got := c.nodes[second.node].Status().Pipelines[0].Position; got != "p3" {
		t.Errorf("got %q, want p3", got)
	}
}

func TestANodeWithoutAMajorityIsNotReady(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	leader := receive(t, c.compete(t, "shop")).node
	for id, n := range c.nodes {
		eventually(t, "node "+id+" to be ready", func() bool { return n.Ready() == nil })
	}
	c.cut(leader)
	eventually(t, "the node that was cut off to see it", func() bool { return c.nodes[leader].Ready() != nil })
}

func TestALeaderThatStopsHandsOver(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete(t, "shop")
	first := receive(t, granted)
	c.stop[first.node]()
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
