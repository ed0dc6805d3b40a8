package raftstate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// enrollEvery is the pause between two looks at the other nodes while there is no cluster yet.
const enrollEvery = 100 * time.Millisecond

// enroll makes an empty node part of a cluster: of the one that exists, or,
// if it is the first of the file and all of them are empty, of one that it forms.
// It returns the first configuration of that, or none if another node has it.
//
// Only the first forms a cluster, so that two nodes that do not see each other
// cannot form two. Only when it sees that all are empty, so that one that lost its
// folder does not form a second. It starts as the only voter; the others are members
// from the first entry on, by the incarnations that were seen, and become voters one by one.
//
// Whenever it dies on the way: before the first entry is stored, nothing has happened. After it,
// its folder holds everything, and it goes on when it comes back. If the folder is lost as well
// while the others are empty still, they are asked anew and a new cluster forms; if
// they have entries already, nobody may say that none of these was promised: see lost.
func (n *Node) enroll(ctx context.Context, s *store) (raft.Configuration, error) {
	self := raft.Server{ID: serverID(n.cfg.ID, s.incarnation), Address: serverAddress(n.address(), s.incarnation)}
	if len(n.cfg.Peers) == 0 {
		return raft.Configuration{Servers: []raft.Server{self}}, nil
	}
	p := prospect{first: n.cfg.Peers[0].ID == n.cfg.ID, self: who{id: n.cfg.ID, incarnation: s.incarnation, empty: true, listed: n.cfg.Peers}}
	for {
		found := n.survey(ctx, n.others())
		if p.mayForm(found) {
			servers := []raft.Server{self}
			for _, r := range found.replies {
				servers = append(servers, raft.Server{
					Suffrage: raft.Nonvoter, ID: r.member(), Address: serverAddress(r.asked.Address, r.incarnation),
				})
			}
			return raft.Configuration{Servers: servers}, nil
		}
		err := p.refused(found, time.Now(), lostAfter*n.cfg.ElectionTimeout)
		if err != nil {
			return raft.Configuration{}, err
		}
		if leader := leaderIn(found); leader != "" {
			err = n.askToJoin(ctx, s, leader)
			if err == nil {
				return raft.Configuration{}, nil
			}
			if kafkasync.ClassOf(err) == kafkasync.Stop {
				return raft.Configuration{}, err
			}
		}
		n.wait(p.waitsFor(found, err))
		select {
		case <-ctx.Done():
			return raft.Configuration{}, context.Cause(ctx)
		case <-n.admitted:
			return raft.Configuration{}, nil
		case err := <-n.broke:
			return raft.Configuration{}, err
		case <-time.After(enrollEvery):
		}
	}
}

// askToJoin asks the leader to make this node a member, with the incarnation and at the address that it has now.
func (n *Node) askToJoin(ctx context.Context, s *store, leader string) error {
	body := putString(putString(putString(nil, n.cfg.ID), s.incarnation), n.address())
	data, err := n.call(ctx, leader, askJoin, body)
	if err != nil {
		return fmt.Errorf("joining the cluster: %w", err)
	}
	r := &reader{rest: data}
	cluster := r.string()
	if err := r.end(); err != nil {
		return fmt.Errorf("joining the cluster: %w", err)
	}
	return s.join(cluster)
}

// prospect is an empty node that looks for its cluster.
type prospect struct {
	first      bool
	self       who
	leaderless time.Time // since when a cluster is seen that nobody leads
}

// mayForm reports whether a cluster may be formed, now and by this node.
func (p *prospect) mayForm(found survey) bool {
	if !p.first || len(found.missing) > 0 {
		return false
	}
	for _, r := range found.replies {
		if !r.isNew() || r.id != r.asked.ID || !slices.Equal(r.listed, p.self.listed) {
			return false
		}
	}
	return true
}

// isNew reports whether a node belongs to no cluster.
func (w who) isNew() bool { return w.empty && w.cluster == "" }

// refused returns what only a person can resolve.
func (p *prospect) refused(found survey, now time.Time, patience time.Duration) error {
	var known *reply // of those that belong to a cluster, the one that knows most
	for i, r := range found.replies {
		switch {
		case r.id != r.asked.ID:
			return &kafkasync.Fault{
				Class: kafkasync.Stop,
				What:  fmt.Sprintf("the node at %s is node %q, but the file says that it is node %q", r.asked.Address, r.id, r.asked.ID),
				Fix:   "correct cluster.nodes, and start every node with the same file",
			}
		case r.isNew() && !slices.Equal(r.listed, p.self.listed):
			return &kafkasync.Fault{
				Class: kafkasync.Stop,
				What:  fmt.Sprintf("the file of node %q lists other nodes than the file of this one, so that no cluster can be formed", r.id),
				Fix:   "start every node with the same file",
			}
		case r.isNew():
		case known != nil && known.cluster != r.cluster:
			return &kafkasync.Fault{
				Class: kafkasync.Stop,
				What:  fmt.Sprintf("nodes %q and %q belong to different clusters", known.id, r.id),
				Risk:  "the positions that the cluster knows whose data folders are moved away",
				Fix:   "decide which of the two clusters goes on, and move the data folders of the other away",
			}
		case known == nil || r.last > known.last:
			known = &found.replies[i]
		}
	}
	if known == nil || leaderIn(found) != "" || len(known.members) == 0 {
		p.leaderless = time.Time{}
		return nil
	}
	if p.leaderless.IsZero() {
		p.leaderless = now
	}
	if now.Sub(p.leaderless) < patience {
		return nil
	}
	if !isMember(known.members, p.self.id) {
		return notMember(p.self.id, known.id)
	}
	return lost(known.members, append(whos(found), p.self))
}

// waitsFor says what has to happen next.
func (p *prospect) waitsFor(found survey, err error) string {
	var missing []string
	for _, m := range found.missing {
		missing = append(missing, fmt.Sprintf("%s at %s", m.ID, m.Address))
	}
	belong := slices.ContainsFunc(found.replies, func(r reply) bool { return !r.isNew() })
	stray := slices.IndexFunc(found.replies, func(r reply) bool { return r.empty && r.cluster != "" })
	switch {
	case err != nil:
		return fmt.Sprintf("waiting to join the cluster: %v", err)
	case stray >= 0 && !slices.ContainsFunc(found.replies, func(r reply) bool { return !r.empty }):
		return fmt.Sprintf("waiting for node %s to be started again: the cluster that has let it in is gone", found.replies[stray].id)
	case belong:
		return "waiting to join the cluster, which has no leader now"
	case p.first || len(missing) > 0:
		return "waiting to form the cluster: cannot reach node " + strings.Join(missing, ", node ")
	default:
		return fmt.Sprintf("waiting for node %s, the first of the file, to form the cluster", p.self.listed[0].ID)
	}
}

// leaderIn returns the address of the leader; "" if nobody knows one.
func leaderIn(found survey) string {
	for _, r := range found.replies {
		if r.leads {
			return r.asked.Address
		}
	}
	for _, r := range found.replies {
		for _, m := range r.members {
			if string(m.ID) == r.leader {
				address, _ := placeOf(m.Address)
				return address
			}
		}
	}
	return ""
}

func isMember(members []raft.Server, node string) bool {
	return slices.ContainsFunc(members, func(m raft.Server) bool { return nodeOf(m.ID) == node })
}

func whos(found survey) []who {
	all := make([]who, len(found.replies))
	for i, r := range found.replies {
		all[i] = r.who
	}
	return all
}

// greet decides whether a connection of the Raft library is for this node. One from
// a leader that knows this incarnation says that it is a member now.
func (n *Node) greet(h hello) error {
	n.mu.Lock()
	s, r := n.store, n.raft
	n.mu.Unlock()
	switch {
	case s == nil || h.incarnation != s.incarnation:
		return fmt.Errorf("member %s means another incarnation of this node", h.from)
	case r != nil && h.cluster != s.clusterID():
		return fmt.Errorf("member %s is of cluster %s", h.from, h.cluster)
	case r != nil:
		return nil
	}
	if err := s.join(h.cluster); err != nil {
		return err
	}
	// The connection waits until the library runs.
	n.admit.Do(func() { close(n.admitted) })
	return nil
}
