package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

const (
	succeedEvery = 500 * time.Millisecond
	// succeedAgain is how long a node waits after it has tried to hand over, or has found nobody to hand over to.
	succeedAgain  = 5 * time.Second
	transferLimit = 10 * time.Second
)

// succession is why another node is to lead.
type succession struct {
	From  string   `json:"from"`
	Lacks coverage `json:"lacks"` // in the file of that node
}

// successor hands leadership over to a node whose file mentions all that is covered, while that of this one does
// not. It cannot come back by the same way: the other one lacks nothing, and what is added to what is covered comes
// from the rules of the node that leads.
type successor struct {
	report   *report
	transfer func(ctx context.Context, to string) error
	log      *slog.Logger

	said string // what was logged last of a hand-over that cannot be
}

// run does it until ctx ends.
func (s *successor) run(ctx context.Context) {
	pause := succeedEvery
	for {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = succeedEvery
		if s.look(ctx) {
			pause = succeedAgain
		}
	}
}

// look hands over if it has to, and reports whether it had to.
func (s *successor) look(ctx context.Context) bool {
	state := s.report.peers.Status()
	if !leading(state) || s.report.streams(state) {
		return false
	}
	covered := coveredBy(state.Pipelines)
	lacks := s.report.lacking(covered)
	if len(lacks) == 0 {
		return false
	}
	var voters []string
	for _, m := range state.Nodes {
		if m.Role == "follower" {
			voters = append(voters, m.ID)
		}
	}
	replies := survey[coverage](ctx, s.report.peers, voters, askLacks, covered)
	var why []string
	for _, id := range voters {
		switch r := replies[id]; {
		case r.err != nil:
			why = append(why, fmt.Sprintf("node %s does not answer", id))
		case len(r.answer) > 0:
			why = append(why, fmt.Sprintf("the file of node %s does not mention %s", id, r.answer))
		default:
			if err := s.handOver(ctx, state, id, lacks); err != nil {
				why = append(why, fmt.Sprintf("node %s does not take it: %v", id, err))
				continue
			}
			s.said = ""
			return true
		}
	}
	if text := strings.Join(why, "; "); text != s.said && ctx.Err() == nil {
		s.log.WarnContext(ctx, "this node's file lacks what is covered, and leadership cannot be handed over", "lacks", lacks.String(), "reason", text)
		s.said = text
	}
	return true
}

func (s *successor) handOver(ctx context.Context, state raftstate.Status, to string, lacks coverage) error {
	s.log.WarnContext(ctx, "this node's file lacks what is covered: leadership is handed over to a node whose file has it", "lacks", lacks.String(), "to", to)
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	if _, err := ask[bool](ctx, asking(s.report.peers, to), askLead, succession{From: state.ID, Lacks: lacks}); err != nil {
		return err
	}
	return s.transfer(ctx, to)
}

// streams reports whether every pipeline that covers something is read on this node, so that its file lacks nothing.
func (r *report) streams(state raftstate.Status) bool {
	streaming := map[string]bool{}
	for _, s := range r.snapshots() {
		streaming[s.Name] = s.State == pipeline.Streaming
	}
	for _, p := range state.Pipelines {
		if len(p.Covered) > 0 && !streaming[p.Name] {
			return false
		}
	}
	return true
}
