package web_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

func exampleStatus() web.Status {
	due := time.Date(2026, 11, 21, 10, 30, 0, 250e6, time.UTC)
	fault := &kafkasync.Fault{
		Class: kafkasync.Stop,
		What:  "the replication slot kafkasync_shop does not exist",
		Risk:  "changes since 0/16B3748",
		Fix:   "kafkasync recover shop --new-slot --accept-gap",
		Err:   errors.New(`ERROR: replication slot "kafkasync_shop" does not exist <42704>`),
	}
	return web.Status{
		Cluster: web.Cluster{
			ID: "6c1e", Leader: "a",
			Nodes: []web.Node{
				{ID: "a", Address: "10.0.0.1:7480", Raft: "10.0.0.1:7400", Role: "leader", Reachable: true},
				{ID: "b", Address: "10.0.0.2:7480", Raft: "10.0.0.2:7400", Role: "follower", Behind: 3, Reachable: true},
				{ID: "c", Raft: "10.0.0.3:7400", Role: "follower", Error: "the node does not answer: connection refused"},
			},
		},
		Pipelines: []web.Pipeline{
			{
				Name: "shop", State: "streaming", Holder: "a", Epoch: 7, Position: "7301/1/0/16B3748",
				LagBytes: 4096, LagSeconds: 0.25, Tables: []string{"public.products", "public.order_lines"},
				Uncovered: []web.Uncovered{{Table: "public.notes", Why: "public.notes cannot be published: it has no primary key"}},
			},
			{Name: "billing", State: "stopped", Epoch: 2, Error: fault.Error()},
		},
		Delays: []web.Delay{
			{Topic: "products", DelayMS: 300000, Waiting: 12, NextDue: &due, LateSeconds: 0.5},
			{Topic: "orders", DelayMS: 60000},
			{
				Topic: "invoices", DelayMS: 3600000, Waiting: -1, Lost: 1200,
				Error: "the consumer group kafkasync-delayer-3600000 may not be used; to fix: allow READ on it",
			},
		},
		Gaps: []web.Gap{{
			Pipeline: "billing", Table: "public.invoices", From: "7301/1/0/16B3748", To: "7301/1/0/20A0000",
			Cause: "the slot was lost", Fix: "kafkasync backfill start billing --table public.invoices",
		}},
	}
}

func TestStatusJSONIsTheContract(t *testing.T) {
	tests := []struct {
		name   string
		status web.Status
		file   string
	}{
		{"a cluster with everything", exampleStatus(), "status.json"},
		{"a node that has just started has lists, not nulls", web.Status{Pipelines: []web.Pipeline{{Name: "shop", State: "starting"}}}, "status_empty.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, http.MethodGet, start(t, web.Config{}, &reporter{status: tt.status}, prometheus.NewRegistry())+"/api/status", "")
			if got.code != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %s, want 200 application/json", got.code, got.header.Get("Content-Type"))
			}
			golden(t, tt.file, got.body)
		})
	}
}

func TestStatusReadsBackEqual(t *testing.T) {
	want := exampleStatus()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	if want.Pipelines[1].Tables != nil {
		t.Error("encoding changed the caller's status")
	}
	var got web.Status
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("decoding: %v", err)
	}
	want.Pipelines[1].Tables, want.Pipelines[1].Uncovered = []string{}, []web.Uncovered{} // what the contract makes of nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTokensGuardWhatTheySay(t *testing.T) {
	const write, read, wrong = "Bearer write-token", "Bearer read-token", "Bearer other"
	open := web.Config{}
	writing := web.Config{Token: "write-token"}
	both := web.Config{Token: "write-token", ReadToken: "read-token"}
	readOnly := web.Config{ReadToken: "read-token"}
	tests := []struct {
		name   string
		cfg    web.Config
		method string
		path   string
		auth   string
		want   int
	}{
		{"reading is open by default", open, "GET", "/api/status", "", 200},
		{"the page is open by default", open, "GET", "/", "", 200},
		{"metrics are open by default", open, "GET", "/metrics", "", 200},
		{"a token for changes leaves reading open", writing, "GET", "/api/status", "", 200},
		{"HEAD is a read", open, "HEAD", "/api/status", "", 200},
		{"an unknown path", open, "GET", "/nothing", "", 404},
		{"a path below the page", open, "GET", "/index.html", "", 404},

		{"a read token guards the status", both, "GET", "/api/status", "", 401},
		{"a read token guards the page", both, "GET", "/", "", 401},
		{"a read token guards metrics", both, "GET", "/metrics", "", 401},
		{"a read token guards which paths exist", both, "GET", "/nothing", "", 401},
		{"a wrong read token", both, "GET", "/api/status", wrong, 401},
		{"a prefix of the read token", both, "GET", "/api/status", "Bearer read-toke", 401},
		{"the read token in another scheme", both, "GET", "/api/status", "Basic read-token", 401},
		{"the bare read token", both, "GET", "/api/status", "read-token", 401},
		{"an empty bearer where no token for changes is set", readOnly, "GET", "/api/status", "Bearer ", 401},
		{"the read token", both, "GET", "/api/status", read, 200},
		{"the read token opens the page", both, "GET", "/", read, 200},
		{"the read token opens metrics", both, "GET", "/metrics", read, 200},
		{"the scheme in lower case", both, "GET", "/api/status", "bearer read-token", 200},
		{"who may change may read", both, "GET", "/api/status", write, 200},
		{"health stays open", both, "GET", "/healthz", "", 200},
		{"readiness stays open", both, "GET", "/readyz", "", 200},

		{"nothing can be changed without a token", open, "POST", "/api/transfer", "", 403},
		{"nor with a token that nobody configured", open, "POST", "/api/transfer", write, 403},
		{"nor with the empty token", open, "POST", "/api/transfer", "Bearer ", 403},
		{"a read token does not make changing possible", readOnly, "POST", "/api/transfer", read, 403},
		{"a change needs the token", both, "POST", "/api/transfer", "", 401},
		{"a change with a wrong token", both, "POST", "/api/transfer", wrong, 401},
		{"a change with the read token", both, "POST", "/api/transfer", read, 401},
		{"a change with the token at an unknown path", both, "POST", "/api/nothing", write, 404},
		{"a change of what can only be read", both, "POST", "/api/status", write, 405},
		{"recovering needs a token to be set", open, "POST", "/api/pipelines/shop/recover", write, 403},
		{"recovering needs the token", both, "POST", "/api/pipelines/shop/recover", read, 401},
		{"setting a position needs the token", both, "POST", "/api/pipelines/shop/position", "", 401},
		{"dropping needs the token", both, "POST", "/api/pipelines/shop/drop", wrong, 401},
		{"forgetting needs the token", both, "POST", "/api/tables/forget", "", 401},
		{"an order with the token and without a body", both, "POST", "/api/tables/forget", write, 400},
		{"an order as a read", both, "GET", "/api/tables/forget", write, 404},
		{"other methods are changes too", open, "DELETE", "/api/status", "", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, tt.method, start(t, tt.cfg, &reporter{}, prometheus.NewRegistry())+tt.path, tt.auth)
			if got.code != tt.want {
				t.Errorf("%s %s with %q: got %d (%s), want %d", tt.method, tt.path, tt.auth, got.code, got.body, tt.want)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (got.code == 401) != strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("got the challenge %q with %d, want Bearer with 401 only", challenge, got.code)
			}
			if strings.Contains(got.body, "read-token") || strings.Contains(got.body, "write-token") {
				t.Errorf("got %q, want no token in an answer", got.body)
			}
		})
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	url := start(t, web.Config{}, &reporter{ready: errors.New("this node is 12 entries behind the leader")}, prometheus.NewRegistry())
	got := ask(t, http.MethodGet, url+"/readyz", "")
	if got.code != http.StatusServiceUnavailable || !strings.Contains(got.body, "12 entries behind") {
		t.Errorf("got %d %q, want 503 and the reason", got.code, got.body)
	}
	if got := ask(t, http.MethodGet, url+"/healthz", ""); got.code != http.StatusOK {
		t.Errorf("healthz: got %d, want 200: the process lives", got.code)
	}
}

func TestStoppedPipelineDoesNotBlockReadiness(t *testing.T) {
	got := ask(t, http.MethodGet, start(t, web.Config{}, &reporter{status: exampleStatus()}, prometheus.NewRegistry())+"/readyz", "")
	if got.code != http.StatusOK || got.body != "ready\n" {
		t.Errorf("got %d %q, want 200 ready", got.code, got.body)
	}
}
