package raftstate

import (
	"fmt"
	"time"

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
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  &stream{wire: w, from: from, closed: make(chan struct{})},
		MaxPool: connectionsPerPeer,
		Timeout: rpcTimeout,
		Logger:  newBridge(n.cfg.Logger),
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
