package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/web"
)

// trio is three nodes that are to be one cluster, each with its own copy of the one file.
type trio struct {
	sites map[string]*site
	nodes map[string]*node // that run
	logs  []*text          // of all that ever ran
	raft  map[string]string
	text  string // of the file
}

var trioIDs = []string{"a", "b", "c"}

// newTrio writes the files. It starts nothing.
func newTrio(t testing.TB, f flavour, kafka, pipelines string) *trio {
	t.Helper()
	c := &trio{sites: map[string]*site{}, nodes: map[string]*node{}, raft: map[string]string{}}
	dir := t.TempDir()
	var list []string
	for _, id := range trioIDs {
		s := &site{binary: binary(t, f), dir: filepath.Join(dir, id), http: freeAddress(t), env: []string{"KAFKASYNC_NODE=" + id}}
		s.file = filepath.Join(dir, "kafkasync-"+id+".yaml")
		c.sites[id], c.raft[id] = s, freeAddress(t)
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("- {id: %s, raft: %q, http: %q}", id, c.raft[id], s.http))
	}
	name := fmt.Sprintf("e2e-%d-%d", os.Getpid(), sites.Add(1)) // the tests share a Kafka, and a name is the prefix of consumer groups
	c.text = fmt.Sprintf("name: %s\nhttp: {token: %s}\ncluster:\n  nodes:\n%s\nkafka:\n%s\n", name, operatorToken,
		indent(indent(strings.Join(list, "\n"))), indent(kafka))
	for _, id := range trioIDs {
		c.rewrite(t, id, pipelines)
	}
	return c
}

// rewrite gives one of the nodes a file with other pipelines.
func (c *trio) rewrite(t testing.TB, id, pipelines string) {
	t.Helper()
	c.sites[id].write(t, fmt.Sprintf("%sdata_dir: %s\npipelines:\n%s\n", c.text, filepath.Join(c.sites[id].dir, "data"), indent(pipelines)))
}

func (c *trio) start(t testing.TB, ids ...string) {
	t.Helper()
	for _, id := range ids {
		c.nodes[id] = c.sites[id].start(t)
		c.logs = append(c.logs, c.nodes[id].log)
	}
}

// warnings logs what the nodes warned of, so that an outage that was long can be understood.
func (c *trio) warnings(t testing.TB) {
	t.Helper()
	var all []string
	for _, log := range c.logs {
		all = append(all, linesWith(log.String(), "level=WARN")...)
	}
	slices.Sort(all) // each begins with the time
	t.Logf("the nodes warned:\n%s", strings.Join(all, "\n"))
}

// kill is kill -9.
func (c *trio) kill(t testing.TB, id string) {
	t.Helper()
	c.nodes[id].kill(t)
	delete(c.nodes, id)
}

// terminate is SIGTERM, which a node must obey.
func (c *trio) terminate(t testing.TB, id string) {
	t.Helper()
	if code := c.nodes[id].terminate(t); code != 0 {
		t.Errorf("node %s: got exit status %d after SIGTERM, want 0", id, code)
	}
	delete(c.nodes, id)
}

// any is a running node other than these.
func (c *trio) any(but ...string) *site {
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if !slices.Contains(but, id) {
			return c.sites[id]
		}
	}
	return nil
}

// follower is the id of a running node that does not lead.
func (c *trio) follower(t testing.TB) string {
	t.Helper()
	leader := c.leader(t)
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if id != leader {
			return id
		}
	}
	t.Fatal("no follower runs")
	return ""
}

// leader waits until one of the running nodes leads and its pipeline streams, and all others agree.
func (c *trio) leader(t testing.TB) string {
	t.Helper()
	leader := ""
	eventually(t, time.Minute, func() string {
		leader = ""
		for id := range c.nodes {
			if !c.nodes[id].alive() {
				t.Fatalf("node %s has ended", id)
			}
			status, err := c.sites[id].status(t.Context())
			switch {
			case err != nil:
				return err.Error()
			case status.Cluster.Leader == "" || c.nodes[status.Cluster.Leader] == nil || leader != "" && leader != status.Cluster.Leader:
				return fmt.Sprintf("node %s says that %q leads, another one that %q does", id, status.Cluster.Leader, leader)
			case status.Pipelines[0].State == "stopped":
				t.Fatalf("the pipeline has stopped: %s", status.Pipelines[0].Error)
			case status.Pipelines[0].State != "streaming":
				return fmt.Sprintf("node %s says that the pipeline is %s: %s", id, status.Pipelines[0].State, status.Pipelines[0].Error)
			}
			leader = status.Cluster.Leader
		}
		return ""
	})
	return leader
}

// whole waits until all three nodes run, vote and have caught up, and returns who leads.
func (c *trio) whole(t testing.TB) string {
	t.Helper()
	leader := ""
	eventually(t, time.Minute, func() string {
		leader = c.leader(t)
		for id := range c.nodes {
			if code, body, err := c.sites[id].get(t.Context(), "/readyz"); err != nil || code != http.StatusOK {
				return fmt.Sprintf("node %s: got %d %s (%v), want it to be ready", id, code, body, err)
			}
		}
		status, err := c.any().status(t.Context())
		if err != nil {
			return err.Error()
		}
		for _, n := range status.Cluster.Nodes {
			if n.Role != "leader" && n.Role != "follower" || !n.Reachable {
				return fmt.Sprintf("node %s is a %s, reachable %t: %s", n.ID, n.Role, n.Reachable, n.Error)
			}
		}
		if len(status.Cluster.Nodes) != len(trioIDs) || len(c.nodes) != len(trioIDs) {
			return fmt.Sprintf("there are %d nodes: %+v", len(status.Cluster.Nodes), status.Cluster.Nodes)
		}
		return ""
	})
	return leader
}

// post gives an order to a node, over HTTP.
func (s *site) post(t testing.TB, path, body string) (code int, answer web.Result, said string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.http+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return resp.StatusCode, answer, string(text)
}
