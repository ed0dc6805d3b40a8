package raftstate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"
)

// who is what a node says about itself and about the cluster, to anybody who asks.
type who struct {
	id          string
	incarnation string
	cluster     string // "" while it belongs to none
	empty       bool   // it holds no entry of any cluster
	leads       bool
	leader      string // the member that it takes for the leader; "" if it knows none
	last        uint64 // index of its last entry
	applied     uint64
	listed      []Peer        // what its file lists
	members     []raft.Server // the membership as far as it knows
}

// member is the membership's word for who answered.
func (w who) member() raft.ServerID { return serverID(w.id, w.incarnation) }

func (w who) bytes() []byte {
	b := putString(putString(putString(nil, w.id), w.incarnation), w.cluster)
	b = putString(putBool(putBool(b, w.empty), w.leads), w.leader)
	b = putUint(putUint(b, w.last), w.applied)
	b = putUint(b, uint64(len(w.listed)))
	for _, p := range w.listed {
		b = putString(putString(b, p.ID), p.Address)
	}
	b = putUint(b, uint64(len(w.members)))
	for _, m := range w.members {
		b = putBool(putString(putString(b, string(m.ID)), string(m.Address)), m.Suffrage == raft.Voter)
	}
	return b
}

func decodeWho(data []byte) (who, error) {
	r := &reader{rest: data}
	w := who{
		id: r.string(), incarnation: r.string(), cluster: r.string(), empty: r.bool(), leads: r.bool(),
		leader: r.string(), last: r.uint(), applied: r.uint(),
	}
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		w.listed = append(w.listed, Peer{ID: r.string(), Address: r.string()})
	}
	for i, n := uint64(0), r.uint(); i < n && !r.failed; i++ {
		m := raft.Server{ID: raft.ServerID(r.string()), Address: raft.ServerAddress(r.string()), Suffrage: raft.Nonvoter}
		if r.bool() {
			m.Suffrage = raft.Voter
		}
		w.members = append(w.members, m)
	}
	return w, r.end()
}

// whoAmI answers for this node.
func (n *Node) whoAmI() (who, error) {
	n.mu.Lock()
	s, r := n.store, n.raft
	n.mu.Unlock()
	if s == nil {
		return who{}, ErrStopped
	}
	w := who{id: n.cfg.ID, incarnation: s.incarnation, cluster: s.clusterID(), listed: n.cfg.Peers}
	if r == nil {
		empty, err := s.empty()
		w.empty = empty
		return w, err
	}
	_, leader := r.LeaderWithID()
	w.leads, w.leader = r.State() == raft.Leader, string(leader)
	w.last, w.applied = r.LastIndex(), r.AppliedIndex()
	w.empty = w.last == 0
	w.members = r.GetConfiguration().Configuration().Servers
	return w, nil
}

// clusterOf is the cluster that this node is of; "" while that is open.
func (n *Node) clusterOf() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.store == nil {
		return ""
	}
	return n.store.clusterID()
}

func (n *Node) askWho(ctx context.Context, address string) (who, error) {
	data, err := n.call(ctx, address, askWho, nil)
	if err != nil {
		return who{}, err
	}
	w, err := decodeWho(data)
	if err != nil {
		return who{}, fmt.Errorf("reading what the node at %s says of itself: %w", address, err)
	}
	return w, nil
}

// survey is what the other nodes say of themselves, and who could not be asked.
type survey struct {
	replies []reply
	missing []Peer
}

// reply is what a node says who was asked at an address.
type reply struct {
	who

	asked Peer
}

// survey asks the nodes at all addresses at once.
func (n *Node) survey(ctx context.Context, of []Peer) survey {
	ctx, cancel := context.WithTimeout(ctx, max(4*n.cfg.ElectionTimeout, peerDialTimeout))
	defer cancel()
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		s     survey
	)
	for _, p := range of {
		group.Go(func() {
			w, err := n.askWho(ctx, p.Address)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				n.cfg.Logger.Debug("a node cannot be reached", "node", p.ID, "err", err)
				s.missing = append(s.missing, p)
				return
			}
			s.replies = append(s.replies, reply{w, p})
		})
	}
	group.Wait()
	slices.SortFunc(s.replies, func(a, b reply) int { return strings.Compare(a.asked.ID, b.asked.ID) })
	slices.SortFunc(s.missing, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return s
}

// others are the nodes that this one knows an address of: members, and those of the file.
func (n *Node) others() []Peer {
	known := map[string]bool{n.cfg.ID: true}
	var others []Peer
	add := func(p Peer) {
		if !known[p.ID+"@"+p.Address] && p.ID != n.cfg.ID {
			known[p.ID+"@"+p.Address] = true
			others = append(others, p)
		}
	}
	n.mu.Lock()
	r := n.raft
	n.mu.Unlock()
	if r != nil {
		for _, m := range r.GetConfiguration().Configuration().Servers {
			address, _ := placeOf(m.Address)
			add(Peer{ID: nodeOf(m.ID), Address: address})
		}
	}
	for _, p := range n.cfg.Peers {
		add(p)
	}
	return others
}
