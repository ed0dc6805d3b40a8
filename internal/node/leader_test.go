package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync/raftstate"
)

func TestWithoutALeaderANodeSaysWhatItKnows(t *testing.T) {
	tests := []struct {
		name, leader, role, state string
		gone                      []string
		says                      string
	}{
		{"they vote", "", "candidate", "waiting", []string{"a"}, "no node leads yet, and b and c are a majority: no leader is known; to fix: wait for seconds: they vote"},
		{"the leader does not answer", "a", "follower", "waiting", []string{"a"}, `node a, which leads as far as node b knows, gives no answer: asking node "a": connection refused; to fix: wait for seconds`},
		{
			"nobody can lead", "", "candidate", "waiting",
			[]string{"a", "c"},
			"no node can lead: of the 3 nodes that vote, 2 must reach one another, and node b reaches nobody else: no leader is known; to fix: start, or connect again, node a or node c",
		},
		{"it starts", "", "starting", "starting", []string{"a"}, "node b gets no answer from a leader: waiting to form the cluster"},
	}
	for _, tt := range tests {
		f := newFleet(map[string][]string{"a": {"t"}, "b": {"t"}, "c": {"t"}})
		f.leader, f.roles["b"] = tt.leader, tt.role
		for _, id := range tt.gone {
			f.gone[id] = true
		}
		f.covered["shop"] = []string{"t"}
		got := f.nodes["b"].report.Status(t.Context())
		p := got.Pipelines[0]
		if got.Cluster.Leader != "" || p.State != tt.state || !strings.HasPrefix(p.Error, tt.says) || !slices.Equal(p.Tables, []string{"t"}) {
			t.Errorf("%s: got %+v, want no leader, the pipeline %s and %q", tt.name, got, tt.state, tt.says)
		}
		if nodes := got.Cluster.Nodes; nodes[0].Role == "leader" || nodes[0].Reachable || !nodes[1].Reachable || nodes[1].Role != tt.role || nodes[2].Reachable == slices.Contains(tt.gone, "c") {
			t.Errorf("%s: got the nodes %+v, want %v not to answer", tt.name, nodes, tt.gone)
		}
		if p.LagBytes != -1 || p.LagSeconds != -1 {
			t.Errorf("%s: got a lag of %d bytes and %v s, want it not known", tt.name, p.LagBytes, p.LagSeconds)
		}
	}
}

// frozen is node b while a, which leads, is frozen, until that is noticed and c leads.
type frozen struct {
	view

	asked   atomic.Bool
	elected chan struct{}
}

func (f *frozen) Status() raftstate.Status {
	s := f.view.Status()
	s.Leader = "a"
	if f.asked.Load() {
		s.Leader = ""
	}
	select {
	case <-f.elected:
		s.Leader = "c"
	default:
	}
	return s
}

func (f *frozen) Ask(ctx context.Context, payload []byte) ([]byte, error) {
	if f.Status().Leader == "c" {
		return f.view.Ask(ctx, payload)
	}
	f.asked.Store(true)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestWhoIsToAnswerIsAskedAsSoonAsItLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(map[string][]string{"a": {"t"}, "b": {"t"}, "c": {"t"}})
		f.leader, f.gone["a"] = "c", true
		b := &frozen{view: view{f, "b"}, elected: make(chan struct{})}
		f.nodes["b"].report.peers = b
		const after = 700 * time.Millisecond
		time.AfterFunc(after, func() { close(b.elected) })
		began := time.Now()
		got := f.nodes["b"].report.Status(t.Context())
		if took := time.Since(began); got.Cluster.Leader != "c" || took > after+2*lookEvery {
			t.Errorf("got the leader %q after %s, want c after %s", got.Cluster.Leader, took, after)
		}

		b.elected = make(chan struct{}) // nobody takes over
		b.asked.Store(false)
		began = time.Now()
		got = f.nodes["b"].report.Status(t.Context())
		if took := time.Since(began); got.Cluster.Leader != "" || took > leaderLimit {
			t.Errorf("got the leader %q after %s, want none within %s", got.Cluster.Leader, took, leaderLimit)
		}
	})
}

func TestAFrozenNodeIsToldFromOneThatDoesNotRun(t *testing.T) {
	m := raftstate.Member{ID: "c", Address: "c:7400"}
	for err, want := range map[error]string{
		context.DeadlineExceeded: "nothing came within 1s; to fix: see whether its machine lives, its process hangs, or a network drops what is sent to c:7400",
		syscall.ECONNREFUSED:     "nothing listens at c:7400; to fix: start it: kafkasync run --node c",
		errors.New("no route"):   "no route; to fix: start it: kafkasync run --node c; if it runs, see why it cannot be reached at c:7400",
	} {
		if got := silent(m, fmt.Errorf("asking: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
