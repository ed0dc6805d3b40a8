package raftstate

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

const (
	connectionsPerPeer = 3
	// rpcTimeout bounds a request of the Raft library to a node that has stopped answering. A node
	// that has lost its connection to another finds out from the elections, much earlier.
	rpcTimeout = 5 * time.Second
)

// transport opens what the Raft library talks through. A lone node without an address talks to itself in memory.
func (n *Node) transport(s *store, w *wire) raft.Transport {
	if w == nil {
		address, t := raft.NewInmemTransport(serverAddress(n.cfg.ID, s.incarnation))
		t.Connect(address, t)
		return t
	}
	from := func() (string, raft.ServerID) { return s.clusterID(), serverID(n.cfg.ID, s.incarnation) }
	return transportOver(&stream{wire: w, from: from, closed: make(chan struct{})}, newBridge(n.cfg.Logger))
}

// transportOver sends a node its next entries when it has answered for those before. The library would have two requests
// under way; but when a node refuses one, its pipeline may wait for ever to hand over the answer to the next (raft 1.7.3:
// pipelineDecode has ended, pipelineSend never looks whether it has). Then this node gets nothing any more from
// a leader that does not change, and that leader cannot end.
func transportOver(s raft.StreamLayer, log hclog.Logger) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          s,
		MaxPool:         connectionsPerPeer,
		MaxRPCsInFlight: 1,
		Timeout:         rpcTimeout,
		Logger:          log,
	})
}

func closeTransport(t raft.Transport) error {
	closer, ok := t.(raft.WithClose)
	if !ok {
		return nil
	}
	if err := closer.Close(); err != nil {
		return fmt.Errorf("closing transport: %w", err)
	}
	return nil
}
