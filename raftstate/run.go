package raftstate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// Run opens the node's folder, forms or joins the cluster if that is empty, and
// takes part until ctx ends. It then ends the contexts of all holders, waits for them
// (they may still commit), hands leadership over if there is another node, and
// closes. It returns nil after ctx ended, and may be called once. It ends before
// with a Fault if this node may not or cannot take part any more: it was removed, its
// disk fails, or a majority of the nodes has lost its data folders.
func (n *Node) Run(ctx context.Context) (err error) {
	if !n.advance(idle, opening) {
		return errors.New("running a node that has run already")
	}
	defer n.advance(opening, closed) // what remains if opening fails
	s, err := openStore(n.cfg)
	if err != nil {
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	// What goes from node to node outlives ctx: leadership is handed over after that has ended.
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	w, err := n.connect(alive, s)
	if err != nil {
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, err)
	}
	defer func() {
		end() // of what is being answered
		err = errors.Join(err, w.close())
	}()
	go n.watchDisk(alive, s.log, w)
	r, transport, err := n.start(ctx, s, w)
	switch {
	case err != nil:
		return fmt.Errorf("opening node %q: %w", n.cfg.ID, err)
	case r == nil:
		return nil // ctx ended before there was a cluster
	}
	n.mu.Lock()
	n.raft = r
	n.mu.Unlock()
	defer func() { err = errors.Join(err, n.shutdown(alive, r)) }()
	defer n.attend(alive, r, s, w)()
	n.advance(opening, open)
	n.electLone(r, transport)
	return n.follow(ctx, r.LeaderCh())
}

// connect opens the wire of a node that has an address.
func (n *Node) connect(ctx context.Context, s *store) (*wire, error) {
	n.mu.Lock()
	n.store = s
	n.mu.Unlock()
	if n.cfg.Address == "" {
		return nil, nil
	}
	w, err := n.listen(ctx, s)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.wire = w
	n.mu.Unlock()
	w.group.Go(w.run)
	return w, nil
}

// start returns nil if ctx ends before this node has a cluster.
func (n *Node) start(ctx context.Context, s *store, w *wire) (*raft.Raft, raft.Transport, error) {
	empty, err := s.empty()
	if err != nil {
		return nil, nil, err
	}
	var first raft.Configuration
	if empty {
		first, err = n.enroll(ctx, s)
		select {
		case <-ctx.Done():
			return nil, nil, nil
		default:
		}
		if err != nil {
			return nil, nil, err
		}
	}
	rc, transport := n.cfg.raftConfig(s.incarnation), n.transport(s, w)
	r, err := n.open(s, rc, transport, first)
	if err != nil {
		return nil, nil, errors.Join(err, closeTransport(transport))
	}
	if members := r.GetConfiguration().Configuration().Servers; w == nil && len(members) > 1 {
		return nil, nil, errors.Join(&kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  fmt.Sprintf("the data folder is of a cluster of %d nodes, but this node is to run alone", len(members)),
			Fix:   "list the nodes under cluster.nodes, or give this node a data folder of its own",
		}, r.Shutdown().Error())
	}
	return r, transport, nil
}

func (n *Node) open(s *store, rc *raft.Config, transport raft.Transport, first raft.Configuration) (*raft.Raft, error) {
	if len(first.Servers) > 0 {
		if err := s.form(rc, transport, first); err != nil {
			return nil, cmp.Or(s.log.failure(), err) // the library says it in its own words
		}
	}
	s.log.run()
	var r *raft.Raft
	err := s.guard(func() (err error) {
		r, err = raft.NewRaft(rc, n.machine, s.log, s.log, s.snaps, transport)
		if err != nil {
			err = s.damaged(err)
		}
		return err
	})
	return r, err
}

// watchDisk cuts this node off once its disk has failed, and only then lets the library go on: see disk.
func (n *Node) watchDisk(ctx context.Context, d *disk, w *wire) {
	select {
	case <-d.failed:
		n.fail(d.failure())
		w.cut()
	case <-ctx.Done(): // Raft has ended
	}
	d.release()
}

// attend runs what stands beside follow in a cluster, and returns what ends it.
func (n *Node) attend(ctx context.Context, r *raft.Raft, s *store, w *wire) (end func()) {
	watching, stop := context.WithCancel(ctx)
	if w != nil {
		n.tasks.Go(func() {
			if err := n.watch(watching, r, s); err != nil {
				n.fail(err)
			}
		})
	}
	return stop
}

// fail ends Run. The first reason counts.
func (n *Node) fail(err error) {
	select {
	case n.broke <- err:
	default:
	}
}

// electLone makes the only voter of a cluster leader at once. It would
// otherwise wait out an election timeout for a leader that cannot exist.
func (n *Node) electLone(r *raft.Raft, transport raft.Transport) {
	for _, m := range r.GetConfiguration().Configuration().Servers {
		if (m.Suffrage == raft.Voter) != (m.ID == n.member()) {
			return
		}
	}
	if r.LastIndex() == 0 {
		return // it has joined, and nobody has told it yet what it is
	}
	// TimeoutNow is how a leader that hands over asks its successor to stand.
	id, self := n.member(), transport.LocalAddr()
	ask := &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: transport.EncodePeer(id, self),
	}}
	if err := transport.TimeoutNow(id, self, ask, &raft.TimeoutNowResponse{}); err != nil {
		n.cfg.Logger.Debug("standing for election later", "err", err)
	}
}

// shutdown ends everything in the order in which it depends on one another.
func (n *Node) shutdown(ctx context.Context, r *raft.Raft) error {
	n.advance(open, closing)
	n.holds.Wait()
	n.tasks.Wait()
	if r.State() == raft.Leader && len(r.GetConfiguration().Configuration().Servers) > 1 {
		if err := n.yield(ctx, r, ""); err != nil {
			n.cfg.Logger.Info("leaving without handing leadership over", "err", err)
		}
	}
	n.advance(closing, closed)
	// The library does not answer what is under way when it is shut down, so that a waiting
	// goroutine would stay for ever. It does answer as long as it runs.
	n.inflight.Wait()
	n.mu.Lock()
	w := n.wire
	n.mu.Unlock()
	w.cut() // or the library would wait for what it has sent to a node that does not answer
	if err := r.Shutdown().Error(); err != nil {
		return fmt.Errorf("closing node %q: %w", n.cfg.ID, err)
	}
	return nil
}
