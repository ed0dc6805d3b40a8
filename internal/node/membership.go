package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// membership changes who belongs to the cluster and who leads it. *raftstate.Node is one, and asks
// the leader by itself: an order to remove the leader is not carried out by the node that ends by it.
type membership interface {
	AddMember(ctx context.Context, p raftstate.Peer) error
	RemoveMember(ctx context.Context, id string) error
	Transfer(ctx context.Context, to string) error
}

func (op *operator) changeMembers(ctx context.Context, o web.Members) (web.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orderLimit, errLate)
	defer cancel()
	switch {
	case (o.Add == "") == (o.Remove == ""):
		return web.Result{}, refuse(http.StatusBadRequest, "members needs exactly one of add and remove", "", "say which")
	case o.Add != "":
		return op.addMember(ctx, o)
	default:
		return op.removeMember(ctx, o)
	}
}

func (op *operator) addMember(ctx context.Context, o web.Members) (web.Result, error) {
	if _, _, err := net.SplitHostPort(o.Raft); err != nil {
		return web.Result{}, refuse(http.StatusBadRequest, fmt.Sprintf("node %s cannot be reached at %q", o.Add, o.Raft), "",
			"name the host and the port that the other nodes reach it at, such as 10.0.0.4:7400")
	}
	for _, m := range op.peers.Status().Nodes {
		if m.ID == o.Add || m.Address == o.Raft {
			return web.Result{}, refuse(http.StatusConflict, fmt.Sprintf("node %s at %s is a member already", m.ID, m.Address), "",
				"to take it back with an empty data folder, start it; to give its place to another one, remove it first")
		}
	}
	start := fmt.Sprintf("Start it with an empty data folder and with cluster.nodes in its file: kafkasync run --node %s. It votes once it has received everything.", o.Add)
	if o.DryRun {
		return web.Result{Text: fmt.Sprintf("Node %s will be a member of the cluster, at %s. %s", o.Add, o.Raft, start)}, nil
	}
	if err := op.membership.AddMember(ctx, raftstate.Peer{ID: o.Add, Address: o.Raft}); err != nil {
		return web.Result{}, changed(err)
	}
	return web.Result{Done: true, Text: fmt.Sprintf("Node %s is a member of the cluster, at %s. %s", o.Add, o.Raft, start)}, nil
}

func (op *operator) removeMember(ctx context.Context, o web.Members) (web.Result, error) {
	state := op.peers.Status()
	if err := op.dispensable(ctx, state, o.Remove); err != nil {
		return web.Result{}, err
	}
	before := ""
	if state.Leader == o.Remove {
		before = " It hands leadership over first."
	}
	after := fmt.Sprintf("Take it out of cluster.nodes, and move its data folder away: it can come back only as a new one, after kafkasync member add %s.", o.Remove)
	if o.DryRun {
		return web.Result{Text: fmt.Sprintf("Node %s will be no member of the cluster any more, and end if it runs.%s %s", o.Remove, before, after)}, nil
	}
	if err := op.membership.RemoveMember(ctx, o.Remove); err != nil {
		return web.Result{}, changed(err)
	}
	return web.Result{Done: true, Text: fmt.Sprintf("Node %s is no member of the cluster any more, and ends if it runs. %s", o.Remove, after)}, nil
}

// dispensable refuses to remove a node without which no majority would be left that answers: the
// removal itself could not be agreed on, and until it is, nothing else is either.
func (op *operator) dispensable(ctx context.Context, state raftstate.Status, id string) error {
	m, err := memberNamed(state, id)
	if err != nil {
		return err
	}
	if m.Role != "leader" && m.Role != "follower" {
		return nil // it does not vote
	}
	replies := survey[self](ctx, op.peers, others(state), askSelf, nil)
	voters, answering := 0, 0
	for _, m := range state.Nodes {
		if m.ID == id || m.Role != "leader" && m.Role != "follower" {
			continue
		}
		voters++
		if r, asked := replies[m.ID]; m.ID == state.ID || asked && r.err == nil {
			answering++
		}
	}
	if answering > voters/2 {
		return nil
	}
	return refuse(http.StatusConflict, fmt.Sprintf("without node %s, %d of the %d nodes that are left would answer, which is no majority", id, answering, voters),
		"the whole cluster, which would stand still", "start the nodes that do not answer, or add another one, first: kafkasync member list")
}

// memberNamed finds a node of the cluster.
func memberNamed(state raftstate.Status, id string) (raftstate.Member, error) {
	var ids []string
	for _, m := range state.Nodes {
		if m.ID == id {
			return m, nil
		}
		ids = append(ids, m.ID)
	}
	fix := "the members are: " + strings.Join(ids, ", ")
	if near := config.Nearest(id, ids); near != "" {
		fix = "did you mean " + near + "?"
	}
	return raftstate.Member{}, refuse(http.StatusNotFound, fmt.Sprintf("node %s is no member of the cluster", id), "", fix)
}

// transfer makes another node lead.
func (op *operator) transfer(ctx context.Context, o web.Transfer) (web.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orderLimit, errLate)
	defer cancel()
	state := op.peers.Status()
	to := "the node that has received most"
	if o.To != "" {
		m, err := memberNamed(state, o.To)
		switch {
		case err != nil:
			return web.Result{}, err
		case m.ID == state.Leader:
			return web.Result{}, refuse(http.StatusConflict, fmt.Sprintf("node %s leads already", m.ID), "", "")
		case m.Role != "follower":
			return web.Result{}, refuse(http.StatusConflict, fmt.Sprintf("node %s does not vote yet, and cannot lead", m.ID), "", "wait until it has received everything: kafkasync status")
		}
		to = "node " + m.ID
	}
	if !slices.ContainsFunc(state.Nodes, func(m raftstate.Member) bool { return m.Role == "follower" }) {
		return web.Result{}, refuse(http.StatusConflict, "there is no other node that could lead", "", "")
	}
	if o.DryRun {
		return web.Result{Text: fmt.Sprintf("Leadership will go from node %s to %s. The pipelines end in order and go on there: nothing is published twice.", state.Leader, to)}, nil
	}
	if err := op.membership.Transfer(ctx, o.To); err != nil {
		return web.Result{}, changed(err)
	}
	return web.Result{Done: true, Text: fmt.Sprintf("Leadership went from node %s to %s.", state.Leader, op.led(ctx, state.Leader, to))}, nil
}

// led says who leads after before, as soon as this node knows.
func (op *operator) led(ctx context.Context, before, otherwise string) string {
	ctx, cancel := context.WithTimeout(ctx, leaderLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if leader := op.peers.Status().Leader; leader != "" && leader != before {
			return "node " + leader
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return otherwise
		}
	}
}

// changed says why the cluster was not changed.
func changed(err error) error {
	if errors.Is(err, raftstate.ErrNoLeader) || errors.Is(err, raftstate.ErrLeadershipLost) {
		return refuse(http.StatusServiceUnavailable, "no node leads the cluster now", "", "try again once one does: kafkasync status")
	}
	return err
}
