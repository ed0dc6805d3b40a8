package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/web"
)

// memberOrders are the orders that change the cluster.
func memberOrders() []sent {
	return []sent{
		{[]string{"member", "add", "d", "10.0.0.4:7400"}, "POST /api/members", `{"add":"d","raft":"10.0.0.4:7400","remove":"","dry_run":true}`},
		{[]string{"member", "add", "d", "10.0.0.4:7400", "--yes"}, "POST /api/members", `{"add":"d","raft":"10.0.0.4:7400","remove":"","dry_run":false}`},
		{[]string{"member", "remove", "c"}, "POST /api/members", `{"add":"","raft":"","remove":"c","dry_run":true}`},
		{[]string{"member", "remove", "c", "--yes"}, "POST /api/members", `{"add":"","raft":"","remove":"c","dry_run":false}`},
		{[]string{"member", "transfer"}, "POST /api/transfer", `{"to":"","dry_run":true}`},
		{[]string{"member", "transfer", "b", "--yes"}, "POST /api/transfer", `{"to":"b","dry_run":false}`},
	}
}

// trio is a file of three nodes at these addresses.
func trio(t *testing.T, http ...string) string {
	t.Helper()
	var nodes []string
	for i, address := range http {
		nodes = append(nodes, fmt.Sprintf("{id: n%d, raft: '%s', http: '%s'}", i+1, closedPort(t), address))
	}
	return settings(t, "http: {token: s3cret}", "cluster: {nodes: ["+strings.Join(nodes, ", ")+"]}")
}

func TestMembersAreListed(t *testing.T) {
	address := node(t, answering(t, troubled()))
	got := command(t.Context(), "member", "list", "--address", address)
	if got.exit != 0 {
		t.Errorf("got %+v, want success", got)
	}
	golden(t, "members.txt", got.stdout)
	asJSON := command(t.Context(), "member", "list", "--address", address, "--json")
	var nodes []web.Node
	if err := json.Unmarshal([]byte(asJSON.stdout), &nodes); err != nil || len(nodes) != 3 || nodes[1].ID != "bravo" {
		t.Errorf("got %+v, %v, want the three nodes", asJSON, err)
	}
	none := command(t.Context(), "member", "list", "--json", "--address", node(t, answering(t, web.Status{})))
	if none.stdout != "[]\n" {
		t.Errorf("got %q, want an empty list", none.stdout)
	}
}

func TestAnotherNodeOfTheFileIsAskedIfOneDoesNotAnswer(t *testing.T) {
	alive := node(t, answering(t, troubled()))
	got := command(t.Context(), "status", "-c", trio(t, closedPort(t), alive, closedPort(t)))
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("got %+v, want the status of the node that answers", got)
	}
	first, second := closedPort(t), closedPort(t)
	got = command(t.Context(), "status", "-c", trio(t, first, second, closedPort(t)))
	if want := "no node answers at " + first + ", nor at " + second + ", nor at "; got.exit != 1 || !strings.Contains(got.stderr, want) {
		t.Errorf("got %+v, want exit 1 and %q", got, want)
	}
}

func TestANodeThatHearsOfNoLeaderIsNotBelievedAlone(t *testing.T) {
	lost := troubled()
	lost.Cluster.Leader = ""
	alone, led := node(t, answering(t, lost)), node(t, answering(t, troubled()))
	got := command(t.Context(), "status", "-c", trio(t, alone, closedPort(t), led))
	if got.exit != 0 || !strings.Contains(got.stdout, "leader a") {
		t.Errorf("got %+v, want what the node says that knows the leader", got)
	}
	got = command(t.Context(), "status", "-c", trio(t, alone, closedPort(t), closedPort(t)))
	if got.exit != 0 || !strings.Contains(got.stdout, "no leader") {
		t.Errorf("got %+v, want what there is", got)
	}
}

// One that is frozen takes connections, and says nothing.
func TestAFrozenNodeIsNotWaitedFor(t *testing.T) {
	frozen := func() string {
		return node(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	led := node(t, answering(t, troubled()))
	lost := troubled()
	lost.Cluster.Leader = ""
	alone := node(t, answering(t, lost))
	var path, body string
	obeys := node(t, obeying(t, web.Result{Done: true, Text: "Done."}, &path, &body))
	tests := []struct {
		name, file string
		command    []string
		want       string
	}{
		{"the first of the file", trio(t, frozen(), led, closedPort(t)), []string{"status"}, "leader a"},
		{"two", trio(t, frozen(), alone, frozen()), []string{"member", "list"}, "10.0.0.1:7480"},
		{"an order", trio(t, frozen(), obeys, closedPort(t)), []string{"member", "transfer", "--yes"}, "Done."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := command(t.Context(), append(tt.command, "-c", tt.file)...)
			if got.exit != 0 || got.stderr != "" || !strings.Contains(got.stdout, tt.want) {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestAnOrderGoesToAnotherNodeOnlyIfNobodyHasHeardIt(t *testing.T) {
	var path, body string
	obeys := node(t, obeying(t, web.Result{Done: true, Text: "Done."}, &path, &body))
	got := command(t.Context(), "member", "transfer", "--yes", "-c", trio(t, closedPort(t), obeys, closedPort(t)))
	if got.exit != 0 || path != "POST /api/transfer" {
		t.Errorf("got %+v and %q, want it given to the node that answers", got, path)
	}
	path = ""
	hangsUp := node(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	})
	got = command(t.Context(), "member", "transfer", "--yes", "-c", trio(t, hangsUp, obeys, closedPort(t)))
	if got.exit != 1 || path != "" || !strings.Contains(got.stderr, "no node answers at "+hangsUp) {
		t.Errorf("got %+v and %q, want it given to nobody else", got, path)
	}
}

func TestNodesAreCompletedFromTheFile(t *testing.T) {
	file := trio(t, "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
	for _, name := range []string{"remove", "transfer"} {
		got := command(t.Context(), "__complete", "member", name, "-c", file, "")
		if got.exit != 0 || !strings.HasPrefix(got.stdout, "n1\nn2\nn3\n") {
			t.Errorf("%s: got %+v, want the three nodes", name, got)
		}
	}
}

func TestWhichOfSeveralNodesIsMeantMustBeSaid(t *testing.T) {
	file := trio(t, "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
	for _, name := range []string{"run", "check"} {
		got := command(t.Context(), name, "-c", file)
		if want := `the file lists nodes "n1", "n2" and "n3" under cluster.nodes: say with --node`; got.exit != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want exit 2 and %q", name, got, want)
		}
	}
}

func TestCheckLooksForTheOtherNodes(t *testing.T) {
	free, other := closedPort(t), listen(t)
	defer other.Close()
	text := fmt.Sprintf("cluster: {nodes: [{id: a, raft: '%s', http: '%s'}, {id: b, raft: '%s', http: '10.0.0.2:1'}, {id: c, raft: '%s', http: '10.0.0.3:1'}]}",
		free, closedPort(t), other.Addr(), closedPort(t))
	file := settingsOf(t, embedded(t), text, "data_dir: '"+t.TempDir()+"'")
	got := command(t.Context(), "check", "-c", file, "--node", "a")
	for _, want := range []string{
		"the address " + free + ", where node a listens for the others, is free", "node b is reached at " + other.Addr().String(), "node c is not reached at ",
	} {
		if strings.Count(got.stdout, want) != 1 {
			t.Errorf("got %s, want %q in it once", got.stdout, want)
		}
	}
	got = command(t.Context(), "check", "-c", file, "--node", "b")
	if want := "node b cannot listen for the others at " + other.Addr().String(); strings.Count(got.stdout, want) != 1 {
		t.Errorf("got %s, want %q in it once", got.stdout, want)
	}
}
