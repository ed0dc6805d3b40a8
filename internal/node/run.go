package node

import (
	"context"
	"fmt"
	"sync"
)

// Run runs the node until ctx ends, or until it cannot listen or cannot keep
// the cluster's state. It returns nil when it ended because ctx did.
//
// It ends in an order in which nobody waits for what is not needed: once the pipelines have committed
// a last time, leadership goes to another node, while the delayers still leave their groups. Until everything has
// ended, HTTP answers.
func (n *Node) Run(ctx context.Context) error {
	listener, err := n.web.Listen(ctx) // before anything is touched: a second process fails here
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 2)
	state := background(ctx, failed, "keeping the cluster's state", n.raft.Run)
	defer state.end()
	api := background(ctx, failed, "serving HTTP", func(ctx context.Context) error { return n.web.Serve(ctx, listener) })
	defer api.end()

	var pipelines, services sync.WaitGroup
	for _, m := range n.members {
		pipelines.Go(func() { m.supervisor.supervise(ctx) })
	}
	for _, run := range []func(context.Context){n.delays.run, n.delays.release, n.declare, n.successor.run} {
		services.Go(func() { run(ctx) })
	}
	n.log.InfoContext(ctx, "running", "node", n.cfg.NodeID, "http", listener.Addr().String())

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop()
	pipelines.Wait()
	state.end()
	services.Wait()
	api.end()
	if err == nil {
		select {
		case err = <-failed: // on the way out
		default:
		}
	}
	return err
}

// outlasting is something that does not end with the context of the node.
type outlasting struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func background(ctx context.Context, failed chan<- error, what string, run func(context.Context) error) *outlasting {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &outlasting{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		if err := run(ctx); err != nil {
			failed <- fmt.Errorf("%s: %w", what, err)
		}
	}()
	return o
}

// end ends it and waits for that.
func (o *outlasting) end() {
	o.cancel()
	<-o.done
}
