package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// Status is the whole cluster, from whichever node leads. If none answers, it is what this
// node knows by itself, which says so.
func (r *report) Status(ctx context.Context) web.Status {
	if r.leads() {
		return r.whole(ctx)
	}
	asking, cancel := context.WithTimeout(ctx, leaderLimit)
	defer cancel()
	status, err := ask[web.Status](asking, r.peers.Ask, askStatus, nil)
	if err != nil {
		return r.leaderless(ctx, err)
	}
	return status
}

// whole is the cluster as its leader sees it.
func (r *report) whole(ctx context.Context) web.Status {
	state := r.peers.Status()
	status := r.own(state)
	r.addNodes(ctx, &status, state)
	return status
}

// leaderless is the cluster as a node sees it that does not lead, and that no leader answers. What
// the pipelines do, or whether they run at all, it does not know.
func (r *report) leaderless(ctx context.Context, cause error) web.Status {
	state := r.peers.Status()
	state.Leader = ""
	status := r.own(state)
	if err := r.ready(); err != nil && errors.Is(cause, raftstate.ErrNoLeader) || errors.Is(cause, raftstate.ErrStopped) {
		cause = cmp.Or(err, cause) // which says more: what this node waits for
	}
	fault := &kafkasync.Fault{
		Class: kafkasync.Wait, What: fmt.Sprintf("node %s gets no answer from a leader", state.ID), Err: cause,
		Fix: "see to it that a majority of the nodes runs and reaches one another",
	}
	shows := pipeline.Waiting
	if state.Role == "starting" { // which says itself for what
		shows, fault.Fix = pipeline.Starting, ""
	}
	for i := range status.Pipelines {
		status.Pipelines[i].State, status.Pipelines[i].Error = string(shows), fault.Error()
	}
	r.addNodes(ctx, &status, state)
	return status
}

// addNodes adds what the nodes say of themselves.
func (r *report) addNodes(ctx context.Context, status *web.Status, state raftstate.Status) {
	replies := survey[self](ctx, r.peers, others(state), askSelf, nil)
	replies[state.ID] = reply[self]{answer: r.self()}
	if len(state.Nodes) == 0 { // it does not take part yet
		state.Nodes = []raftstate.Member{{ID: state.ID, Role: state.Role}}
	}
	committed := committedBy(state, replies)
	var delays []delaysOf
	for _, m := range state.Nodes {
		if m.Role == "leader" && m.ID != state.Leader {
			m.Role = "follower" // it was, and does not answer
		}
		reply, asked := replies[m.ID]
		node := web.Node{ID: m.ID, Address: cmp.Or(reply.answer.Address, r.listed[m.ID]), Raft: m.Address, Role: m.Role}
		switch {
		case !asked:
			node.Error = awaited(m.ID)
		case reply.err != nil:
			node.Error = silent(reply.err)
		default:
			node.Reachable, node.Behind = true, committed-min(committed, reply.answer.Applied)
			if len(state.Nodes) > 1 { // alone, its pipelines say it
				node.Error = outdated(reply.answer.Lacks)
			}
			if m.Role == "follower" && reply.answer.Role != "leader" {
				node.Role = reply.answer.Role
			}
			delays = append(delays, delaysOf{m.ID, reply.answer.Delays})
		}
		status.Cluster.Nodes = append(status.Cluster.Nodes, node)
	}
	status.Delays = mergeDelays(state.ID, delays)
}

// committedBy is up to where a node must have applied the log to be behind nobody. The leader knows; what it knew before
// it asked counts, so that who keeps up is not behind by what was committed meanwhile. Without one it is the most that a node
// knows: one that is cut off does not know what it lacks.
func committedBy(state raftstate.Status, replies map[string]reply[self]) uint64 {
	committed := state.Committed
	if leading(state) {
		return committed
	}
	for _, r := range replies {
		committed = max(committed, r.answer.Committed)
	}
	return committed
}

// silent says why a node does not answer.
func silent(err error) string {
	fault := &kafkasync.Fault{What: "it does not answer", Err: err, Fix: "start it, or see why it cannot be reached"}
	if errors.Is(err, context.DeadlineExceeded) { // which a library says in its own words
		fault.Err = fmt.Errorf("nothing came within %s", surveyLimit/time.Second*time.Second)
	}
	return fault.Error()
}

func awaited(id string) string {
	fault := &kafkasync.Fault{What: "it was added and has not come yet", Fix: "start it: kafkasync run --node " + id}
	return fault.Error()
}

// outdated says of a node that its file lacks what is covered; "" if it does not.
func outdated(lacks coverage) string {
	if len(lacks) == 0 {
		return ""
	}
	fault := &kafkasync.Fault{
		What: fmt.Sprintf("its file does not mention %s, which is covered: it hands leadership over to a node whose file does", lacks),
		Fix:  "start it with the file of the others; or, if that is not wanted any more, see kafkasync table forget --help and kafkasync pipeline drop --help",
	}
	return fault.Error()
}
