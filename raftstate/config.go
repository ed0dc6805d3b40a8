package raftstate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
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
	// Address is host:port as the other nodes reach this one. "" is for a lone node, which then listens nowhere.
	Address string
	// Listen is host:port to listen on. Default: Address.
	Listen string
	// Peers are the nodes that form the cluster, this node among them, in an order
	// that is the same on each; the first forms it. Only an empty Dir reads them, and a
	// node that looks for the others. None means that the node is alone.
	Peers []Peer
	// TLS is for what goes from node to node; nil leaves it open to whoever can reach Listen.
	TLS *TLS
	// ElectionTimeout is how long a leader may be silent before the others vote;
	// a leader without a quorum steps down after four fifths of it. Default 500 ms.
	ElectionTimeout time.Duration
	// SnapshotThreshold is the number of log entries after which the log is replaced by a snapshot. Default 4096.
	SnapshotThreshold uint64
	// Answer answers Ask and AskNode on this node; nil refuses. It runs beside everything else.
	Answer func(ctx context.Context, payload []byte) ([]byte, error)
	// Logger gets what an operator may want to know; nil discards it.
	Logger *slog.Logger
	// Observe is told how long each commit took until a quorum had stored it; may be nil.
	Observe func(time.Duration)

	// Dial connects to an address; nil is TCP. It is for tests that cut nodes off.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Disk is asked before everything that is written to the log; what it returns is why that
	// fails. It is for tests of a disk that breaks.
	Disk func() error
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
	if strings.Contains(c.ID+c.Address, incarnationMark) {
		report("node %q at %q: want neither with %s", c.ID, c.Address, incarnationMark)
	}
	if len(c.Peers) > 0 && c.Address == "" {
		report("address: missing; a node of a cluster must be reachable")
	}
	if c.TLS != nil && (c.TLS.Cert == "" || c.TLS.Key == "" || c.TLS.CA == "") {
		report("TLS: want a certificate, its key and the authority that signs all of them")
	}
	return errors.Join(append(problems, c.validatePeers()...)...)
}

func (c Config) validatePeers() (problems []error) {
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	seen, own := map[string]bool{}, false
	for _, p := range c.Peers {
		if p.ID == "" || p.Address == "" {
			report("node %q at %q: want an id and an address", p.ID, p.Address)
		}
		if seen[p.ID] || seen["@"+p.Address] {
			report("node %q at %q: listed twice", p.ID, p.Address)
		}
		seen[p.ID], seen["@"+p.Address] = true, true
		if p.ID == c.ID {
			own = true
			if p.Address != c.Address {
				report("node %q: listed at %q, but its address is %q", p.ID, p.Address, c.Address)
			}
		}
	}
	if len(c.Peers) > 0 && !own {
		report("node %q: not among the nodes of the cluster", c.ID)
	}
	return problems
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
	if c.Listen == "" {
		c.Listen = c.Address
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
	}
	if c.Disk == nil {
		c.Disk = func() error { return nil }
	}
	if c.Observe == nil {
		c.Observe = func(time.Duration) {}
	}
	return c
}

// raftConfig translates c for the library, whose default is to ask whether it would win an
// election before a node disturbs the others with one.
func (c Config) raftConfig(incarnation string) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = serverID(c.ID, incarnation)
	rc.HeartbeatTimeout = c.ElectionTimeout
	rc.ElectionTimeout = c.ElectionTimeout
	rc.LeaderLeaseTimeout = c.ElectionTimeout * 4 / 5
	rc.SnapshotThreshold = c.SnapshotThreshold
	rc.TrailingLogs = trailingPerSnapshot * c.SnapshotThreshold
	rc.SnapshotInterval = snapshotInterval
	// A node that was removed finds out by itself, and ends with what an operator has to know: see watch.go.
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
	rc.Logger = newBridge(c.Logger)
	return rc
}
