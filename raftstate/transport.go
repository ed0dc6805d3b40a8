package raftstate

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

const (
	connectionsPerPeer = 3
	dialTimeout        = 5 * time.Second
)

// transport opens what the nodes talk through. A lone node without an address talks to itself in memory.
func (c Config) transport() (raft.Transport, error) {
	switch {
	case c.Transport != nil:
		return c.Transport, nil
	case c.Address == "":
		address, t := raft.NewInmemTransport(raft.ServerAddress(c.ID))
		t.Connect(address, t)
		return t, nil
	default:
		t, err := raft.NewTCPTransportWithLogger(c.Address, nil, connectionsPerPeer, dialTimeout, newBridge(c.Logger))
		if err != nil {
			return nil, fmt.Errorf("listening on %s: %w", c.Address, err)
		}
		return t, nil
	}
}

// voters are the members that a new cluster starts with.
func (c Config) voters(t raft.Transport) []raft.Server {
	if len(c.Peers) == 0 {
		return []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(c.ID), Address: t.LocalAddr()}}
	}
	voters := make([]raft.Server, len(c.Peers))
	for i, p := range c.Peers {
		voters[i] = raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address)}
	}
	return voters
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
