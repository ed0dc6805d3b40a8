// Package raftstate is what the nodes of a cluster agree on: who runs a
// pipeline (the lease and its epoch), how far it is (the checkpoint), which
// sequence numbers it may use (the ceiling), whether its server has been
// prepared (the declaration), and which topics have messages that carry which
// delay (the pairs). A cluster may be a single node; the code is the same.
//
// It promises:
//   - a Commit, Raise, Declare or Use that returned nil is stored by a quorum,
//     on disk, and survives any crash of fewer nodes than that;
//   - every grant of a pipeline's lease has its own epoch, one higher than the
//     one before, and nothing is ever stored under an older epoch: a run that
//     lingers is fenced even if its successor is on the same node;
//   - a pair in use stays until it is released by somebody who has seen the newest
//     pairs, and the newest of what the members' rules name;
//   - the context of a holder ends when this node stops leading;
//   - a cluster forms once. A node that lost its folder comes back as another member, which
//     has promised nothing yet, and a cluster whose majority did so stops;
//   - the same commands lead to the same state on every node and in every
//     release: commands are versioned, their bytes never change, and a node that
//     cannot read one stops rather than going on without it.
//
// It never carries row traffic, never compares positions (only their source can),
// and its state machine never looks at a clock, at random numbers or at the disk.
package raftstate

import "errors"

var (
	// ErrFenced is returned when another lease of the pipeline has been granted
	// since, or when a commit is not newer than the last one of its lease.
	ErrFenced = errors.New("fenced by a newer lease")
	// ErrLeadershipLost is why a holder's context ends when this node no longer
	// leads. An operation that fails with it may still have been stored.
	ErrLeadershipLost = errors.New("this node no longer leads the cluster")
	// ErrStopped is returned, and is why a holder's context ends, once Run is ending or has ended.
	ErrStopped = errors.New("this node is stopping")
	// ErrChanged is returned by Release if pairs or namings are others than those that its caller has seen.
	ErrChanged = errors.New("the pairs in use, or what names them, have changed since")
	// ErrNoLeader is returned by what is for the leader while this node knows of none.
	ErrNoLeader = errors.New("no leader is known")
	// ErrNotMember is returned for a node that is no member of the cluster.
	ErrNotMember = errors.New("not a member of the cluster")
	// ErrHeld is returned by Hold while another Hold of the pipeline is under way on this node.
	ErrHeld = errors.New("already held by this node")
)
