package node

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/raftstate"
)

const (
	// strandedAfter is how long a pipeline waits before its servers are asked whether they answer; which takes reachLimit if they do not.
	strandedAfter = 3 * time.Second
	// strandedAgain is how long a node does not ask again if they do, and how long one that was made leader because
	// it reached them stays that: what comes and goes must not drive leadership around.
	strandedAgain = 30 * time.Second
)

// stranded is what a successor knows of servers that do not answer this node.
type stranded struct {
	since  map[string]time.Time      // pipelines that do not stream here, and since when that is known
	next   time.Time                 // when to ask again
	called atomic.Pointer[time.Time] // when this node was made leader because it reached them
}

// reaches hands over if a pipeline waits because servers do not answer this node, to one that they answer, and reports whether
// that is so. The other one does not hand back by the same way as long as it reaches them.
func (s *successor) reaches(ctx context.Context, state raftstate.Status) bool {
	waiting := s.waiting()
	if len(waiting) == 0 {
		s.report.strands.Store(nil)
		s.unable = ""
		return false
	}
	if time.Now().Before(s.stranded.next) {
		return false
	}
	covered := coveredBy(state.Pipelines)
	mine := s.report.reach(ctx, covered)
	missing := mine.missing(waiting)
	if len(missing) == 0 {
		s.report.strands.Store(nil)
		s.stranded.next = time.Now().Add(strandedAgain)
		return false
	}
	s.report.strands.Store(&mine)
	if called := s.stranded.called.Load(); called != nil && time.Since(*called) < strandedAgain {
		return true
	}
	voters := followers(state)
	replies := surveyFor[reach](ctx, reachLimit+surveyLimit, s.report.peers, voters, askReach, covered)
	if len(s.waiting()) == 0 { // that took a while
		return true
	}
	s.offer(ctx, voters, succession{From: state.ID, Unreached: joined(missing)}, func(id string) string {
		r := replies[id]
		if why := unfit(id, r.err, r.answer.Lacks); why != "" {
			return why
		}
		if lacks := mine.prefers(&r.answer, waiting); len(lacks) > 0 {
			return fmt.Sprintf("node %s does not reach %s", id, joined(lacks))
		}
		return ""
	})
	return true
}

// waiting are the pipelines that have not streamed for a while, although this node leads.
func (s *successor) waiting() (names []string) {
	now, since := time.Now(), map[string]time.Time{}
	for _, p := range s.report.snapshots() {
		if p.State == pipeline.Streaming || p.State == pipeline.Stopped {
			continue
		}
		first, known := s.stranded.since[p.Name]
		if !known {
			first = now
		}
		since[p.Name] = first
		if now.Sub(first) >= strandedAfter {
			names = append(names, p.Name)
		}
	}
	s.stranded.since = since
	return names
}

// deposed forgets what was, as this node does not lead.
func (s *successor) deposed() {
	s.stranded.since, s.stranded.next, s.unable = nil, time.Time{}, ""
	s.report.strands.Store(nil)
}

// strandedText says which servers of a pipeline do not answer this node, which leads; "" if that is not why it waits.
func (r *report) strandedText(state raftstate.Status, s pipeline.Snapshot) string {
	found := r.strands.Load()
	if found == nil || !leading(state) || s.State == pipeline.Streaming || s.State == pipeline.Stopped {
		return ""
	}
	var why []string
	for _, server := range []reached{found.Kafka, found.database(s.Name)} {
		if server.Unreachable {
			why = append(why, server.Error)
		}
	}
	text := strings.Join(why, "; and ")
	if text != "" && len(state.Nodes) > 1 {
		text = fmt.Sprintf("node %s: %s", state.ID, text)
	}
	return text
}
