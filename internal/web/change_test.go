package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

// post sends an order with the token that start was given.
func post(t *testing.T, url, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	req.Header.Set("Authorization", "Bearer s3cret")
	return do(t, http.DefaultClient, req)
}

func TestOrdersArriveAsTheyWereGiven(t *testing.T) {
	r := &reporter{}
	url := start(t, web.Config{Token: "s3cret"}, r, prometheus.NewRegistry())
	tests := []struct {
		path, body string
		want       web.Order
	}{
		{"/api/pipelines/shop/recover", `{"new_slot": true}`, web.Recover{Pipeline: "shop", NewSlot: true}},
		{"/api/pipelines/a%2Fb/recover", `{"adopt_slot": true, "accept_gap": true}`, web.Recover{Pipeline: "a/b", AdoptSlot: true, AcceptGap: true}},
		{"/api/pipelines/shop/recover", `{"skip_to": "7:1:0/1", "accept_gap": true}`, web.Recover{Pipeline: "shop", SkipTo: "7:1:0/1", AcceptGap: true}},
		{"/api/pipelines/shop/position", `{"position": "7:1:0/1", "dry_run": true}`, web.SetPosition{Pipeline: "shop", Position: "7:1:0/1", DryRun: true}},
		{"/api/pipelines/shop/drop", `{}`, web.Drop{Pipeline: "shop"}},
		{"/api/pipelines/shop/drop", `{"dry_run": true}`, web.Drop{Pipeline: "shop", DryRun: true}},
		{"/api/tables/forget", `{"pipeline": "shop", "table": "public.t"}`, web.Forget{Pipeline: "shop", Table: "public.t"}},
		{"/api/members", `{"add": "d", "raft": "10.0.0.4:7400", "dry_run": true}`, web.Members{Add: "d", Raft: "10.0.0.4:7400", DryRun: true}},
		{"/api/members", `{"remove": "d"}`, web.Members{Remove: "d"}},
		{"/api/transfer", `{}`, web.Transfer{}},
		{"/api/transfer", `{"to": "b", "dry_run": true}`, web.Transfer{To: "b", DryRun: true}},
	}
	for _, tt := range tests {
		r.ordered = nil
		if got := post(t, url+tt.path, tt.body); got.code != http.StatusOK {
			t.Errorf("%s %s: got %d %s, want 200", tt.path, tt.body, got.code, got.body)
		}
		if !reflect.DeepEqual(r.ordered, []web.Order{tt.want}) {
			t.Errorf("%s %s: got %#v, want %#v", tt.path, tt.body, r.ordered, tt.want)
		}
	}
}

func TestAnOrderThatIsNotUnderstoodIsNotCarriedOut(t *testing.T) {
	r := &reporter{}
	url := start(t, web.Config{Token: "s3cret"}, r, prometheus.NewRegistry())
	tests := []struct {
		name, body string
		code       int
		want       string
	}{
		{"nothing", "", 400, "it is empty"},
		{"no JSON", "drop it", 400, "invalid character"},
		{"cut short", `{"dry_run": tr`, 400, "unexpected EOF"},
		{"an unknown field", `{"dryrun": true}`, 400, `unknown field \"dryrun\"`},
		{"another order's field", `{"new_slot": true}`, 400, "unknown field"},
		{"the pipeline twice", `{"pipeline": "other"}`, 400, "unknown field"},
		{"a wrong type", `{"dry_run": "yes"}`, 400, "cannot unmarshal string"},
		{"something after it", `{"dry_run": true} {}`, 400, "something follows"},
		{"too much", `{"dry_run": true` + strings.Repeat(" ", 1<<17) + "}", 413, "too large"},
	}
	for _, tt := range tests {
		got := post(t, url+"/api/pipelines/shop/drop", tt.body)
		if got.code != tt.code || !strings.Contains(got.body, tt.want) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s, want %d with %q as JSON", tt.name, got.code, got.body, tt.code, tt.want)
		}
	}
	if len(r.ordered) != 0 {
		t.Errorf("got the orders %#v, want none", r.ordered)
	}
}

func TestTheAnswerToAnOrderIsTheContract(t *testing.T) {
	r := &reporter{result: web.Result{
		Done: true, Text: "Pipeline shop begins anew.", Left: []string{`DROP PUBLICATION "p";`},
		Gaps: []web.Gap{{Pipeline: "shop", Table: "public.t", From: "7:1:0/1", Cause: "a lost slot", Fix: "refresh it"}},
	}}
	url := start(t, web.Config{Token: "s3cret"}, r, prometheus.NewRegistry())
	golden(t, "result.json", post(t, url+"/api/pipelines/shop/recover", `{"new_slot": true}`).body)
	r.result = web.Result{Text: "Would do it."}
	golden(t, "result_dry.json", post(t, url+"/api/pipelines/shop/drop", `{"dry_run": true}`).body)
}

func TestARefusalSaysWhatAndWhy(t *testing.T) {
	fault := kafkasync.Fault{What: "pipeline shop is streaming", Risk: "all of it", Fix: "leave it", Err: errors.New("so it is")}
	said := web.Failure{Error: "pipeline shop is streaming: so it is", Risk: "all of it", Fix: "leave it"}
	wrapped := said
	wrapped.Error = "seeking: " + said.Error
	tests := []struct {
		name string
		err  error
		code int
		want web.Failure
	}{
		{"a refusal", &web.Refusal{Code: http.StatusNotFound, Fault: fault}, 404, said},
		{"a refusal with its context", fmt.Errorf("seeking: %w", &web.Refusal{Code: http.StatusConflict, Fault: fault}), 409, wrapped},
		{"a fault of the server", fmt.Errorf("seeking: %w", &fault), 409, wrapped},
		{"a fault in the middle", fmt.Errorf("seeking (%w)", &fault), 409, web.Failure{Error: "seeking (" + fault.Error() + ")", Risk: "all of it", Fix: "leave it"}},
		{"anything else", errors.New("connection reset"), 500, web.Failure{Error: "connection reset"}},
	}
	for _, tt := range tests {
		url := start(t, web.Config{Token: "s3cret"}, &reporter{refuse: tt.err}, prometheus.NewRegistry())
		got := post(t, url+"/api/pipelines/shop/drop", "{}")
		var failure web.Failure
		if err := json.Unmarshal([]byte(got.body), &failure); err != nil || got.code != tt.code || failure != tt.want {
			t.Errorf("%s: got %d %s (%v), want %d %+v", tt.name, got.code, got.body, err, tt.code, tt.want)
		}
	}
}
