package raftstate_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
)

var (
	products = kafkasync.Pair{Topic: "shop.products", Delay: 5 * time.Minute, ID: "1", Ends: []int64{3, 5}}
	prices   = kafkasync.Pair{Topic: "shop.prices", Delay: 5 * time.Minute, ID: "2", Ends: []int64{0}}
	soon     = kafkasync.Pair{Topic: "shop.products", Delay: time.Second, ID: "1", Ends: []int64{4, 6}}
)

func TestPairsInUseSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		return errors.Join(l.Use(ctx, products), l.Use(ctx, prices), l.Use(ctx, soon))
	})
	want := []kafkasync.Pair{prices, soon, products}
	if got, _ := n.Pairs(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := n.Status().Pairs; !reflect.DeepEqual(got, want) {
		t.Errorf("got status %v, want %v", got, want)
	}
	stop()

	n, _ = run(t, raftstate.Config{ID: "a", Dir: dir})
	awaitPairs(t, n, want)
}

func TestPairsAreWaitedForBeforeRunHasOpened(t *testing.T) {
	n, err := raftstate.New(raftstate.Config{ID: "a", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if got, changed := n.Pairs(); len(got) > 0 || changed == nil {
		t.Errorf("got %v, want no pairs, and something to wait for", got)
	}
	if err := n.Name(t.Context(), nil); !errors.Is(err, raftstate.ErrStopped) {
		t.Errorf("got %v from Name, want ErrStopped", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	seen := make(chan struct{})
	go func() {
		defer close(seen)
		awaitPairs(t, n, []kafkasync.Pair{products})
	}()
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error { return l.Use(ctx, products) })
	<-seen
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got, _ := n.Pairs(); len(got) != 1 {
		t.Errorf("got %v, want a node that has stopped to know what it knew", got)
	}
}

func TestAPairThatIsRefusedIsNotInUse(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if err := l.Use(ctx, kafkasync.Pair{Topic: "t", Delay: time.Microsecond}); err == nil {
			t.Error("got no error for a delay that a header cannot say")
		}
		return nil
	})
	if got, _ := n.Pairs(); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

func TestAPairLeavesOnceNobodyNamesIt(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		return errors.Join(
			n.Name(ctx, []raftstate.Naming{{Topics: "shop.pro*", Delay: 5 * time.Minute}, {Topics: "shop.p?????", Delay: 5 * time.Minute}}),
			l.Use(ctx, products), l.Use(ctx, prices), l.Use(ctx, soon),
		)
	})
	unnamed, revision := n.Unnamed()
	if !reflect.DeepEqual(unnamed, []kafkasync.Pair{soon}) {
		t.Fatalf("got %v, want the pair with a delay that no rule has", unnamed)
	}
	if err := n.Name(t.Context(), []raftstate.Naming{{Topics: "*", Delay: time.Second}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Release(t.Context(), soon.Topic, soon.Delay, revision); !errors.Is(err, raftstate.ErrChanged) {
		t.Errorf("got %v, want ErrChanged: a rule names the pair by now", err)
	}
	unnamed, revision = n.Unnamed()
	if !reflect.DeepEqual(unnamed, []kafkasync.Pair{prices, products}) {
		t.Fatalf("got %v, want what the new rules do not name", unnamed)
	}
	_, changed := n.Pairs()
	if err := n.Release(t.Context(), prices.Topic, prices.Delay, revision); err != nil {
		t.Fatal(err)
	}
	receive(t, changed)
	if err := n.Release(t.Context(), products.Topic, products.Delay, revision); !errors.Is(err, raftstate.ErrChanged) {
		t.Errorf("got %v, want ErrChanged: a release is a change itself", err)
	}
	if got, _ := n.Pairs(); !reflect.DeepEqual(got, []kafkasync.Pair{soon, products}) {
		t.Errorf("got %v, want the others to stay", got)
	}
}

func TestTheOrderOfNamingsSaysNothing(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	hold(t, n, "shop", func(context.Context, *raftstate.Lease) error { return nil })
	given := []raftstate.Naming{{Topics: "b", Delay: time.Second}, {Topics: "a", Delay: time.Minute}, {Topics: "a", Delay: time.Second}}
	turned := []raftstate.Naming{given[2], given[1], given[0], given[2]}
	for _, namings := range [][]raftstate.Naming{given, turned} {
		if err := n.Name(t.Context(), namings); err != nil {
			t.Fatal(err)
		}
		if _, revision := n.Unnamed(); revision != 1 {
			t.Errorf("got revision %d after %v, want 1", revision, namings)
		}
	}
	if given[0].Topics != "b" {
		t.Errorf("got %v, want the caller's list as it was", given)
	}
	for _, none := range [][]raftstate.Naming{nil, {}} {
		if err := n.Name(t.Context(), none); err != nil {
			t.Fatal(err)
		}
		if _, revision := n.Unnamed(); revision != 2 {
			t.Errorf("got revision %d after naming nothing, want 2", revision)
		}
	}
}

// A start reads what a snapshot and the log hold, and the rules of the file may be those of the time before
// the last: what is in the snapshot must not be taken for what is stored.
func TestWhatANodeNamesIsComparedWithWhatIsStored(t *testing.T) {
	dir := t.TempDir()
	before, between := []raftstate.Naming{{Topics: "a", Delay: time.Second}}, []raftstate.Naming{{Topics: "b", Delay: time.Second}}
	for i, namings := range [][]raftstate.Naming{nil, before, between, nil, before} {
		n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
		eventually(t, "the node to name its pairs", func() bool { return n.Name(t.Context(), namings) == nil })
		if _, revision := n.Unnamed(); revision != uint64(i) {
			t.Errorf("got revision %d at start %d, want %d", revision, i, i)
		}
		stop()
	}
}

func TestEveryNodeNamesItsPairs(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	leader := receive(t, c.compete("shop"))
	if err := leader.lease.Use(t.Context(), products); err != nil {
		t.Fatal(err)
	}
	for id, n := range c.nodes {
		awaitPairs(t, n, []kafkasync.Pair{products})
		unnamed, revision := n.Unnamed()
		if id != leader.node {
			if len(unnamed) != 1 {
				t.Errorf("got %v, want the pair that nobody names", unnamed)
			}
			if err := n.Release(t.Context(), products.Topic, products.Delay, revision); !errors.Is(err, raftstate.ErrLeadershipLost) {
				t.Errorf("got %v from Release on a follower, want ErrLeadershipLost", err)
			}
		}
	}
	for id, n := range c.nodes {
		if err := n.Name(t.Context(), []raftstate.Naming{{Topics: "of-" + id, Delay: time.Second}}); err != nil {
			t.Errorf("naming what node %s names: %v", id, err)
		}
	}
	for id, n := range c.nodes {
		eventually(t, "node "+id+" to know what all name", func() bool {
			_, revision := n.Unnamed()
			return revision == 4
		})
	}
	follower := c.nodes[c.follower()]
	if err := follower.Name(t.Context(), []raftstate.Naming{{Topics: products.Topic, Delay: products.Delay}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pair to be named", func() bool {
		unnamed, _ := c.nodes[leader.node].Unnamed()
		return len(unnamed) == 0
	})
}

// awaitPairs waits as a delayer does: it looks, and looks again when there may be others.
func awaitPairs(t *testing.T, n *raftstate.Node, want []kafkasync.Pair) {
	t.Helper()
	deadline := time.After(patience)
	for {
		got, changed := n.Pairs()
		if reflect.DeepEqual(got, want) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Errorf("got %v for %s, want %v", got, patience, want)
			return
		}
	}
}
