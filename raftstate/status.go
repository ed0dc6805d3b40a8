package raftstate

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
)

// Status is what this node knows of the cluster. On a node that does not lead it may be behind.
type Status struct {
	ClusterID string // "" until the first lease was granted
	ID        string // of this node
	Role      string // of this node: leader, follower, candidate, starting or stopped
	Leader    string // id of the leader; "" if none is known
	Applied   uint64 // index of the last log entry that this node has applied
	Committed uint64 // of the last one that it knows to be committed: on the leader, of all nodes the most
	Nodes     []Member
	Pipelines []Pipeline       // by name
	Pairs     []kafkasync.Pair // in use, by topic and delay; their Ends are not to be changed
}

// Member is a node of the cluster.
type Member struct {
	ID      string
	Address string
	Role    string // leader, follower, learner: receives everything and does not vote yet, or awaited: was added and has not come yet
}

// Pipeline is what the cluster remembers of a pipeline.
type Pipeline struct {
	Name     string
	Holder   string // id of the node that was given the last lease
	Epoch    uint64
	Position source.Position
	Ceiling  int64
	Declared bool
	Covered  []source.Coverage // not to be changed
	Gaps     []source.Gap      // one without To is still open
}

// Status returns a copy of what is known now. It waits for nothing.
func (n *Node) Status() Status {
	s := n.machine.status()
	s.ID = n.cfg.ID
	n.mu.Lock()
	phase, r := n.phase, n.raft
	n.mu.Unlock()
	switch {
	case phase >= closed:
		s.Role = "stopped"
		return s
	case r == nil:
		s.Role = "starting"
		return s
	}
	_, leader := r.LeaderWithID()
	s.Leader = nodeOf(leader)
	s.Role = roleName(r.State())
	s.Applied = r.AppliedIndex() // first: both only grow
	s.Committed = r.CommitIndex()
	s.Nodes = membersOf(r.GetConfiguration().Configuration().Servers, leader)
	return s
}

// membersOf shows each node once, as its newest incarnation.
func membersOf(servers []raft.Server, leader raft.ServerID) (members []Member) {
	for _, server := range servers {
		if last, _ := newest(servers, nodeOf(server.ID)); last.ID != server.ID {
			continue
		}
		address, _ := placeOf(server.Address)
		m := Member{ID: nodeOf(server.ID), Address: address, Role: "follower"}
		switch {
		case isAwaited(server):
			m.Role = "awaited"
		case server.Suffrage != raft.Voter:
			m.Role = "learner"
		case server.ID == leader:
			m.Role = "leader"
		}
		members = append(members, m)
	}
	return members
}

// inStep is how many entries may be on their way into the state of a node that
// has caught up: one batch of the library. Without it, whoever asks while a
// commit is being applied would be told that the node is not ready.
const inStep = 64

const (
	why        = "a majority of the nodes cannot be reached, or they are voting"
	leaderless = "no leader is known: " + why // what a node waits for that is a member
)

// Ready returns nil when a leader is known and this node keeps up with what it knows to be committed.
func (n *Node) Ready() error {
	if err := n.machine.failure(); err != nil {
		return err
	}
	n.mu.Lock()
	phase, r, waiting := n.phase, n.raft, n.waiting
	n.mu.Unlock()
	switch {
	case phase >= closing:
		return ErrStopped
	case r == nil && waiting == "":
		return errors.New("this node is starting")
	case r == nil:
		return errors.New(waiting)
	}
	if address, _ := r.LeaderWithID(); address == "" {
		if waiting != "" && waiting != leaderless {
			return errors.New(waiting)
		}
		return fmt.Errorf("%w: %s", ErrNoLeader, why)
	}
	// A node that starts does not know what is committed until the leader has committed something new.
	if r.CommitIndex() == 0 {
		return errors.New("catching up: waiting for the leader's first entry")
	}
	if left := behind(r); left > inStep {
		return fmt.Errorf("catching up: %d log entries to apply", left)
	}
	return nil
}

func (m *machine) status() Status {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := Status{ClusterID: m.state.clusterID, Pairs: slices.Clone(m.state.pairs)}
	for _, name := range slices.Sorted(maps.Keys(m.state.pipelines)) {
		r := m.state.pipelines[name]
		s.Pipelines = append(s.Pipelines, Pipeline{
			Name: name, Holder: r.holder, Epoch: r.epoch, Position: r.position, Ceiling: r.ceiling, Declared: r.declared,
			Covered: r.covered, Gaps: slices.Concat(r.gaps, r.openGaps()),
		})
	}
	return s
}

func behind(r *raft.Raft) uint64 {
	applied := r.AppliedIndex() // first: both only grow
	if committed := r.CommitIndex(); committed > applied {
		return committed - applied
	}
	return 0
}

func roleName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Shutdown:
		return "stopped"
	default:
		return "follower"
	}
}
