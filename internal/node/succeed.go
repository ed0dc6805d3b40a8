package node

import (
	"context"
	"errors"
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
	// strandedLimit is shorter: what is in flight to servers that do not answer is not waited for.
	strandedLimit = 3 * time.Second
)

// succession is why another node is to lead.
type succession struct {
	From      string   `json:"from"`
	Lacks     coverage `json:"lacks"`               // in the file of that node
	Unreached string   `json:"unreached,omitempty"` // servers that do not answer that node
}

// said is how a log says it of this node: what is wrong with it, and what another one has.
func (w succession) said() (wrong, right string, about []any) {
	if w.Unreached != "" {
		return "servers do not answer this node", "a node that they answer", []any{"unreached", w.Unreached}
	}
	return "this node's file lacks what is covered", "a node whose file has it", []any{"lacks", w.Lacks.String()}
}

// successor hands leadership over to a node whose file mentions all that is covered, while that of this one does
// not. It cannot come back by the same way: the other one lacks nothing, and what is added to what is covered comes
// from the rules of the node that leads. The other reason to hand over is in stranded.go.
type successor struct {
	report   *report
	transfer func(ctx context.Context, to string) error
	log      *slog.Logger

	unable   string // what was logged last of a hand-over that cannot be
	stranded stranded
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
	if !leading(state) {
		s.deposed()
		return false
	}
	return !s.report.streams(state) && s.lacks(ctx, state) || s.reaches(ctx, state)
}

// lacks hands over if this node's file lacks what is covered, and reports whether it does.
func (s *successor) lacks(ctx context.Context, state raftstate.Status) bool {
	covered := coveredBy(state.Pipelines)
	lacks := s.report.lacking(covered)
	if len(lacks) == 0 {
		return false
	}
	voters := followers(state)
	replies := survey[coverage](ctx, s.report.peers, voters, askLacks, covered)
	s.offer(ctx, voters, succession{From: state.ID, Lacks: lacks}, func(id string) string {
		return unfit(id, replies[id].err, replies[id].answer)
	})
	return true
}

// followers are those who may lead instead.
func followers(state raftstate.Status) (ids []string) {
	for _, m := range state.Nodes {
		if m.Role == "follower" {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// unfit says why a node cannot lead, by what it answered.
func unfit(id string, err error, lacks coverage) string {
	switch {
	case err != nil:
		return fmt.Sprintf("node %s does not answer", id)
	case len(lacks) > 0:
		return fmt.Sprintf("the file of node %s does not mention %s", id, lacks)
	}
	return ""
}

// offer hands over to the first of the voters for which unfit has no objection. If there is none, it says so once.
func (s *successor) offer(ctx context.Context, voters []string, why succession, unfit func(id string) string) {
	wrong, right, about := why.said()
	var objections []string
	for _, id := range voters {
		objection := unfit(id)
		if objection == "" {
			s.log.WarnContext(ctx, wrong+": leadership is handed over to "+right, append(about, "to", id)...) //nolint:sloglint // one of two
			err := s.handOver(ctx, id, why)
			if err == nil {
				s.unable = ""
				return
			}
			objection = fmt.Sprintf("node %s does not take it: %v", id, err)
		}
		objections = append(objections, objection)
	}
	if text := strings.Join(objections, "; "); text != s.unable && ctx.Err() == nil {
		s.log.WarnContext(ctx, wrong+", and leadership cannot be handed over", append(about, "reason", text)...) //nolint:sloglint // one of two
		s.unable = text
	}
}

func (s *successor) handOver(ctx context.Context, to string, why succession) error {
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	if _, err := ask[bool](ctx, asking(s.report.peers, to), askLead, why); err != nil {
		return err
	}
	limit := transferLimit
	if why.Unreached != "" {
		limit = strandedLimit
	}
	limited, end := context.WithTimeout(ctx, limit)
	defer end()
	err := s.transfer(limited, to)
	if errors.Is(err, context.DeadlineExceeded) && s.awaitAnother(ctx) {
		return nil
	}
	return err
}

// awaitAnother waits until this node does not lead any more, and reports whether that came about: a transfer whose time is over goes on without
// the runs that have not ended.
func (s *successor) awaitAnother(ctx context.Context) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for leading(s.report.peers.Status()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// called is told that this node is about to be made leader.
func (s *successor) called(ctx context.Context, why succession) {
	if now := time.Now(); why.Unreached != "" {
		s.stranded.called.Store(&now)
		s.log.InfoContext(ctx, "this node is to lead in place of one that servers do not answer", "instead_of", why.From, "unreached", why.Unreached)
		return
	}
	s.log.InfoContext(ctx, "this node is to lead in place of one whose file lacks what is covered", "instead_of", why.From, "lacks", why.Lacks.String())
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
