package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// fleet is some nodes without a network; a leads unless leader says otherwise.
type fleet struct {
	leader  string
	roles   map[string]string // that differ from leader or follower
	nodes   map[string]*Node
	gone    map[string]bool // does not answer
	covered map[string][]string
	// What each node has applied of the log, and what it knows to be committed.
	applied, committed map[string]uint64

	mu          sync.Mutex
	transferred []string
	refuses     error // of a transfer
	log         bytes.Buffer
}

// newFleet makes nodes whose rules mention these tables of the pipeline shop.
func newFleet(mentioned map[string][]string) *fleet {
	f := &fleet{leader: "a", roles: map[string]string{}, nodes: map[string]*Node{}, gone: map[string]bool{}, covered: map[string][]string{}, applied: map[string]uint64{}, committed: map[string]uint64{}}
	for id, tables := range mentioned {
		status := pipeline.NewStatus("shop")
		status.SetState(pipeline.Waiting, errors.New("a table is not mentioned"))
		mentions := func(table string) bool { return slices.Contains(tables, table) }
		members := []member{{
			name: "shop", status: status, mentions: mentions, captures: mentions,
			source: &testLog{Memory: sourcetest.NewMemory(1, func(sourcetest.Point) error { return nil })},
		}}
		view := view{f, id}
		log := slog.New(slog.NewTextHandler(&f.log, nil)).With("node", id)
		f.nodes[id] = &Node{
			log: log, members: members,
			report:   &report{peers: view, ready: view.ready, address: id + ":7480", members: members, delays: &delays{}},
			operator: &operator{peers: view, membership: view, members: members, log: log},
		}
	}
	return f
}

// view is the fleet as one of its nodes sees it.
type view struct {
	*fleet

	id string
}

func (v view) ready() error {
	if v.leader == "" && v.role(v.id) != "starting" {
		return fmt.Errorf("%w: a majority cannot be reached, or they vote", raftstate.ErrNoLeader)
	}
	if v.role(v.id) == "starting" {
		return errors.New("waiting to form the cluster")
	}
	return nil
}

func (v view) role(id string) string {
	switch role := v.roles[id]; {
	case role != "":
		return role
	case id == v.leader:
		return "leader"
	default:
		return "follower"
	}
}

func (v view) Status() raftstate.Status {
	s := raftstate.Status{ClusterID: "6c1e", ID: v.id, Role: v.role(v.id), Leader: v.leader, Applied: v.applied[v.id], Committed: v.committed[v.id]}
	for _, id := range []string{"a", "b", "c"} {
		if v.nodes[id] != nil || v.roles[id] != "" {
			s.Nodes = append(s.Nodes, raftstate.Member{ID: id, Address: id + ":7400", Role: v.role(id)})
		}
	}
	for name, tables := range v.covered {
		p := raftstate.Pipeline{Name: name, Holder: v.leader}
		for _, table := range tables {
			p.Covered = append(p.Covered, source.Coverage{Table: table})
		}
		s.Pipelines = append(s.Pipelines, p)
	}
	return s
}

func (v view) Ask(ctx context.Context, payload []byte) ([]byte, error) {
	if v.leader == "" {
		return nil, raftstate.ErrNoLeader
	}
	return v.AskNode(ctx, v.leader, payload)
}

func (v view) AskNode(ctx context.Context, id string, payload []byte) ([]byte, error) {
	if v.gone[id] {
		return nil, fmt.Errorf("asking node %q: %w", id, syscall.ECONNREFUSED)
	}
	return v.nodes[id].answer(ctx, payload)
}

func (v view) AddMember(_ context.Context, p raftstate.Peer) error {
	v.roles[p.ID] = "awaited"
	return nil
}

func (v view) RemoveMember(_ context.Context, id string) error {
	delete(v.nodes, id)
	return nil
}

func (v view) Transfer(_ context.Context, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.transferred = append(v.transferred, to)
	if v.refuses == nil {
		v.leader = to
	}
	return v.refuses
}

func TestAFollowerAnswersForTheWholeCluster(t *testing.T) {
	f := newFleet(map[string][]string{"a": {"t"}, "b": {"t"}, "c": {"t"}})
	f.covered["shop"] = []string{"t"}
	f.gone["c"], f.roles["b"] = true, "follower"
	f.nodes["a"].members[0].status.SetState(pipeline.Streaming, nil)
	for _, id := range []string{"a", "b"} {
		got := f.nodes[id].report.Status(t.Context())
		if got.Cluster.Leader != "a" || len(got.Cluster.Nodes) != 3 || got.Pipelines[0].State != "streaming" {
			t.Fatalf("node %s: got %+v, want the leader's view", id, got)
		}
		want := []web.Node{
			{ID: "a", Address: "a:7480", Raft: "a:7400", Role: "leader", Reachable: true},
			{ID: "b", Address: "b:7480", Raft: "b:7400", Role: "follower", Reachable: true},
			{ID: "c", Raft: "c:7400", Role: "follower", Error: "it does not answer: nothing listens at c:7400; to fix: start it: kafkasync run --node c; if it runs, see why it cannot be reached at c:7400"},
		}
		if !slices.Equal(got.Cluster.Nodes, want) {
			t.Errorf("node %s: got the nodes %+v, want %+v", id, got.Cluster.Nodes, want)
		}
	}
}

// A node that gets nothing does not know that there is more.
func TestHowFarANodeIsBehindIsToldByTheLeader(t *testing.T) {
	tests := []struct {
		name, leader       string
		applied, committed map[string]uint64
		want               []uint64
	}{
		{
			"all is well", "a",
			map[string]uint64{"a": 7, "b": 7, "c": 7},
			map[string]uint64{"a": 7, "b": 7, "c": 7},
			[]uint64{0, 0, 0},
		},
		{
			"c gets nothing, b is about to apply what it has", "a",
			map[string]uint64{"a": 100, "b": 97, "c": 40},
			map[string]uint64{"a": 100, "b": 100, "c": 40},
			[]uint64{0, 3, 60},
		},
		{
			"b answered later, and was further by then", "a",
			map[string]uint64{"a": 100, "b": 102, "c": 100},
			map[string]uint64{"a": 100, "b": 102, "c": 100},
			[]uint64{0, 0, 0},
		},
		{
			"nobody leads", "",
			map[string]uint64{"a": 40, "b": 90, "c": 90},
			map[string]uint64{"a": 40, "b": 90, "c": 95},
			[]uint64{55, 5, 5},
		},
	}
	for _, tt := range tests {
		f := newFleet(map[string][]string{"a": {"t"}, "b": {"t"}, "c": {"t"}})
		f.leader, f.applied, f.committed = tt.leader, tt.applied, tt.committed
		for _, id := range []string{"a", "c"} {
			var got []uint64
			for _, n := range f.nodes[id].report.Status(t.Context()).Cluster.Nodes {
				got = append(got, n.Behind)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: node %s says that they are behind by %v, want %v", tt.name, id, got, tt.want)
			}
		}
	}
}

func TestWhatTheNodesSayOfADelayIsJoined(t *testing.T) {
	due := time.Unix(1_700_000_000, 0).UTC()
	got := mergeDelays("b", []delaysOf{
		{"a", []web.Delay{{Topic: "x", DelayMS: 5, Waiting: 1, Lost: 2}, {Topic: "y", DelayMS: 5, Waiting: 3, NextDue: &due, LateSeconds: 1, Error: "no"}}},
		{"b", []web.Delay{{Topic: "x", DelayMS: 5, Waiting: 7, Lost: 40}, {Topic: "y", DelayMS: 5, Waiting: -1}, {Topic: "x", DelayMS: 9}}},
	})
	want := []web.Delay{
		{Topic: "x", DelayMS: 5, Waiting: 7, Lost: 42},
		{Topic: "y", DelayMS: 5, Waiting: 3, NextDue: &due, LateSeconds: 1, Error: "node a: no"},
		{Topic: "x", DelayMS: 9},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAnOrderIsCarriedOutByTheLeaderAsIfItHadBeenAsked(t *testing.T) {
	f := newFleet(map[string][]string{"a": {"t"}, "b": {"t"}})
	for _, order := range []web.Order{
		web.Recover{Pipeline: "shop"},
		web.Recover{Pipeline: "shpo", NewSlot: true},
		web.SetPosition{Pipeline: "shop"},
		web.SetPosition{Pipeline: "shop", Position: "memory:1", DryRun: true},
		web.Forget{Pipeline: "shop", Table: "t"},
		web.Drop{Pipeline: "shop", DryRun: true},
	} {
		want, wantErr := f.nodes["a"].operator.Operate(t.Context(), order)
		got, err := f.nodes["b"].operator.Operate(t.Context(), order)
		if got.Text != want.Text || got.Done != want.Done || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%#v: got %+v, %v, want %+v, %v", order, got, err, want, wantErr)
		}
		var refusal, wantRefusal *web.Refusal
		if errors.As(wantErr, &wantRefusal) != errors.As(err, &refusal) || refusal != nil && refusal.Code != wantRefusal.Code {
			t.Errorf("%#v: got %#v, want %#v", order, err, wantErr)
		}
	}
	f.gone["a"] = true
	_, err := f.nodes["b"].operator.Operate(t.Context(), web.Drop{Pipeline: "shop"})
	if err == nil || !strings.Contains(err.Error(), "may have been carried out") {
		t.Errorf("got %v, want that nobody knows", err)
	}
	f.leader = ""
	_, err = f.nodes["b"].operator.Operate(t.Context(), web.Drop{Pipeline: "shop"})
	if refusal := (*web.Refusal)(nil); !errors.As(err, &refusal) || refusal.Code != 503 {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestAVerdictComesBackAsItWasGiven(t *testing.T) {
	fault := kafkasync.Fault{Class: kafkasync.Stop, What: "the slot is gone", Risk: "changes", Fix: "make one", Err: errors.New("42704")}
	for _, want := range []error{
		errors.New("reset"), &fault, fmt.Errorf("seeking: %w", &fault), fmt.Errorf("seeking: %w", &web.Refusal{Code: 409, Fault: fault}),
	} {
		got := verdictOf(web.Result{}, want).failure()
		var a, b *kafkasync.Fault
		if got.Error() != want.Error() || errors.As(got, &a) != errors.As(want, &b) || a != nil && (a.Risk != b.Risk || a.Class != b.Class || a.Fix != b.Fix) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	if err := verdictOf(web.Result{}, nil).failure(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestWhatAVersionDoesNotKnowIsRefused(t *testing.T) {
	f := newFleet(map[string][]string{"a": {"t"}})
	for _, payload := range []string{
		`{"kind": "status/9"}`, `nonsense`, `{"kind": "order/1", "body": {"kind": "burn"}}`,
		`{"kind": "order/1", "body": {"kind": "drop", "pipeline": "shop", "order": {"later": true}}}`, `{"kind": "lacks/1", "body": 3}`,
	} {
		if answer, err := f.nodes["a"].answer(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%s: got %s, want an error", payload, answer)
		}
	}
}
