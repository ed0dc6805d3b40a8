package raftstate_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
)

func TestWhatIsCoveredAndMissingSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	covered := []source.Coverage{{Table: "public.a", ID: "1"}, {Table: "public.b", ID: "2", Since: "p1"}}
	late := source.Gap{Table: "public.b", To: "p1", Cause: "covered late"}
	n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if got := l.Covered(); len(got) != 0 {
			t.Errorf("got %v, want a fresh pipeline to cover nothing", got)
		}
		if err := errors.Join(l.Commit(ctx, "p1"), l.Cover(ctx, covered, []source.Gap{late})); err != nil {
			return err
		}
		got := l.Covered()
		if !reflect.DeepEqual(got, covered) {
			t.Errorf("got %v, want %v", got, covered)
		}
		got[0].Table = "changed" // the list is the caller's
		if l.Covered()[0].Table != "public.a" {
			t.Error("a list that was handed out is shared with the lease")
		}
		if l.Cluster() != n.Status().ClusterID || l.Cluster() == "" {
			t.Errorf("got cluster %q, want %q", l.Cluster(), n.Status().ClusterID)
		}
		return nil
	})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error { return l.Skip(ctx, "", "a lost slot") })
	stop()

	n, _ = run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if l.Position() != "" || !l.Declared() || !reflect.DeepEqual(l.Covered(), covered) {
			t.Errorf("got %q, declared %t, %v, want no position, declared and %v", l.Position(), l.Declared(), l.Covered(), covered)
		}
		return l.Commit(ctx, "p9")
	})
	want := []source.Gap{
		late, {Table: "public.a", From: "p1", To: "p9", Cause: "a lost slot"}, {Table: "public.b", From: "p1", To: "p9", Cause: "a lost slot"},
	}
	if got := n.Status().Pipelines[0]; !reflect.DeepEqual(got.Gaps, want) || !reflect.DeepEqual(got.Covered, covered) {
		t.Errorf("got %v covered with gaps %v, want %v", got.Covered, got.Gaps, want)
	}
}

// It costs no entry of the log of its own.
func TestWhereCoverageWasInOrderGoesWithTheNextCommit(t *testing.T) {
	dir := t.TempDir()
	intact := func(t *testing.T, want source.Position) func(context.Context, *raftstate.Lease) error {
		return func(_ context.Context, l *raftstate.Lease) error {
			t.Helper()
			if got := l.Intact(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			return nil
		}
	}
	n, stop := run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		if got := l.Intact(); got != "" {
			t.Errorf("got %q of a fresh pipeline, want nothing", got)
		}
		l.SetIntact("i1")
		if got := l.Intact(); got != "i1" {
			t.Errorf("got %q, want i1 at once", got)
		}
		err := l.Commit(ctx, "p1")
		l.SetIntact("i2")
		return errors.Join(err, l.Commit(ctx, "p1")) // which does nothing
	})
	hold(t, n, "shop", intact(t, "i1"))
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error { return l.Commit(ctx, "p2") })
	stop()

	n, _ = run(t, raftstate.Config{ID: "a", Dir: dir})
	hold(t, n, "shop", intact(t, "i1"))
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		return errors.Join(l.Skip(ctx, "p9", "x"), l.Commit(ctx, "p10"))
	})
	hold(t, n, "shop", intact(t, ""))
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		l.SetIntact("i3")
		return errors.Join(l.Commit(ctx, "p11"), l.Drop(ctx))
	})
	hold(t, n, "shop", intact(t, ""))
}

func TestADroppedPipelineBeginsAnewUnderTheNextEpoch(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	var floor int64
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		floor = l.Floor() + 1_000_000_000
		return errors.Join(l.Declare(ctx), l.Raise(ctx, floor), l.Commit(ctx, "p1"),
			l.Cover(ctx, []source.Coverage{{Table: "t"}}, []source.Gap{{Table: "t", To: "p1"}}), l.Drop(ctx))
	})
	if got := n.Status().Pipelines[0]; got.Position != "" || got.Declared || len(got.Covered)+len(got.Gaps) != 0 {
		t.Errorf("got %+v, want nothing known of it", got)
	}
	hold(t, n, "shop", func(_ context.Context, l *raftstate.Lease) error {
		if l.Epoch() != 2 || l.Floor() < floor || l.Position() != "" || l.Declared() {
			t.Errorf("got epoch %d, floor %d, %q, declared %t, want a fresh pipeline with epoch 2 and a floor of at least %d",
				l.Epoch(), l.Floor(), l.Position(), l.Declared(), floor)
		}
		return nil
	})
}

func TestALeaseThatWasReplacedMayChangeNothing(t *testing.T) {
	n, _ := run(t, raftstate.Config{ID: "a", Dir: t.TempDir()})
	var old *raftstate.Lease
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		old = l
		return errors.Join(l.Verify(ctx), l.Commit(ctx, "p1"))
	})
	hold(t, n, "web", func(ctx context.Context, _ *raftstate.Lease) error { return old.Verify(ctx) }) // another pipeline's lease says nothing
	hold(t, n, "shop", func(ctx context.Context, l *raftstate.Lease) error {
		for name, err := range map[string]error{
			"Verify": old.Verify(ctx),
			"Cover":  old.Cover(ctx, []source.Coverage{{Table: "t"}}, nil),
			"Skip":   old.Skip(ctx, "", "x"),
			"Drop":   old.Drop(ctx),
		} {
			if !errors.Is(err, raftstate.ErrFenced) {
				t.Errorf("%s: got %v, want ErrFenced", name, err)
			}
		}
		return l.Verify(ctx)
	})
	if got := n.Status().Pipelines[0]; got.Position != "p1" || len(got.Covered) != 0 {
		t.Errorf("got %+v, want what the old lease tried to have no effect", got)
	}
}

func TestALeaseIsNotVerifiedWithoutAQuorum(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	granted := c.compete("web")
	first := receive(t, granted)
	if err := first.lease.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.net.isolate(first.node, true)
	if err := first.lease.Verify(t.Context()); !errors.Is(err, raftstate.ErrLeadershipLost) {
		t.Errorf("got %v without a quorum, want ErrLeadershipLost", err)
	}
	second := receive(t, granted)
	c.net.isolate(first.node, false)
	if err := second.lease.Verify(t.Context()); err != nil {
		t.Errorf("got %v for the new lease, want nil", err)
	}
	if err := first.lease.Verify(t.Context()); err == nil {
		t.Error("got no error for the old lease")
	}
}
