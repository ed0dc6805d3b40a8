package raftstate_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync/raftstate"
)

// A node refuses entries when it lacks those before them, as one does that has lost its folder. Its leader has to go on
// with it, and has to be able to end.
func TestALeaderGoesOnWithANodeThatRefusesEntries(t *testing.T) {
	t.Parallel()
	v := &refusing{transport: raftstate.TransportOver(listenPlain(t))}
	transport := raftstate.TransportOver(listenPlain(t))
	go v.answer(t.Context())
	rc, store, snaps := raft.DefaultConfig(), raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	rc.LocalID, rc.Logger = "leader", hclog.NewNullLogger()
	if err := raft.BootstrapCluster(rc, store, store, snaps, transport, raft.Configuration{Servers: []raft.Server{
		{ID: rc.LocalID, Address: transport.LocalAddr()}, {ID: "other", Address: v.transport.LocalAddr()},
	}}); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(rc, &raft.MockFSM{}, store, store, snaps, transport)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a leader", func() bool { return r.State() == raft.Leader })

	// Several at a time, so that there is always something to be sent. On a busy machine it may lead only at times.
	written := make(chan struct{})
	go func() {
		defer close(written)
		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for left := 150; left > 0 && t.Context().Err() == nil; {
					if r.Apply([]byte("entry"), 0).Error() == nil {
						left--
					} else {
						<-time.After(10 * time.Millisecond)
					}
				}
			})
		}
		writers.Wait()
	}()
	receive(t, written)
	ended := make(chan error)
	go func() { ended <- r.Shutdown().Error() }()
	if err := receive(t, ended); err != nil {
		t.Error(err)
	}
	if v.refused.Load() == 0 {
		t.Error("nothing was refused, so this has proved nothing")
	}
}

// refusing is a node that votes for everyone, and refuses entries now and then as if it lacked those before.
type refusing struct {
	transport *raft.NetworkTransport
	last      uint64
	refused   atomic.Int64
}

func (v *refusing) answer(ctx context.Context) {
	for batches := 0; ; {
		var rpc raft.RPC
		select {
		case rpc = <-v.transport.Consumer():
		case <-ctx.Done():
			return
		}
		switch req := rpc.Command.(type) {
		case *raft.RequestPreVoteRequest:
			rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: req.RPCHeader, Term: req.Term, Granted: true}, nil)
		case *raft.RequestVoteRequest:
			rpc.Respond(&raft.RequestVoteResponse{RPCHeader: req.RPCHeader, Term: req.Term, Granted: true}, nil)
		case *raft.AppendEntriesRequest:
			resp := &raft.AppendEntriesResponse{RPCHeader: req.RPCHeader, Term: req.Term, LastLog: v.last, Success: req.PrevLogEntry <= v.last}
			if len(req.Entries) > 0 {
				if batches++; batches%5 == 0 {
					resp.Success = false
				}
				if !resp.Success {
					v.refused.Add(1)
				} else {
					v.last = req.Entries[len(req.Entries)-1].Index
				}
			}
			rpc.Respond(resp, nil)
		}
	}
}

// plainStream is TCP as the Raft library sees it.
type plainStream struct{ net.Listener }

func listenPlain(t *testing.T) plainStream {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the library may have closed it
	return plainStream{l}
}

func (plainStream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(to), timeout) //nolint:noctx // the library has no context
}
