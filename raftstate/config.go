package raftstate

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

// DefaultElectionTimeout suits nodes with up to some 50 ms between them.
const DefaultElectionTimeout = 500 * time.Millisecond

// Commits come every 200 ms. A snapshot every 4096 entries keeps a restart
// short; twice as many entries stay in the log, so that the older of the two
// retained snapshots can be started from as well.
const (
	defaultSnapshotThreshold = 4096
	trailingPerSnapshot      = 2
	snapshotInterval         = 2 * time.Minute
)

// Peer is a node as the others reach it.
type Peer struct {
	ID      string
	Address string
}

// Config says who a node is and where it keeps its data.
type Config struct {
	// ID names the node within the cluster; it must not change while Dir is kept.
	ID string
	// Dir holds the log and the snapshots of this node alone.
	Dir string
	// Address is host:port to listen on, as the other nodes reach it. "" is for a lone node, which then listens nowhere.
	Address string
	// Peers are the first voters of the cluster, this node among them; only an
	// empty Dir reads them. None means that the node is alone.
	Peers []Peer
	// ElectionTimeout is how long a leader may be silent before the others vote;
	// a leader without a quorum steps down after four fifths of it. Default 500 ms.
	ElectionTimeout time.Duration
	// SnapshotThreshold is the number of log entries after which the log is replaced by a snapshot. Default 4096.
	SnapshotThreshold uint64
	// Transport replaces the one that Address asks for. Run closes it.
	Transport raft.Transport
	// Logger gets what an operator may want to know; nil discards it.
	Logger *slog.Logger
	// Observe is told how long each commit took until a quorum had stored it; may be nil.
	Observe func(time.Duration)
}

// validate reports every contradiction at once.
func (c Config) validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.ID == "" {
		report("node id: missing")
	}
	if c.Dir == "" {
		report("data folder: missing")
	}
	if c.ElectionTimeout < 0 || c.ElectionTimeout > 0 && c.ElectionTimeout < 10*time.Millisecond {
		report("election timeout %s: want at least 10ms", c.ElectionTimeout)
	}
	if len(c.Peers) > 0 && c.Address == "" && c.Transport == nil {
		report("address: missing; a node of a cluster must be reachable")
	}
	seen, own := map[string]bool{}, false
	for _, p := range c.Peers {
		if p.ID == "" || p.Address == "" {
			report("node %q at %q: want an id and an address", p.ID, p.Address)
		}
		if seen[p.ID] || seen["@"+p.Address] {
			report("node %q at %q: listed twice", p.ID, p.Address)
		}
		seen[p.ID], seen["@"+p.Address] = true, true
		own = own || p.ID == c.ID
	}
	if len(c.Peers) > 0 && !own {
		report("node %q: not among the nodes of the cluster", c.ID)
	}
	return errors.Join(problems...)
}

// withDefaults returns c with what was left out.
func (c Config) withDefaults() Config {
	if c.ElectionTimeout == 0 {
		c.ElectionTimeout = DefaultElectionTimeout
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = defaultSnapshotThreshold
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(time.Duration) {}
	}
	return c
}

// raftConfig translates c for the library.
func (c Config) raftConfig() *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.HeartbeatTimeout = c.ElectionTimeout
	rc.ElectionTimeout = c.ElectionTimeout
	rc.LeaderLeaseTimeout = c.ElectionTimeout * 4 / 5
	rc.SnapshotThreshold = c.SnapshotThreshold
	rc.TrailingLogs = trailingPerSnapshot * c.SnapshotThreshold
	rc.SnapshotInterval = snapshotInterval
	// A node that was removed stays a follower of nobody: who runs it sees that it is not ready.
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
	rc.Logger = newBridge(c.Logger)
	return rc
}
