package raftstate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

// Members lists the nodes of the cluster as far as this one knows; none while it is starting.
func (n *Node) Members() []Member {
	return n.Status().Nodes
}

// AddMember makes a node a member, which it becomes in fact when it comes, with an
// empty data folder, and asks the leader to let it in. It receives everything before it
// votes. To add a member that is one already changes nothing.
func (n *Node) AddMember(ctx context.Context, p Peer) error {
	_, err := n.toLeader(ctx, askAdd, putString(putString(nil, p.ID), p.Address), func(r *raft.Raft) ([]byte, error) {
		return nil, n.addMember(ctx, r, p)
	})
	if err != nil {
		return fmt.Errorf("adding node %q: %w", p.ID, err)
	}
	return nil
}

// RemoveMember removes a node and what its rules name. One that runs notices that and ends. The
// leader hands leadership over first.
func (n *Node) RemoveMember(ctx context.Context, id string) error {
	_, err := n.toLeader(ctx, askRemove, putString(nil, id), func(r *raft.Raft) ([]byte, error) {
		return nil, n.removeMember(ctx, r, id)
	})
	if err != nil {
		return fmt.Errorf("removing node %q: %w", id, err)
	}
	return nil
}

func (n *Node) addMember(ctx context.Context, r *raft.Raft, p Peer) error {
	if n.wire == nil {
		return &kafkasync.Fault{
			Class: kafkasync.Stop,
			What:  "this node runs alone and cannot be reached by others",
			Fix:   "list it in the file under cluster.nodes, as the first of all that there will be, and start it again",
		}
	}
	if err := checkPeer(p); err != nil {
		return err
	}
	n.membership.Lock()
	defer n.membership.Unlock()
	for _, m := range r.GetConfiguration().Configuration().Servers {
		address, _ := placeOf(m.Address)
		switch {
		case nodeOf(m.ID) == p.ID && address == p.Address:
			return nil
		case nodeOf(m.ID) == p.ID || address == p.Address:
			return fmt.Errorf("node %q at %s is a member already", nodeOf(m.ID), address)
		}
	}
	return n.change(ctx, func(r *raft.Raft) raft.Future {
		return r.AddNonvoter(serverID(p.ID, awaited), serverAddress(p.Address, awaited), 0, 0)
	})
}

func checkPeer(p Peer) error {
	if p.ID == "" || strings.Contains(p.ID, incarnationMark) {
		return fmt.Errorf("node id %q: want one without %s", p.ID, incarnationMark)
	}
	if _, _, err := net.SplitHostPort(p.Address); err != nil || strings.Contains(p.Address, incarnationMark) {
		return fmt.Errorf("address %q of node %q: want host:port", p.Address, p.ID)
	}
	return nil
}

func (n *Node) removeMember(ctx context.Context, r *raft.Raft, id string) error {
	if id == n.cfg.ID {
		// The library would go on leading until the others have stored the entry that removes it, and
		// then leave them to find out.
		if err := n.handOver(ctx, ""); err != nil {
			return err
		}
		return n.removeElsewhere(ctx, id)
	}
	n.membership.Lock()
	defer n.membership.Unlock()
	members := r.GetConfiguration().Configuration().Servers
	if !isMember(members, id) {
		return ErrNotMember
	}
	if err := n.staysAMajority(ctx, members, id); err != nil {
		return err
	}
	// Its rules go first: they could not be removed any more if this was cut short in between.
	if _, err := n.propose(ctx, name{member: id}); err != nil {
		return err
	}
	for _, m := range members {
		if nodeOf(m.ID) != id {
			continue
		}
		if err := n.change(ctx, func(r *raft.Raft) raft.Future { return r.RemoveServer(m.ID, 0, 0) }); err != nil {
			return err
		}
	}
	return nil
}

// staysAMajority fails if those that vote without a node cannot agree on anything, not even on
// its removal: the library would begin it, and the cluster be without a leader until more of them are back.
func (n *Node) staysAMajority(ctx context.Context, members []raft.Server, without string) error {
	var others []Peer
	for _, m := range members {
		if address, _ := placeOf(m.Address); m.Suffrage == raft.Voter && nodeOf(m.ID) != without && nodeOf(m.ID) != n.cfg.ID {
			others = append(others, Peer{ID: nodeOf(m.ID), Address: address})
		}
	}
	found := n.survey(ctx, others)
	if reached, voters := len(found.replies)+1, len(others)+1; reached <= voters/2 {
		return fmt.Errorf("only %d of the %d nodes that would vote without it can be reached: start the others first", reached, voters)
	}
	return nil
}

// removeElsewhere asks the leader that follows this one to remove it.
func (n *Node) removeElsewhere(ctx context.Context, id string) error {
	for {
		_, err := n.toLeader(ctx, askRemove, putString(nil, id), func(*raft.Raft) ([]byte, error) {
			return nil, errors.New("this node leads again: try once more")
		})
		if err == nil || !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrLeadershipLost) {
			return err
		}
		select { // the new leader makes itself known any moment
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(redialAfter):
		}
	}
}

// change does one step of the membership and waits until a majority has stored it.
func (n *Node) change(ctx context.Context, step func(*raft.Raft) raft.Future) error {
	_, err := n.await(ctx, step)
	return err
}

// admitMember lets a node in that asks for it: one that was added, one that has
// lost its folder, one that has moved, or one that was away while it was removed and added again.
// The new incarnation is added before the old one is removed, so that no crash in between leaves the
// node without either; it becomes a voter afterwards (see steward.go).
func (n *Node) admitMember(ctx context.Context, r *raft.Raft, id, incarnation, address string) error {
	if err := checkPeer(Peer{ID: id, Address: address}); err != nil {
		return err
	}
	n.membership.Lock()
	defer n.membership.Unlock()
	members := r.GetConfiguration().Configuration().Servers
	if !isMember(members, id) {
		return n.refuse(ctx, id, address)
	}
	// Who asks must be who is found there, and alone: a second process with the same id would else
	// take the place of the first, which has its data.
	if w, err := n.askWho(ctx, address); err != nil || w.id != id || w.incarnation != incarnation {
		return fmt.Errorf("node %q cannot be reached as %s: %w", id, address, err)
	}
	joining := raft.Server{ID: serverID(id, incarnation), Address: serverAddress(address, incarnation)}
	for _, m := range members {
		at, old := placeOf(m.Address)
		if nodeOf(m.ID) != id || m.ID == joining.ID || isAwaited(m) || at == address {
			continue
		}
		if w, err := n.askWho(ctx, at); err == nil && w.id == id && w.incarnation == old {
			return &kafkasync.Fault{
				Class: kafkasync.Stop,
				What:  fmt.Sprintf("node %q runs already, with its data, at %s", id, at),
				Fix:   "start every node under its own id",
			}
		}
	}
	if !slices.ContainsFunc(members, func(m raft.Server) bool { return m.ID == joining.ID && m.Address == joining.Address }) {
		err := n.change(ctx, func(r *raft.Raft) raft.Future {
			return r.AddNonvoter(joining.ID, joining.Address, 0, 0) // of a voter, it only changes the address
		})
		if err != nil {
			return fmt.Errorf("admitting node %q: %w", id, err)
		}
	}
	return n.removeOlder(ctx, id, joining.ID)
}

// removeOlder removes all incarnations of a node but one. n.membership is held.
func (n *Node) removeOlder(ctx context.Context, id string, but raft.ServerID) error {
	r, err := n.running()
	if err != nil {
		return err
	}
	for _, m := range r.GetConfiguration().Configuration().Servers {
		if nodeOf(m.ID) != id || m.ID == but {
			continue
		}
		if err := n.change(ctx, func(r *raft.Raft) raft.Future { return r.RemoveServer(m.ID, 0, 0) }); err != nil {
			return fmt.Errorf("removing an earlier incarnation of node %q: %w", id, err)
		}
	}
	return nil
}

// refuse says to who is no member whether it was one.
func (n *Node) refuse(ctx context.Context, id, address string) error {
	w, err := n.askWho(ctx, address)
	if err == nil && !w.empty && w.id == id {
		return removed(id)
	}
	return notMember(id, n.cfg.ID)
}
