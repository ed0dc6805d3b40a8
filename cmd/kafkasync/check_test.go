package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
	"github.com/kafkasync/kafkasync/config"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/source/postgres"
)

func findings() []main.Finding {
	return []main.Finding{
		{Finding: kafkasync.Finding{ID: "C02", Severity: kafkasync.SeverityOK, What: "data_dir ./data can be written to"}},
		{Finding: kafkasync.Finding{
			ID: "K03", Severity: kafkasync.SeverityWarning, What: "the topic products is on the only broker",
			Why: "what it holds is lost with that broker's disk", Fix: "run three brokers in production",
		}},
		{Pipeline: "shop", Finding: kafkasync.Finding{
			ID: "P02", Severity: kafkasync.SeverityError, What: "wal_level is replica",
			Why: "the log does not say which rows changed", Fix: "ALTER SYSTEM SET wal_level = 'logical';\n-- then restart Postgres",
		}},
		{Pipeline: "shop", Finding: kafkasync.Finding{
			ID: "K02", Severity: kafkasync.SeverityError, What: "the topic of public.größe would be \"größe\"", Fix: "topic: sizes",
		}},
	}
}

func TestFindingsAreReportedErrorsFirst(t *testing.T) {
	for name, asJSON := range map[string]bool{"check.txt": false, "check.json": true} {
		var out bytes.Buffer
		if err := main.ReportFindings(&out, findings(), asJSON); !errors.Is(err, main.ErrReported) {
			t.Errorf("%s: got %v, want a failure for the errors", name, err)
		}
		golden(t, name, out.String())
	}
}

func TestWarningsAreNoFailure(t *testing.T) {
	var out bytes.Buffer
	if err := main.ReportFindings(&out, findings()[:2], false); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if want := "\n0 errors, 1 warning, 1 ok\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("got %q, want %q at its end", out.String(), want)
	}
}

func TestOfManyTablesWithOneProblemTheFirstSaysWhy(t *testing.T) {
	var many []main.Finding
	for _, table := range []string{"a", "b", "c"} {
		many = append(many, main.Finding{Pipeline: "shop", Finding: kafkasync.Finding{
			ID: "P11", Severity: kafkasync.SeverityError, What: table + " has no key", Why: "updates fail", Fix: "ALTER TABLE " + table,
		}})
	}
	many = append(many, main.Finding{Pipeline: "shop", Finding: kafkasync.Finding{
		ID: "P12", Severity: kafkasync.SeverityError, What: "d has another key", Why: "updates fail", Fix: "ALTER TABLE d",
	}})
	var out bytes.Buffer
	if err := main.ReportFindings(&out, many, false); !errors.Is(err, main.ErrReported) {
		t.Errorf("got %v, want a failure for the errors", err)
	}
	text := out.String()
	if whys, fixes := strings.Count(text, "why: "), strings.Count(text, "to fix: "); whys != 2 || fixes != 4 {
		t.Errorf("got %d reasons and %d fixes in\n%s\nwant a reason for each of two checks, and a fix for each finding", whys, fixes, text)
	}
	out.Reset()
	if err := main.ReportFindings(&out, many, true); !errors.Is(err, main.ErrReported) || strings.Count(out.String(), "updates fail") != 4 {
		t.Errorf("got %v and %s, want everything in the JSON", err, out.String())
	}
}

func TestNoFindingsAreAnEmptyArray(t *testing.T) {
	var out bytes.Buffer
	if err := main.ReportFindings(&out, nil, true); err != nil || out.String() != "[]\n" {
		t.Errorf("got %q, %v, want an empty array", out.String(), err)
	}
}

func TestFindingsThatCannotBePrintedAreAFailure(t *testing.T) {
	reader, writer := io.Pipe()
	reader.CloseWithError(io.ErrClosedPipe)
	for _, asJSON := range []bool{false, true} {
		if err := main.ReportFindings(writer, findings()[:1], asJSON); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("json %t: got %v, want the writer's error", asJSON, err)
		}
	}
}

func TestCheckLooksAtEverythingAlthoughTheDatabaseIsAway(t *testing.T) {
	path := settingsOf(t, embedded(t), "http: {listen: '"+closedPort(t)+"'}", "data_dir: '"+t.TempDir()+"'")
	got := checked(t, path)
	for id, want := range map[string]string{"P04": "error shop", "K01": "ok ", "K02": "ok ", "C02": "ok ", "C05": "ok "} {
		if got[id] != want {
			t.Errorf("%s: got %q, want %q in %v", id, got[id], want, got)
		}
	}
}

// checked returns the severity and the pipeline of each finding of a check that fails.
func checked(t *testing.T, path string) map[string]string {
	t.Helper()
	got := command(t.Context(), "check", "--json", "-c", path)
	if got.exit != 1 || got.stderr != "" {
		t.Errorf("got exit %d and %q, want 1 and nothing but the findings", got.exit, got.stderr)
	}
	var found []struct{ ID, Severity, Pipeline string }
	if err := json.Unmarshal([]byte(got.stdout), &found); err != nil {
		t.Fatalf("reading %q: %v", got.stdout, err)
	}
	said := map[string]string{}
	for _, f := range found {
		said[f.ID] = f.Severity + " " + f.Pipeline
	}
	return said
}

func TestAnInterruptedCheckIsAFailure(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	got := command(ctx, "check", "-c", settings(t))
	if got.exit != 1 || got.stdout != "" || !strings.Contains(got.stderr, "interrupted") {
		t.Errorf("got %+v, want exit 1, no findings and the reason", got)
	}
}

func TestDataDirIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	regular := file(t, "regular", "")
	tests := []struct {
		name, dir string
		severity  kafkasync.Severity
		what      string
	}{
		{"there", dir, kafkasync.SeverityOK, "can be written to"},
		{"not there", filepath.Join(dir, "not", "yet"), kafkasync.SeverityOK, "can be created"},
		{"relative and not there", "./no-such-folder/a", kafkasync.SeverityOK, "can be created"},
		{"a file", regular, kafkasync.SeverityError, "not a directory"},
		{"below a file", filepath.Join(regular, "a"), kafkasync.SeverityError, "not a directory"},
		{"not a name", "a\x00b", kafkasync.SeverityError, "cannot be looked at"},
		{"not ours to write", "/proc/1", kafkasync.SeverityError, "may not write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := main.CheckDataDir(tt.dir)
			if got.ID != "C02" || got.Severity != tt.severity || !strings.Contains(got.What, tt.what) {
				t.Errorf("got %+v, want C02, %s and %q", got, tt.severity, tt.what)
			}
			if (got.Fix != "") != (tt.severity == kafkasync.SeverityError) {
				t.Errorf("got the fix %q, want one exactly for an error", got.Fix)
			}
		})
	}
}

func TestHTTPAddressIsLookedAt(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			http.NotFound(w, r)
		}
	}))
	defer node.Close()
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	broken := config.TLS{Cert: file(t, "cert.pem", "none"), Key: file(t, "key.pem", "none")}
	tests := []struct {
		name     string
		cfg      config.HTTP
		held     bool
		severity kafkasync.Severity
		what     string
	}{
		{"free", config.HTTP{Listen: "127.0.0.1:0"}, false, kafkasync.SeverityOK, "is free"},
		{"our node", config.HTTP{Listen: node.Listener.Addr().String()}, true, kafkasync.SeverityOK, "the node is running"},
		{"another node", config.HTTP{Listen: node.Listener.Addr().String()}, false, kafkasync.SeverityError, "in use"},
		{"a stranger", config.HTTP{Listen: stranger.Listener.Addr().String()}, true, kafkasync.SeverityError, "in use"},
		{"a bad certificate", config.HTTP{Listen: "127.0.0.1:0", TLS: broken}, false, kafkasync.SeverityError, "cannot be used"},
		{"no address of ours", config.HTTP{Listen: "192.0.2.1:0"}, false, kafkasync.SeverityError, "not an address of this machine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, answers := main.CheckHTTP(t.Context(), tt.cfg, tt.held)
			if answers != strings.Contains(got.What, "is running") {
				t.Errorf("got that the node answers: %t, and %+v", answers, got)
			}
			if got.ID != "C05" || got.Severity != tt.severity || !strings.Contains(got.What, tt.what) {
				t.Errorf("got %+v, want C05, %s and %q", got, tt.severity, tt.what)
			}
			if (got.Fix != "") != (tt.severity == kafkasync.SeverityError) {
				t.Errorf("got the fix %q, want one exactly for an error", got.Fix)
			}
		})
	}
}

// Only the data_dir tells whose slot it is, and whether the node was here.
func TestTheSlotIsJudgedByWhatDataDirTells(t *testing.T) {
	there := []kafkasync.Finding{
		{ID: "P15", Severity: kafkasync.SeverityOK, What: "slot kafkasync_shop is ours"},
		{ID: "P16", Severity: kafkasync.SeverityOK, What: "slot kafkasync_shop is healthy"},
	}
	missing := []kafkasync.Finding{{ID: "P15", Severity: kafkasync.SeverityOK, What: "slot kafkasync_shop will be created"}}
	asked := kafkasync.Finding{ID: "P18", Severity: kafkasync.SeverityOK, What: "the pipeline has no checkpoint yet"}
	shop := config.Pipeline{Name: "shop", Postgres: postgres.Config{Slot: "kafkasync_shop"}}
	foreign := []kafkasync.Finding{{ID: "P15", Severity: kafkasync.SeverityError, What: "slot kafkasync_shop has plugin test_decoding", Fix: "another name"}}
	used := t.TempDir()
	if err := os.Mkdir(filepath.Join(used, "n1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(used, "n1", main.StateFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dataDir string
		found         []kafkasync.Finding
		want          kafkasync.Severity
		fix           string
	}{
		{"a slot, never used", filepath.Join(used, "not", "yet"), there, kafkasync.SeverityError, "pg_drop_replication_slot('kafkasync_shop')"},
		{"a slot, used", used, there, kafkasync.SeverityOK, ""},
		{"no slot, never used", t.TempDir(), missing, kafkasync.SeverityOK, ""},
		{"no slot, used", used, missing, kafkasync.SeverityWarning, "kafkasync recover shop --new-slot"},
		{"no slot, and a node was asked", used, append(slices.Clone(missing), asked), kafkasync.SeverityOK, ""},
		{"a slot of another plugin, never used", t.TempDir(), foreign, kafkasync.SeverityError, "another name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := main.SlotInData(slices.Clone(tt.found), shop, tt.dataDir)[0]
			if got.ID != "P15" || got.Severity != tt.want {
				t.Errorf("got %+v, want P15 and %s", got, tt.want)
			}
			if !strings.Contains(got.Fix, tt.fix) || (tt.fix == "") != (got.Fix == "") {
				t.Errorf("got the fix %q, want %q in it", got.Fix, tt.fix)
			}
		})
	}
}

func TestTheNodeIsAskedForTheCheckpoint(t *testing.T) {
	const at = "7380012345678901234:1:0/16B3748"
	status := web.Status{Cluster: web.Cluster{Leader: "a"}, Pipelines: []web.Pipeline{{Name: "other"}, {Name: "shop", Position: at}}}
	address := node(t, answering(t, status))
	cfg := config.HTTP{Listen: address}
	if got, err := main.CheckpointOf(cfg, "shop")(t.Context()); err != nil || got != at {
		t.Errorf("got %q, %v, want %q", got, err, at)
	}
	if got, err := main.CheckpointOf(cfg, "other")(t.Context()); err != nil || got != "" {
		t.Errorf("got %q, %v, want no position yet", got, err)
	}
	if got, err := main.CheckpointOf(cfg, "new")(t.Context()); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("got %q, %v, want that the node has another file", got, err)
	}
	// It would look as if somebody had read the slot beyond the checkpoint.
	status.Cluster.Leader = ""
	if got, err := main.CheckpointOf(config.HTTP{Listen: node(t, answering(t, status))}, "shop")(t.Context()); err == nil || !strings.Contains(err.Error(), "no node leads") {
		t.Errorf("got %q, %v, want nothing of a node that may not know the newest one", got, err)
	}
	if _, err := main.CheckpointOf(config.HTTP{Listen: closedPort(t)}, "shop")(t.Context()); err == nil {
		t.Error("got no error although nobody answers")
	}
}
