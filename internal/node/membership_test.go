package node

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/web"
)

func TestTheClusterIsChangedOnlyWhereItCanGoOn(t *testing.T) {
	tests := []struct {
		name    string
		order   web.Order
		prepare func(f *fleet)
		code    int // 0: it is carried out
		says    string
	}{
		{"neither", web.Members{}, nil, http.StatusBadRequest, "exactly one of add and remove"},
		{"both", web.Members{Add: "d", Remove: "c"}, nil, http.StatusBadRequest, "exactly one of add and remove"},
		{"to add without an address", web.Members{Add: "d"}, nil, http.StatusBadRequest, `node d cannot be reached at ""`},
		{"to add a member", web.Members{Add: "b", Raft: "x:1"}, nil, http.StatusConflict, "node b at b:7400 is a member already"},
		{"to add at a member's address", web.Members{Add: "d", Raft: "b:7400"}, nil, http.StatusConflict, "node b at b:7400 is a member already"},
		{"to add", web.Members{Add: "d", Raft: "d:7400"}, nil, 0, "Node d is a member of the cluster, at d:7400. Start it"},
		{"to say what adding does", web.Members{Add: "d", Raft: "d:7400", DryRun: true}, nil, 0, "Node d will be a member"},
		{"to remove a stranger", web.Members{Remove: "bb"}, nil, http.StatusNotFound, "did you mean b?"},
		{"to remove a follower", web.Members{Remove: "c"}, nil, 0, "Node c is no member of the cluster any more"},
		{"to say what removing the leader does", web.Members{Remove: "a", DryRun: true}, nil, 0, "It hands leadership over first"},
		{"to remove the one that does not answer", web.Members{Remove: "c"}, func(f *fleet) { f.gone["c"] = true }, 0, "Node c is no member"},
		{"to remove one of the last two that answer", web.Members{Remove: "b"}, func(f *fleet) { f.gone["c"] = true }, http.StatusConflict, "without node b, 1 of the 2 nodes that are left would answer"},
		{"to remove a learner while one is away", web.Members{Remove: "b"}, func(f *fleet) { f.gone["c"], f.roles["b"] = true, "learner" }, 0, "Node b is no member"},
		{"to transfer to a stranger", web.Transfer{To: "z"}, nil, http.StatusNotFound, "node z is no member"},
		{"to transfer to the leader", web.Transfer{To: "a"}, nil, http.StatusConflict, "node a leads already"},
		{"to transfer to a learner", web.Transfer{To: "b"}, func(f *fleet) { f.roles["b"] = "learner" }, http.StatusConflict, "node b does not vote yet"},
		{"to transfer", web.Transfer{To: "b"}, nil, 0, "Leadership went from node a to node b."},
		{"to say what a transfer does", web.Transfer{DryRun: true}, nil, 0, "Leadership will go from node a to the node that has received most"},
		{"to transfer alone", web.Transfer{}, func(f *fleet) { delete(f.nodes, "b"); delete(f.nodes, "c") }, http.StatusConflict, "no other node"},
	}
	for _, tt := range tests {
		for _, asked := range []string{"a", "b"} { // whichever is asked does it
			f := newFleet(map[string][]string{"a": {}, "b": {}, "c": {}})
			if tt.prepare != nil {
				tt.prepare(f)
			}
			if f.nodes[asked] == nil {
				continue
			}
			result, err := f.nodes[asked].operator.Operate(t.Context(), tt.order)
			var refusal *web.Refusal
			switch {
			case tt.code == 0 && (err != nil || !strings.Contains(result.Text, tt.says) || result.Done == strings.Contains(tt.name, "to say")):
				t.Errorf("%s, asking %s: got %+v, %v, want %q", tt.name, asked, result, err, tt.says)
			case tt.code != 0 && (!errors.As(err, &refusal) || refusal.Code != tt.code || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%s, asking %s: got %+v, %v, want %d and %q", tt.name, asked, result, err, tt.code, tt.says)
			}
		}
	}
}
