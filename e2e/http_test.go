package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/web"
)

func TestANodeTellsHowItIs(t *testing.T) {
	url, topic := devtest.Database(t), devtest.Topic(t)
	execute(t, url, "CREATE TABLE products (id int PRIMARY KEY)")
	s := newSite(t, plain, fmt.Sprintf("brokers: [%s]", devtest.Kafka(t).Brokers()),
		pipelineText("told", url, fmt.Sprintf("- {match: public.products, topic: %s}", topic)))
	if _, stderr, code := s.command(t, "status"); code != 1 || contains("", stderr, "no node answers at "+s.http, "kafkasync run") != "" {
		t.Errorf("status without a node: got exit status %d and %q, want 1 and what to do", code, stderr)
	}
	n := s.start(t)
	n.reaches(t, "streaming")
	execute(t, url, "INSERT INTO products VALUES (1), (2)")
	drained(t, url, "kafkasync_told")

	for path, want := range map[string][]string{
		"/healthz":    {"ok"},
		"/readyz":     {"ready"},
		"/":           {"<html", "told", "public.products"},
		"/api/status": {`"state": "streaming"`},
		"/metrics": {
			"kafkasync_leader 1", `kafkasync_pipeline_streaming{pipeline="told"} 1`, "kafkasync_raft_commit_seconds_count",
			`kafkasync_pipeline_changes_total{op="c",pipeline="told",table="public.products"} 2`,
			fmt.Sprintf(`kafkasync_pipeline_published_total{pipeline="told",topic="%s"} 2`, topic),
		},
	} {
		code, body, err := s.get(t.Context(), path)
		if err != nil || code != http.StatusOK {
			t.Errorf("GET %s: got %d, %v, want 200", path, code, err)
		}
		if problem := contains(path, string(body), want...); problem != "" {
			t.Error(problem)
		}
	}
	s.statusAgrees(t)
	out, _, code := s.command(t, "check")
	if problem := contains("check", out, "is not beyond the checkpoint", "the server is the one of the checkpoint",
		"the running node confirmed a heartbeat"); problem != "" || code != 0 {
		t.Errorf("got exit status %d and %s", code, problem)
	}
	s.isAlone(t)
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// statusAgrees compares the command with the API.
func (s *site) statusAgrees(t *testing.T) {
	t.Helper()
	out, _, code := s.command(t, "status", "--json")
	var status web.Status
	if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 || len(status.Pipelines) != 1 {
		t.Fatalf("status --json: got exit status %d, %v and %s", code, err, out)
	}
	got := status.Pipelines[0]
	want, err := s.pipeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "told" || got.State != want.State || got.Epoch != want.Epoch || got.Holder != "a" || got.Error != "" ||
		len(got.Tables) != 1 || got.Tables[0] != "public.products" || status.Cluster.Leader != "a" {
		t.Errorf("status --json: got %s, want what /api/status says: %+v", out, want)
	}
	text, _, code := s.command(t, "status")
	if problem := contains("status", text, "told", "streaming"); problem != "" || code != 0 {
		t.Errorf("status: got exit status %d, want 0; %s", code, problem)
	}
}

// isAlone starts further processes beside the running one.
func (s *site) isAlone(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.Replace(string(text), s.http, freeAddress(t), 1)
	for _, second := range []struct{ name, file, want string }{
		{"the same file", string(text), "the HTTP address " + s.http + " is in use by another process"},
		{"another address, the same data_dir", elsewhere, "another process is using the data folder"},
	} {
		s.write(t, second.file)
		_, stderr, code := s.command(t, "run")
		if code != 1 {
			t.Errorf("%s: got exit status %d of the second process, want 1", second.name, code)
		}
		if said := linesWith(stderr, second.want); len(said) != 1 || !strings.HasPrefix(said[0], "kafkasync: ") {
			t.Errorf("%s: the second process said %q, want one message with %q", second.name, stderr, second.want)
		}
		if problem := contains(second.name, stderr, "to fix: "); problem != "" {
			t.Error(problem)
		}
	}
	s.write(t, string(text))
}
