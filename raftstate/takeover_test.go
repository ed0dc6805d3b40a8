package raftstate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

// A follower has the last commits in its log before it knows that they are committed: the leader says so with
// what it sends next, some 50 ms later, and here it never does.
func TestANewLeaderBeginsAtTheLastCommit(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := startCluster(t)
			granted := c.compete("shop")
			first := receive(t, granted)
			var last source.Position
			for i := range 5 {
				last = underEpoch(first.lease.Epoch(), i+1)
				if err := first.lease.Commit(t.Context(), last); err != nil {
					t.Fatal(err)
				}
			}
			c.net.isolate(first.node, true)
			if second := receive(t, granted); second.lease.Position() != last {
				t.Errorf("got a lease that begins at %q, want %q", second.lease.Position(), last)
			}
		})
	}
}

func TestADeposedHolderMovesNothing(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("shop")
	first := receive(t, granted)
	c.net.isolate(first.node, true)
	second := receive(t, granted)
	want := underEpoch(second.lease.Epoch(), 1)
	if err := second.lease.Commit(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	c.net.isolate(first.node, false)
	old := c.nodes[first.node]
	eventually(t, "the deposed node to know its successor", func() bool {
		s := old.Status()
		return s.Leader == second.node && len(s.Pipelines) == 1 && s.Pipelines[0].Position == want
	})
	for n := range 3 {
		err := first.lease.Commit(t.Context(), underEpoch(first.lease.Epoch(), n+1))
		if !errors.Is(err, raftstate.ErrLeadershipLost) && !errors.Is(err, raftstate.ErrFenced) {
			t.Errorf("got %v from a commit under the old lease, want it refused", err)
		}
	}
	if t.Failed() {
		return // a holder that goes on lets no other in
	}
	if err := c.nodes[second.node].Transfer(t.Context(), first.node); err != nil { // and if it leads again
		t.Fatal(err)
	}
	third := receive(t, granted)
	if err := first.lease.Commit(t.Context(), underEpoch(first.lease.Epoch(), 9)); !errors.Is(err, raftstate.ErrFenced) {
		t.Errorf("got %v from a commit under the old lease, want ErrFenced", err)
	}
	if third.node != first.node || third.lease.Position() != want {
		t.Errorf("got a lease on %s at %q, want it on %s at %q", third.node, third.lease.Position(), first.node, want)
	}
}

// ledger is what was acknowledged. A position says its epoch and its number, and so which of two is later.
type ledger struct {
	t *testing.T

	mu            sync.Mutex
	epoch, commit int
	leases        int
}

func (l *ledger) acknowledged() (epoch, commit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch, l.commit
}

// run commits until its lease ends, and once more. What any earlier lease was told to be stored, the new one begins with:
// after the grant, no earlier one is told so.
func (l *ledger) run(ctx context.Context, lease *raftstate.Lease) error {
	epoch, commit := l.acknowledged()
	var fromEpoch, fromCommit int
	if _, err := fmt.Sscanf(string(lease.Position()), "epoch %d, commit %d", &fromEpoch, &fromCommit); err != nil && lease.Position() != "" {
		return err
	}
	if epoch < int(lease.Epoch()) && (fromEpoch < epoch || fromEpoch == epoch && fromCommit < commit) {
		l.t.Errorf("got a lease at %q after epoch %d, commit %d was acknowledged", lease.Position(), epoch, commit)
	}
	l.mu.Lock()
	l.leases++
	l.mu.Unlock()
	for n := 1; ; n++ {
		ended := ctx.Err() != nil
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := lease.Commit(within, underEpoch(lease.Epoch(), n))
		cancel()
		if err != nil {
			return err
		}
		l.mu.Lock()
		if e := int(lease.Epoch()); e > l.epoch || e == l.epoch && n > l.commit {
			l.epoch, l.commit = e, n
		}
		l.mu.Unlock()
		if ended {
			return context.Cause(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestNothingThatWasAcknowledgedIsLost cuts and kills nodes as they come, from a seed that it prints.
func TestNothingThatWasAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := startCluster(t)
	l := &ledger{t: t}
	enter := func(id string) {
		n := c.nodes[id]
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			var err error
			for ctx.Err() == nil && !errors.Is(err, raftstate.ErrStopped) {
				err = n.Hold(ctx, "shop", l.run)
			}
		}()
		c.t.Cleanup(func() {
			cancel()
			<-done
		})
	}
	for id := range c.nodes {
		enter(id)
	}
	ids := []string{"a", "b", "c"}
	for range 8 {
		id, other := ids[random.IntN(3)], ids[random.IntN(3)]
		epoch, commit := l.acknowledged()
		switch random.IntN(5) {
		case 0, 1:
			c.net.isolate(id, true)
		case 2: // one direction only
			c.net.block(id, other, true)
		case 3:
			c.kill(id)
			c.start(id)
			enter(id)
		case 4:
			c.kill(id)
			c.wipe(id)
			c.start(id)
			c.awaitVoters(ids...) // or the next wipe may take a majority
			enter(id)
		}
		eventually(t, "the others to go on", func() bool {
			e, n := l.acknowledged()
			return e > epoch || n >= commit+20 // the leader that was, if it was left alone
		})
		for _, from := range ids {
			c.net.isolate(from, false)
		}
	}
	c.awaitVoters(ids...)
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%d leases, up to epoch %d, commit %d", l.leases, l.epoch, l.commit)
}

// TestAnotherNodeTakesOverWithinTwoSeconds is with the timeouts of the default.
func TestAnotherNodeTakesOverWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"killed", "stopped"} {
		t.Run("the leader is "+how, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			c.timeout = raftstate.DefaultElectionTimeout
			for _, p := range c.peers {
				c.start(p.ID)
			}
			c.awaitVoters("a", "b", "c")
			granted := c.compete("shop")
			first := receive(t, granted)
			begun := time.Now()
			if how == "killed" {
				c.net.isolate(first.node, true)
			} else {
				go c.stops[first.node]() //nolint:errcheck // the cleanup looks at it
			}
			second := receive(t, granted)
			t.Logf("from the moment the leader is %s to the next lease: %s", how, time.Since(begun))
			if second.node == first.node {
				t.Errorf("got the lease on %s again", first.node)
			}
		})
	}
}
