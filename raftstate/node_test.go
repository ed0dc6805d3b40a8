package raftstate_test

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

const patience = 20 * time.Second

func TestALoneNodeLeadsWithoutWaitingForAnElection(t *testing.T) {
	for name, address := range map[string]string{"in memory": "", "over TCP": "127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			// With this timeout a regular election would take longer than the test's patience.
			n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir(), Address: address, ElectionTimeout: 3 * patience})
			hold(t, n, "shop", func(context.Context, *raftstate.Lease) error { return nil })
			if err := n.Ready(); err != nil {
				t.Errorf("got %v, want the node ready", err)
			}
		})
	}
}

func TestARestartKeepsWhatWasCommitted(t *testing.T) {
	dir := t.TempDir()
	var ceiling int64
	var clusterID string
	n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if l.Position() != "" || l.Epoch() != 1 || l.Declared() {
			t.Errorf("got %q, epoch %d, declared %t, want a fresh pipeline", l.Position(), l.Epoch(), l.Declared())
		}
		if now := time.Now().UnixMicro(); l.Floor() > now || l.Floor() < now-patience.Microseconds() || l.Ceiling() != l.Floor() {
			t.Errorf("got floor %d, ceiling %d, want both at about %d", l.Floor(), l.Ceiling(), now)
		}
		ceiling = l.Floor() + time.Hour.Microseconds() // ahead of the clock of the next lease
		return errors.Join(l.Declare(ctx), l.Raise(ctx, ceiling), l.Commit(ctx, "p1"), l.Commit(ctx, "p2"))
	})
	clusterID = n.Status().ClusterID
	stop()

	n, _ = run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(_ context.Context, l *raftstate.Lease) error {
		if l.Position() != "p2" || l.Epoch() != 2 || !l.Declared() {
			t.Errorf("got %q, epoch %d, declared %t, want p2, epoch 2, declared", l.Position(), l.Epoch(), l.Declared())
		}
		if l.Floor() != ceiling || l.Ceiling() != ceiling {
			t.Errorf("got floor %d, ceiling %d, want both at the old ceiling %d", l.Floor(), l.Ceiling(), ceiling)
		}
		return nil
	})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if got := n.Status().ClusterID; got != clusterID || !uuid.MatchString(got) {
		t.Errorf("got cluster %q after %q, want the same UUID", got, clusterID)
	}
}

func TestALeaseIsFencedOnceAnotherIsGranted(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	var old *raftstate.Lease
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		old = l
		return l.Commit(ctx, "p1")
	})
	if err := old.Commit(t.Context(), "p2"); err != nil {
		t.Errorf("got %v, want a lease to be of use until the next is granted", err)
	}
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		for name, err := range map[string]error{
			"Commit":  old.Commit(ctx, "p3"),
			"Raise":   old.Raise(ctx, old.Ceiling()+1),
			"Declare": old.Declare(ctx),
			"Use":     old.Use(ctx, kafkasync.Pair{Topic: "t", Delay: time.Second}),
		} {
			if !errors.Is(err, raftstate.ErrFenced) {
				t.Errorf("%s: got %v, want ErrFenced", name, err)
			}
		}
		if l.Position() != "p2" {
			t.Errorf("got %q, want p2", l.Position())
		}
		return l.Commit(ctx, "p4")
	})
	if got := n.Status().Pipelines[0].Position; got != "p4" {
		t.Errorf("got %q, want the new lease's p4", got)
	}
}

func TestCommittingTheSamePlaceAgainCostsNothing(t *testing.T) {
	var commits int
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir(), Observe: func(d time.Duration) {
		commits++
		if d <= 0 {
			t.Errorf("got a commit of %s, want a duration", d)
		}
	}})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		return errors.Join(l.Commit(ctx, "p1"), l.Commit(ctx, "p1"), l.Commit(ctx, "p2"), l.Commit(ctx, "p1"))
	})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if err := l.Commit(ctx, ""); err == nil {
			t.Error("got no error for an empty position")
		}
		return l.Commit(ctx, "p1") // where the last lease left it
	})
	if commits != 3 {
		t.Errorf("got %d commits, want 3", commits)
	}
}

func TestACommitGivesUpWithItsContext(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		ended, cancel := context.WithCancelCause(ctx)
		cancel(errors.New("enough"))
		// Both ends of the race are allowed; what must not happen is that the
		// next commit of the same place is taken for one that is known to be stored.
		if err := l.Commit(ended, "p1"); err != nil && !strings.Contains(err.Error(), "enough") {
			t.Errorf("got %v, want the context's cause", err)
		}
		return l.Commit(ctx, "p1")
	})
	if got := n.Status().Pipelines[0].Position; got != "p1" {
		t.Errorf("got %q, want p1", got)
	}
}

func TestAPipelineIsHeldOnceAtATime(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	hold(t, n, "shop", func(ctx context.Context, _ *raftstate.Lease) error {
		err := n.Hold(ctx, "shop", func(context.Context, *raftstate.Lease) error { return nil })
		if !errors.Is(err, raftstate.ErrHeld) {
			t.Errorf("got %v, want ErrHeld", err)
		}
		hold(t, n, "crm", func(context.Context, *raftstate.Lease) error { return nil })
		return nil
	})
}

func TestHoldReturnsWhatTheHolderReturns(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	want := errors.New("the source is down")
	if got := n.Hold(t.Context(), "shop", func(context.Context, *raftstate.Lease) error { return want }); !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHoldersMayCommitWhileTheNodeStops(t *testing.T) {
	dir := t.TempDir()
	n, err := raftstate.New(raftstate.Config{ID: "a", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	runCtx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(runCtx) }()
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		stop()
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, raftstate.ErrStopped) {
			t.Errorf("got cause %v, want ErrStopped", cause)
		}
		return l.Commit(context.WithoutCancel(ctx), "drained")
	})
	if err := <-ended; err != nil {
		t.Errorf("got %v from Run, want nil", err)
	}
	if got := n.Status(); got.Pipelines[0].Position != "drained" || got.Role != "stopped" {
		t.Errorf("got %+v, want a stopped node that drained", got)
	}
	if err := n.Hold(t.Context(), "shop", nil); !errors.Is(err, raftstate.ErrStopped) {
		t.Errorf("got %v from Hold, want ErrStopped", err)
	}
	if err := n.Ready(); !errors.Is(err, raftstate.ErrStopped) {
		t.Errorf("got %v from Ready, want ErrStopped", err)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("got no error from a second Run")
	}
}

func TestHoldWaitsUntilItsContextEnds(t *testing.T) {
	n, err := raftstate.New(raftstate.Config{ID: "a", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err == nil {
		t.Error("got no error from Ready before Run")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Hold(ctx, "shop", nil) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestStatusShowsTheClusterAndItsPipelines(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	for _, name := range []string{"shop", "crm"} {
		hold(t, n, name, func(ctx context.Context, l *raftstate.Lease) error { return l.Commit(ctx, source.Position("at-"+name)) })
	}
	eventually(t, "the last entry to be counted as applied", func() bool { s := n.Status(); return s.Applied > 0 && s.Applied == s.Committed })
	s := n.Status()
	if s.ID != "a" || s.Leader != "a" || s.Role != "leader" {
		t.Errorf("got %+v, want node a leading", s)
	}
	if len(s.Nodes) != 1 || s.Nodes[0] != (raftstate.Member{ID: "a", Address: "a", Role: "leader"}) {
		t.Errorf("got nodes %+v, want a alone", s.Nodes)
	}
	if len(s.Pipelines) != 2 || s.Pipelines[0].Name != "crm" || s.Pipelines[1].Name != "shop" ||
		s.Pipelines[1].Holder != "a" || s.Pipelines[1].Epoch != 1 || s.Pipelines[1].Position != "at-shop" {
		t.Errorf("got pipelines %+v, want crm and shop in this order", s.Pipelines)
	}
}

func TestNewReportsEveryContradiction(t *testing.T) {
	_, err := raftstate.New(raftstate.Config{
		ElectionTimeout: time.Millisecond,
		Peers:           []raftstate.Peer{{ID: "a", Address: "x:1"}, {ID: "a", Address: "x:2"}, {ID: "b"}},
	})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"node id", "data folder", "election timeout", "address: missing", "listed twice", "want an id and an address", "not among"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestTheFolderMustBeThisNodesAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "run")
	n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(context.Context, *raftstate.Lease) error {
		if err := runOnce(t, raftstate.Config{ID: "a", Dir: dir}); kafkasync.ClassOf(err) != kafkasync.Wait ||
			!strings.Contains(err.Error(), "another process is using the data folder") {
			t.Errorf("got %v, want the folder in use", err)
		}
		return nil
	})
	stop()
	if err := runOnce(t, raftstate.Config{ID: "b", Dir: dir}); kafkasync.ClassOf(err) != kafkasync.Stop ||
		!strings.Contains(err.Error(), `belongs to node "a", this is node "b"`) {
		t.Errorf("got %v, want the folder of another node refused", err)
	}
}

// run starts a node; it is stopped by stop, at the latest when the test ends.
func run(t *testing.T, cfg raftstate.Config) (n *raftstate.Node, stop func()) {
	t.Helper()
	n, err := raftstate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.Run(ctx); err != nil {
			t.Errorf("running node %s: %v", cfg.ID, err)
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return n, stop
}

// runOnce returns why a node does not start.
func runOnce(t *testing.T, cfg raftstate.Config) error {
	t.Helper()
	n, err := raftstate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return n.Run(ctx)
}

// hold holds a pipeline of a node that is expected to lead.
func hold(t *testing.T, n *raftstate.Node, name string, fn func(context.Context, *raftstate.Lease) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Hold(ctx, name, fn); err != nil {
		t.Fatalf("holding %s: %v", name, err)
	}
}
