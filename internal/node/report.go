package node

import (
	"time"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
)

// report says what this node knows, and what the cluster does.
type report struct {
	peers   peers
	ready   func() error
	address string            // of this node's HTTP
	listed  map[string]string // the same of each node in the file
	members []member
	delays  *delays
}

// Ready returns nil when the quorum is reachable and this node has caught up with it.
func (r *report) Ready() error { return r.ready() }

// snapshots returns what the pipelines of this node know about themselves.
func (r *report) snapshots() []pipeline.Snapshot {
	now := time.Now()
	all := make([]pipeline.Snapshot, len(r.members))
	for i, m := range r.members {
		all[i] = m.status.Snapshot(now)
	}
	return all
}

func (r *report) leads() bool { return leading(r.peers.Status()) }

// leading reports whether the node whose status this is leads.
func leading(s raftstate.Status) bool { return s.Leader != "" && s.Leader == s.ID }

// self is what the leader asks every node for.
func (r *report) self() self {
	s := r.peers.Status()
	return self{
		Address: r.address, Role: s.Role, Applied: s.Applied, Committed: s.Committed,
		Delays: r.delays.status(), Lacks: r.lacking(coveredBy(s.Pipelines)),
	}
}

// own joins what the cluster remembers, as far as this node knows, with what the runs on this node know.
func (r *report) own(state raftstate.Status) web.Status {
	status := web.Status{Cluster: web.Cluster{ID: state.ClusterID, Leader: state.Leader}}
	remembered := make(map[string]raftstate.Pipeline)
	for _, p := range state.Pipelines {
		remembered[p.Name] = p
		for _, g := range p.Gaps {
			status.Gaps = append(status.Gaps, gapOf(p.Name, g))
		}
	}
	for i, s := range r.snapshots() {
		p := remembered[s.Name]
		status.Pipelines = append(status.Pipelines, web.Pipeline{
			Name: s.Name, State: string(s.State), Holder: p.Holder, Epoch: p.Epoch,
			Position: string(p.Position), LagBytes: s.LagBytes, LagSeconds: s.LagSeconds,
			Error: s.Error, Tables: tables(p.Covered), Uncovered: uncovered(r.members[i].source),
		})
	}
	return status
}

// measured is what is measured of the delays.
func (r *report) measured() []web.Delayed { return r.delays.metrics() }

// figures is what is known of each pipeline outside its runs.
func (r *report) figures() map[string]web.Figures {
	all := make(map[string]web.Figures)
	state := r.peers.Status()
	for _, m := range r.members {
		// Who led once knows what was.
		if keeps, ok := m.source.(interface{ RetainedBytes() int64 }); ok && leading(state) {
			all[m.name] = web.Figures{RetainedBytes: keeps.RetainedBytes()}
		}
	}
	for _, p := range state.Pipelines {
		f := all[p.Name]
		f.GapsOpen = len(p.Gaps)
		all[p.Name] = f
	}
	return all
}
