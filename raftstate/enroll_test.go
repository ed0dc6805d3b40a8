package raftstate

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kafkasync/kafkasync"
)

var file = []Peer{{ID: "a", Address: "a:1"}, {ID: "b", Address: "b:1"}, {ID: "c", Address: "c:1"}}

func empty(id string) reply {
	return reply{who{id: id, incarnation: "new", empty: true, listed: file}, Peer{ID: id, Address: id + ":1"}}
}

func member(id, cluster string, last uint64, voters ...raft.ServerID) reply {
	r := reply{who{id: id, incarnation: "old", cluster: cluster, last: last, listed: file}, Peer{ID: id, Address: id + ":1"}}
	for _, v := range voters {
		r.members = append(r.members, raft.Server{ID: v, Address: raft.ServerAddress(v)})
	}
	return r
}

func TestOnlyTheFirstFormsAClusterAndOnlyWhenAllAreEmpty(t *testing.T) {
	missing := []Peer{file[2]}
	another := empty("c")
	another.listed = file[:2]
	stray := empty("c")
	stray.cluster = "C"
	misplaced := empty("c")
	misplaced.id = "x"
	for name, tt := range map[string]struct {
		first bool
		found survey
		want  bool
	}{
		"all are empty":                 {true, survey{replies: []reply{empty("b"), empty("c")}}, true},
		"it is not the first":           {false, survey{replies: []reply{empty("b"), empty("c")}}, false},
		"one cannot be reached":         {true, survey{replies: []reply{empty("b")}, missing: missing}, false},
		"one has entries":               {true, survey{replies: []reply{empty("b"), member("c", "C", 9, "c#old")}}, false},
		"one has been let in elsewhere": {true, survey{replies: []reply{empty("b"), stray}}, false},
		"one has another file":          {true, survey{replies: []reply{empty("b"), another}}, false},
		"one is somebody else":          {true, survey{replies: []reply{empty("b"), misplaced}}, false},
	} {
		p := prospect{first: tt.first, self: who{id: "a", incarnation: "new", empty: true, listed: file}}
		if got := p.mayForm(tt.found); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}

func TestWhatOnlyAPersonCanResolveIsAFault(t *testing.T) {
	misplaced := empty("c")
	misplaced.id = "x"
	another := empty("c")
	another.listed = file[:2]
	leading := member("c", "C", 9, "c#old")
	leading.leads = true
	for name, tt := range map[string]struct {
		found []reply
		want  string // "" for none
	}{
		"all are empty":                     {[]reply{empty("b"), empty("c")}, ""},
		"a node is somebody else":           {[]reply{empty("b"), misplaced}, `is node "x", but the file says that it is node "c"`},
		"a file differs":                    {[]reply{empty("b"), another}, `the file of node "c" lists other nodes`},
		"two clusters":                      {[]reply{member("b", "B", 5, "b#old"), member("c", "C", 5, "c#old")}, `nodes "b" and "c" belong to different clusters`},
		"a cluster that does not know it":   {[]reply{empty("b"), member("c", "C", 9, "c#old", "d#old")}, `of which node "a" is no member`},
		"that has a leader, who is asked":   {[]reply{empty("b"), leading}, ""},
		"two of three are lost":             {[]reply{empty("b"), member("c", "C", 9, "a#old", "b#old", "c#old")}, "2 of the 3 voting nodes are lost (a, b)"},
		"one of three is lost":              {[]reply{member("b", "C", 9, "a#old", "b#old", "c#old")}, ""},
		"the only voter is lost":            {[]reply{member("b", "C", 1, "a#old")}, "1 of the 1 voting nodes are lost (a)"},
		"what knows more is what counts":    {[]reply{member("b", "C", 1, "a#old"), member("c", "C", 9, "a#old", "b#old", "c#old")}, ""},
		"an incarnation that came and went": {[]reply{empty("b"), member("c", "C", 9, "a#older", "b#new", "c#old")}, ""},
	} {
		p := prospect{first: true, self: who{id: "a", incarnation: "new", empty: true, listed: file}}
		now := time.Now()
		err := p.refused(survey{replies: tt.found}, now, time.Second)
		if err == nil {
			err = p.refused(survey{replies: tt.found}, now.Add(time.Second), time.Second)
		}
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: got %v, want none", name, err)
		case tt.want != "" && (kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
}
