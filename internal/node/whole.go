package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// Status is the whole cluster, from whichever node leads. If none answers, it is what this
// node knows by itself, which says so.
func (r *report) Status(ctx context.Context) web.Status {
	asking, cancel := context.WithTimeout(ctx, leaderLimit)
	defer cancel()
	for {
		state := r.peers.Status()
		if leading(state) {
			return r.whole(ctx)
		}
		status, err := r.askLeader(asking, state.Leader)
		switch {
		case err == nil:
			return status
		case !errors.Is(err, errDeposed) || !r.awaitLeader(asking):
			return r.leaderless(ctx, state.Leader, err)
		}
	}
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
func (r *report) leaderless(ctx context.Context, asked string, cause error) web.Status {
	state := r.peers.Status()
	state.Leader = ""
	status := r.own(state)
	r.addNodes(ctx, &status, state)
	shows, fault := pipeline.Waiting, noLeader(state.ID, asked, status.Cluster.Nodes, cause)
	if err := r.ready(); err != nil && !errors.Is(err, raftstate.ErrNoLeader) { // what it waits for, which says itself what helps
		fault = &kafkasync.Fault{What: fmt.Sprintf("node %s gets no answer from a leader", state.ID), Err: err}
	}
	if state.Role == "starting" {
		shows = pipeline.Starting
	}
	for i := range status.Pipelines {
		p := &status.Pipelines[i]
		p.State, p.Error, p.LagBytes, p.LagSeconds = string(shows), fault.Error(), -1, -1
	}
	return status
}

// noLeader says whether there can be a leader, and what it takes.
func noLeader(id, asked string, nodes []web.Node, cause error) *kafkasync.Fault {
	var answer, silent []string
	for _, n := range nodes {
		switch {
		case n.Role == "learner" || n.Role == "awaited":
		case n.Reachable:
			answer = append(answer, n.ID)
		default:
			silent = append(silent, n.ID)
		}
	}
	voters := len(answer) + len(silent)
	fault := &kafkasync.Fault{Class: kafkasync.Wait, Err: raftstate.ErrNoLeader}
	switch majority := voters/2 + 1; {
	case len(answer) < majority:
		reached := "nobody else"
		if others := slices.DeleteFunc(slices.Clone(answer), func(one string) bool { return one == id }); len(others) > 0 {
			reached = "only " + strings.Join(others, " and ")
		}
		fault.What = fmt.Sprintf("no node can lead: of the %d nodes that vote, %d must reach one another, and node %s reaches %s", voters, majority, id, reached)
		fault.Fix = "start, or connect again, node " + strings.Join(silent, " or node ")
	case asked != "":
		fault.What, fault.Err = fmt.Sprintf("node %s, which leads as far as node %s knows, gives no answer", asked, id), cause
		fault.Fix = "wait for seconds: a majority of the nodes is there, so that another one takes over; if none does, look at the logs of the nodes"
	default:
		fault.What = fmt.Sprintf("no node leads yet, and %s are a majority", strings.Join(answer, " and "))
		fault.Fix = "wait for seconds: they vote; if none leads then, see whether they reach one another, and look at their logs"
	}
	return fault
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
			node.Error = silent(m, reply.err)
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
func silent(m raftstate.Member, err error) string {
	start := "kafkasync run --node " + m.ID
	fault := &kafkasync.Fault{
		What: "it does not answer", Err: err,
		Fix: fmt.Sprintf("start it: %s; if it runs, see why it cannot be reached at %s", start, m.Address),
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded): // which a library says in its own words
		fault.Err = fmt.Errorf("nothing came within %s", surveyLimit/time.Second*time.Second)
		fault.Fix = fmt.Sprintf("see whether its machine lives, its process hangs, or a network drops what is sent to %s; to start it again is safe: %s", m.Address, start)
	case errors.Is(err, syscall.ECONNREFUSED):
		fault.Err = fmt.Errorf("nothing listens at %s", m.Address)
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
