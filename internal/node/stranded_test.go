package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync/internal/pipeline"
)

// strandedFleet is three nodes of which a leads, with the pipelines shop and audit, of which only shop waits.
func strandedFleet(unreached ...string) *fleet {
	t := []string{"t"}
	f := newFleet(map[string][]string{"a": t, "b": t, "c": t})
	f.covered["shop"], f.covered["audit"] = t, t
	for id, n := range f.nodes {
		audit := f.member(id, "audit", t)
		audit.status.SetState(pipeline.Streaming, nil)
		n.members = append(n.members, audit)
		n.report.members = n.members
	}
	for _, one := range unreached {
		f.unreached[one] = true
	}
	return f
}

// look has a node look for as long, as often as it does, and reports whether it ever had to hand over.
func (f *fleet) look(t *testing.T, id string, long time.Duration) (had bool) {
	t.Helper()
	for until := time.Now().Add(long); time.Now().Before(until); {
		pause := succeedEvery
		if f.nodes[id].successor.look(t.Context()) {
			had, pause = true, succeedAgain
		}
		time.Sleep(pause) //nolint:forbidigo // the bubble's time
	}
	return had
}

func TestLeadershipGoesToANodeThatServersAnswer(t *testing.T) {
	tests := []struct {
		name      string
		unreached []string
		prepare   func(f *fleet)
		to        []string
		says      string // in the log; "" if nothing
	}{
		{"all answer", nil, nil, nil, ""},
		{"the database does not", []string{"a shop"}, nil, []string{"b"}, `servers do not answer this node: leadership is handed over to a node that they answer" node=a unreached="the database of pipeline shop" to=b`},
		{"Kafka does not", []string{"a Kafka"}, nil, []string{"b"}, "unreached=Kafka to=b"},
		{"neither does", []string{"a Kafka", "a shop", "a audit"}, nil, []string{"b"}, `unreached="Kafka and the database of pipeline shop" to=b`},
		{"nor do they answer b", []string{"a Kafka", "a shop", "b Kafka"}, nil, []string{"c"}, "to=c"},
		{"Kafka does not, and b lacks the database", []string{"a Kafka", "b shop"}, nil, []string{"c"}, "to=c"},
		{"they answer nobody", []string{"a shop", "b shop", "c shop"}, nil, nil, `cannot be handed over" node=a unreached="the database of pipeline shop" reason="node b does not reach the database of pipeline shop; node c does not reach`},
		{"part of them answers another", []string{"a Kafka", "a shop", "b Kafka", "c shop"}, nil, nil, "node b does not reach Kafka; node c does not reach the database of pipeline shop"},
		{"another would lose what this one reaches", []string{"a shop", "b audit", "c audit"}, nil, nil, "node b does not reach the database of pipeline audit; node c does not reach"},
		{"another database does not, of a pipeline that streams still", []string{"a audit"}, nil, nil, ""},
		{"a node does not answer", []string{"a shop"}, func(f *fleet) { f.gone["b"] = true }, []string{"c"}, "to=c"},
		{"a file lacks what is covered", []string{"a shop"}, func(f *fleet) { f.nodes["b"].members[0].mentions = func(string) bool { return false } }, []string{"c"}, "to=c"},
		{"a file has no such pipeline", []string{"a shop"}, func(f *fleet) {
			f.covered["shop"] = nil
			f.nodes["b"].report.members = f.nodes["b"].members[1:]
		}, []string{"c"}, "to=c"},
		{"who is reached does not vote", []string{"a shop", "b shop"}, func(f *fleet) { f.roles["c"] = "learner" }, nil, "cannot be handed over"},
		{"who is reached does not take it", []string{"a shop", "c shop"}, func(f *fleet) { f.refuses = errors.New("too far behind") }, []string{"b"}, "node b does not take it: too far behind; node c does not reach"},
		{"another node leads", []string{"a shop"}, func(f *fleet) { f.leader = "b" }, nil, ""},
		{"its pipeline streams", []string{"a shop"}, func(f *fleet) { f.nodes["a"].members[0].status.SetState(pipeline.Streaming, nil) }, nil, ""},
		{"its pipeline has stopped", []string{"a shop"}, func(f *fleet) { f.nodes["a"].members[0].status.SetState(pipeline.Stopped, errors.New("gone")) }, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := strandedFleet(tt.unreached...)
				if tt.prepare != nil {
					tt.prepare(f)
				}
				if f.look(t, "a", strandedAfter) {
					t.Error("it hands over before the pipeline has waited long enough")
				}
				f.look(t, "a", time.Second)
				got := f.log.String()
				if !slices.Equal(f.transferred, tt.to) || !strings.Contains(got, tt.says) || (tt.says == "") != (got == "") {
					t.Errorf("got transfers to %q and the log %q, want %q and %q", f.transferred, got, tt.to, tt.says)
				}
				if len(tt.to) > 0 && !strings.Contains(got, `msg="this node is to lead in place of one that servers do not answer" node=`+tt.to[0]+" instead_of=a") {
					t.Errorf("got the log %q, want that node %s says it as well", got, tt.to[0])
				}
				if f.leader != "a" {
					return
				}
				f.look(t, "a", time.Minute)
				if again := f.log.String(); strings.Count(again, "cannot be handed over") != strings.Count(got, "cannot be handed over") {
					t.Errorf("got the log %q, want it said once", again)
				}
			})
		})
	}
}

// Runs that have not ended after a while do not keep a leader that servers do not answer.
func TestATransferThatTakesLongIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := strandedFleet("a Kafka", "a shop")
		f.refuses = context.DeadlineExceeded
		n := f.nodes["a"]
		transfer := n.successor.transfer
		n.successor.transfer = func(ctx context.Context, to string) error {
			<-ctx.Done()
			time.AfterFunc(time.Second, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.leader = to
			})
			return fmt.Errorf("which may still happen: %w", transfer(ctx, to))
		}
		f.look(t, "a", strandedAfter+time.Second)
		if got := f.log.String(); f.leader != "b" || !slices.Equal(f.transferred, []string{"b"}) || strings.Contains(got, "cannot be handed over") {
			t.Errorf("node %s leads after transfers to %q, and the log is %q, want b, and nobody else to be asked", f.leader, f.transferred, got)
		}
	})
}

func TestLeadershipThatCameForItsReachStaysForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := strandedFleet("a Kafka", "c Kafka")
		f.look(t, "a", strandedAfter+time.Second)
		// Now they answer the other one, and it asks at once.
		f.unreached = map[string]bool{"b Kafka": true, "c Kafka": true}
		if !f.look(t, "b", strandedAgain-succeedAgain) || !slices.Equal(f.transferred, []string{"b"}) {
			t.Fatalf("got transfers to %q, want that b notices, and keeps it for a while", f.transferred)
		}
		f.look(t, "b", 3*succeedAgain)
		if !slices.Equal(f.transferred, []string{"b", "a"}) {
			t.Fatalf("got transfers to %q, want that a gets it back, as they answer it", f.transferred)
		}
		// In an outage nobody has a reason.
		f.unreached["a Kafka"] = true
		f.look(t, "a", 10*time.Minute)
		if !slices.Equal(f.transferred, []string{"b", "a"}) {
			t.Errorf("got transfers to %q, want no more", f.transferred)
		}
	})
}

func TestTheStatusSaysWhichNodeServersDoNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := strandedFleet("a Kafka", "b Kafka", "c Kafka", "a shop")
		says := func(want ...string) {
			t.Helper()
			for i, p := range f.nodes["b"].report.Status(t.Context()).Pipelines {
				if p.Error != want[i] {
					t.Errorf("got %q of pipeline %s, want %q", p.Error, p.Name, want[i])
				}
			}
		}
		says("a table is not mentioned", "")
		f.look(t, "a", strandedAfter+time.Second)
		says("node a: Kafka is unreachable; and shop is unreachable", "")
		maps.DeleteFunc(f.unreached, func(one string, _ bool) bool { return one != "a shop" })
		f.look(t, "a", succeedAgain)
		if f.leader != "b" {
			t.Fatalf("node %s leads, want b", f.leader)
		}
		says("a table is not mentioned", "")
	})
}
