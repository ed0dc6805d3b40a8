package node

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/web"
)

func TestLeadershipGoesToANodeWhoseFileHasWhatIsCovered(t *testing.T) {
	both, old := []string{"t", "new"}, []string{"t"}
	tests := []struct {
		name    string
		has     map[string][]string
		prepare func(f *fleet)
		to      []string
		says    string
	}{
		{"its own file has it", map[string][]string{"a": both, "b": both, "c": old}, nil, nil, ""},
		{"one of the others has it", map[string][]string{"a": old, "b": old, "c": both}, nil, []string{"c"}, "lacks=\"new of pipeline shop\" to=c"},
		{"nobody has it", map[string][]string{"a": old, "b": old, "c": {}}, nil, nil, "the file of node c does not mention t of pipeline shop and new of pipeline shop"},
		{"who has it does not answer", map[string][]string{"a": old, "b": old, "c": both}, func(f *fleet) { f.gone["c"] = true }, nil, "node c does not answer"},
		{"who has it does not vote", map[string][]string{"a": old, "b": old, "c": both}, func(f *fleet) { f.roles["c"] = "learner" }, nil, "cannot be handed over"},
		{"who has it does not take it", map[string][]string{"a": old, "b": both, "c": old}, func(f *fleet) { f.refuses = errors.New("too far behind") }, []string{"b"}, "node b does not take it: too far behind"},
		{"another node leads", map[string][]string{"a": old, "b": both}, func(f *fleet) { f.leader = "b" }, nil, ""},
		{"its pipeline streams", map[string][]string{"a": old, "b": both}, func(f *fleet) {
			f.nodes["a"].members[0].status.SetState(pipeline.Streaming, nil)
		}, nil, ""},
		{"a pipeline is not in its file", map[string][]string{"a": both, "b": both}, func(f *fleet) { f.covered["audit"] = []string{"x"} }, nil, "x of pipeline audit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(tt.has)
			f.covered["shop"] = both
			if tt.prepare != nil {
				tt.prepare(f)
			}
			n := f.nodes["a"]
			s := n.successor
			had := s.look(t.Context())
			if had != (tt.says != "") || !slices.Equal(f.transferred, tt.to) {
				t.Errorf("got %t and transfers to %q, want %t and %q", had, f.transferred, tt.says != "", tt.to)
			}
			log := f.log.String()
			if !strings.Contains(log, tt.says) || (tt.says == "") != (log == "") {
				t.Errorf("got the log %q, want %q in it", log, tt.says)
			}
			if f.refuses != nil || len(tt.to) == 0 {
				s.look(t.Context()) // as often as it likes
				if again := f.log.String(); strings.Count(again, "cannot be handed over") != strings.Count(log, "cannot be handed over") {
					t.Errorf("got the log %q, want it said once", again)
				}
				return
			}
			if !strings.Contains(log, "node="+tt.to[0]) || !strings.Contains(log, "instead_of=a") {
				t.Errorf("got the log %q, want that node %s says it as well", log, tt.to[0])
			}
			// The one that leads now keeps it, and the other says why it does not.
			next := f.nodes[tt.to[0]]
			if next.successor.look(t.Context()) {
				t.Errorf("node %s hands it back", tt.to[0])
			}
			if got := next.report.Status(t.Context()).Cluster.Nodes[0].Error; !strings.Contains(got, "its file does not mention new of pipeline shop") {
				t.Errorf("got %q of node a, want what its file lacks", got)
			}
		})
	}
}

func TestATableThatAnotherFileCapturesIsNotForgotten(t *testing.T) {
	f := newFleet(map[string][]string{"a": {}, "b": {"t"}})
	f.covered["shop"] = []string{"t"}
	f.leader = "a"
	_, err := f.nodes["a"].operator.Operate(t.Context(), web.Forget{Pipeline: "shop", Table: "t", DryRun: true})
	if err == nil || !strings.Contains(err.Error(), "in the file of node b, a rule of pipeline shop captures t") {
		t.Errorf("got %v, want a refusal that names node b", err)
	}
	f.gone["b"] = true
	if result, err := f.nodes["a"].operator.Operate(t.Context(), web.Forget{Pipeline: "shop", Table: "t", DryRun: true}); err != nil || result.Done {
		t.Errorf("got %+v, %v, want it to be possible", result, err)
	}
}

func TestManyTablesAreSaidInAFewWords(t *testing.T) {
	for want, c := range map[string]coverage{
		"":                                    {},
		"t of pipeline p":                     {"p": {"t"}},
		"t of pipeline p and u of pipeline q": {"q": {"u"}, "p": {"t"}},
		"1 of pipeline p, 2 of pipeline p, 3 of pipeline p, 4 of pipeline p, 5 of pipeline p and 2 more": {"p": {"1", "2", "3", "4", "5", "6", "7"}},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
