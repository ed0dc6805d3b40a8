package raftstate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestEveryTrueIsATermOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := New(Config{ID: "a", Dir: "not opened"})
		if err != nil {
			t.Fatal(err)
		}
		leads := make(chan bool)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.follow(ctx, leads) }()
		next := func(leading bool) *term {
			leads <- leading
			synctest.Wait()
			return n.term
		}

		first := next(true)
		second := next(true)
		if first == second || !first.over() || !errors.Is(first.cause, ErrLeadershipLost) || second.over() {
			t.Error("a second true without a false between: want the first term ended and another begun")
		}
		if none := next(false); none != nil || !second.over() {
			t.Error("false: want the term ended and no other begun")
		}
		third := next(true)
		cancel()
		if err := <-ended; err != nil || !third.over() || !errors.Is(third.cause, ErrStopped) {
			t.Errorf("got %v, cause %v, want the last term to end with ErrStopped", err, third.cause)
		}
	})
}

func TestAnUnreadableEntryEndsTheRun(t *testing.T) {
	n, err := New(Config{ID: "a", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	err = n.Hold(ctx, "shop", func(ctx context.Context, _ *Lease) error {
		if err := n.raft.Apply([]byte{99, 1}, 0).Error(); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if want := n.machine.failure(); want == nil || !errors.Is(err, want) {
		t.Errorf("got %v from Hold, want %v", err, want)
	}
	if got := <-ended; !errors.Is(got, n.machine.failure()) {
		t.Errorf("got %v from Run, want %v", got, n.machine.failure())
	}
}
