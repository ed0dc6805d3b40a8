package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	main "github.com/kafkasync/kafkasync/cmd/kafkasync"
	"github.com/kafkasync/kafkasync/internal/web"
)

// moment is when the tests look, where it matters.
func moment() time.Time { return time.Date(2026, 11, 21, 10, 30, 0, 250e6, time.UTC) }

// troubled is a status with everything in it. It looks the same whenever it is looked at.
func troubled() web.Status {
	due := time.Date(2024, 11, 21, 10, 30, 0, 0, time.UTC) // past
	return web.Status{
		Cluster: web.Cluster{ID: "6c1e", Leader: "a", Nodes: []web.Node{
			{ID: "a", Address: "10.0.0.1:7480", Raft: "10.0.0.1:7400", Role: "leader", Reachable: true},
			{
				ID: "bravo", Address: "10.0.0.2:7480", Raft: "10.0.0.2:7400", Role: "follower", Behind: 3, Reachable: true,
				Error: "its file does not mention public.t of pipeline shop, which is covered; to fix: start it with the file of the others",
			},
			{ID: "c", Raft: "10.0.0.3:7400", Role: "follower", Error: "it does not answer: connection refused; to fix: start it, or see why it cannot be reached"},
		}},
		Pipelines: []web.Pipeline{
			{
				Name: "shop", State: "streaming", Holder: "a", Epoch: 7, Position: "7301/1/0/16B3748",
				LagBytes: 4096, LagSeconds: 0.25, Tables: []string{"public.products", "public.order_lines"},
				Uncovered: []web.Uncovered{{Table: "public.notes", Why: "public.notes cannot be published: it has no primary key; to fix: ALTER TABLE public.notes ADD PRIMARY KEY (id);"}},
			},
			{Name: "billing", State: "stopped", Epoch: 2, LagBytes: 3 << 30, LagSeconds: 5400, Error: "the slot is gone: ERROR 42704; at risk: changes since 0/16B3748; to fix: kafkasync recover billing"},
			{Name: "audit", State: "waiting", LagBytes: -1, LagSeconds: -1, Error: "dial tcp: refused"},
		},
		Delays: []web.Delay{
			{Topic: "products", DelayMS: 300000, Waiting: 12, NextDue: &due, LateSeconds: 0.5},
			{Topic: "orders", DelayMS: 5000, Error: "dial tcp: refused"},
		},
		Gaps: []web.Gap{
			{Pipeline: "shop", Table: "public.products", From: "0/1", To: "0/2", Cause: "a lost slot", Fix: "kafkasync backfill start shop"},
			{Pipeline: "shop", Table: "public.t", From: "0/1", Cause: "covered late"},
		},
	}
}

// node answers like one; its address.
func node(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func answering(t *testing.T, s web.Status) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/status" {
			t.Errorf("got a request for %s, want /api/status", r.URL.Path)
		}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			t.Errorf("answering: %v", err)
		}
	}
}

// delayed is a status of several delays: one whose delayer is in trouble, one that
// has trouble with a topic, one that has just begun.
func delayed() web.Status {
	in := func(d time.Duration) *time.Time {
		at := moment().Add(d)
		return &at
	}
	const (
		refused = "the consumer group kafkasync-delayer-3600000 may not be used: Broker: Group authorization failed; at risk: nothing: the topics keep the delay messages for 7d; to fix: allow READ on this group"
		another = "the topic invoices is another one than before: it was deleted and created again; at risk: 1200 delay messages that the old one held"
	)
	return web.Status{
		Pipelines: []web.Pipeline{{Name: "shop", State: "streaming"}},
		Delays: []web.Delay{
			{Topic: "products", DelayMS: 300000, Waiting: 250000, NextDue: in(-12 * time.Second), LateSeconds: 12},
			{Topic: "products", DelayMS: 3600000, Waiting: 1204, NextDue: in(41*time.Minute + 6*time.Second + 1), Error: refused},
			{Topic: "order_lines", DelayMS: 300000, Waiting: 812, NextDue: in(4*time.Minute + 12*time.Second)},
			{Topic: "customers", DelayMS: 300000},
			{Topic: "invoices", DelayMS: 300000, Waiting: 3, NextDue: in(time.Millisecond), Lost: 1200, Error: another},
			{Topic: "prices", DelayMS: 3600000, Waiting: 1, NextDue: in(0), Error: refused},
			{Topic: "audit", DelayMS: 36 * 3600000, Waiting: 1000000, NextDue: in(29*time.Hour + time.Minute)},
			{Topic: "sessions", DelayMS: 36 * 3600000, Waiting: 17, NextDue: in(90*time.Minute - time.Second)},
			{Topic: "ticks", DelayMS: 1500, Waiting: -1},
		},
	}
}

func TestStatusText(t *testing.T) {
	for name, s := range map[string]web.Status{
		"status.txt": troubled(), "status_delays.txt": delayed(), "status_empty.txt": {},
	} {
		var out bytes.Buffer
		if err := main.WriteStatus(&out, s, moment()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name, out.String())
	}
}

func TestTheHeadlineSaysWhetherThereCanBeALeader(t *testing.T) {
	nodes := func(roles ...string) (all []web.Node) {
		for i, role := range roles {
			role, away := strings.CutSuffix(role, " away")
			all = append(all, web.Node{ID: string(rune('a' + i)), Role: role, Reachable: !away, Behind: uint64(i)})
		}
		return all
	}
	for _, tt := range []struct {
		c    web.Cluster
		want string
	}{
		{web.Cluster{Leader: "a", Nodes: nodes("leader", "follower", "follower")}, ", leader a\n"},
		{web.Cluster{Leader: "a", Nodes: nodes("leader", "follower", "follower away")}, ", leader a, 1 of 3 nodes not answering: c\n"},
		{web.Cluster{Nodes: nodes("follower away", "candidate", "follower")}, ", no leader, 1 of 3 nodes not answering: a\n"},
		{web.Cluster{Nodes: nodes("follower away", "candidate", "follower away")}, ", no leader, no majority, 2 of 3 nodes not answering: a, c\n"},
		{web.Cluster{Nodes: nodes("follower away", "follower", "follower", "learner away", "awaited away")}, ", no leader, 3 of 5 nodes not answering: a, d, e\n"},
		{web.Cluster{Nodes: nodes("starting")}, ", no leader\n"},
		{web.Cluster{Nodes: nodes("follower", "candidate", "follower away")}, "b     candidate  at least 1  not known\n"},
		{web.Cluster{Nodes: nodes("follower", "candidate", "follower away")}, "a     follower   not known   not known\n"},
	} {
		var out bytes.Buffer
		if err := main.WriteStatus(&out, web.Status{Cluster: tt.c}, moment()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("got %s, want %q in it", out.String(), tt.want)
		}
	}
}

// Every table has a topic and the default delay, unless its rule says otherwise.
func TestStatusOfThousandsOfDelayedTopicsShowsTheWorst(t *testing.T) {
	next := moment().Add(time.Minute)
	var s web.Status
	for i := range 2000 {
		s.Delays = append(s.Delays, web.Delay{
			Topic: fmt.Sprintf("t%d", i), DelayMS: 300000, Waiting: 1, NextDue: &next, Error: "Kafka is away; to fix: start it",
		})
	}
	s.Delays[100].Waiting, s.Delays[300].LateSeconds, s.Delays[200].Lost = 500, 2, 7
	var out bytes.Buffer
	if err := main.WriteStatus(&out, s, moment()); err != nil {
		t.Fatal(err)
	}
	var topics []string
	for line := range strings.Lines(out.String()) {
		if name, _, ok := strings.Cut(line, "  "); ok && strings.HasPrefix(name, "t") {
			topics = append(topics, name)
		}
	}
	if len(topics) != 20 || strings.Join(topics[17:], " ") != "t100 t200 t300" {
		t.Errorf("got the topics %s, want 20, at their end the three that differ", topics)
	}
	for _, want := range []string{"and 1980 more  5m     1,980 ", "\n\ndelay 5m\n  error: Kafka is away\n  to fix: start it\n"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("got %s, want %q in it once", out.String(), want)
		}
	}
}

// A recovery records a gap for each table; of thousands, the others could not be read.
func TestStatusOfThousandsOfTablesIsShort(t *testing.T) {
	s := web.Status{Pipelines: []web.Pipeline{{Name: "shop", State: "streaming"}}}
	for i := range 2000 {
		table := fmt.Sprintf("public.t%d", i)
		s.Pipelines[0].Tables = append(s.Pipelines[0].Tables, table)
		s.Gaps = append(s.Gaps, web.Gap{Pipeline: "shop", Table: table, From: "0/1", To: "0/2", Cause: "a lost slot", Fix: "refresh " + table})
	}
	s.Gaps = append(s.Gaps, web.Gap{Pipeline: "shop", Table: "public.late", To: "0/3", Cause: "covered late"})
	var out bytes.Buffer
	if err := main.WriteStatus(&out, s, moment()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"public.t99 and 1900 more\n", "public.t19 ", "and 1980 more", "kafkasync status --json lists them all", "public.late"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %q in it", out.String(), want)
		}
	}
	if got := strings.Count(out.String(), "\n"); got > 60 {
		t.Errorf("got %d lines, want at most 60", got)
	}
}

func TestStatusAsksTheNode(t *testing.T) {
	got := command(t.Context(), "status", "--address", node(t, answering(t, troubled())))
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("got exit %d and %q, want success", got.exit, got.stderr)
	}
	golden(t, "status.txt", got.stdout)
}

func TestStatusJSONIsTheNodesAnswer(t *testing.T) {
	const newer = `{"cluster": {"id": "x"}, "pipelines": [], "delays": [], "gaps": [], "later": 1}`
	address := node(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(newer)) })
	got := command(t.Context(), "status", "--json", "--address", address)
	if got.exit != 0 || got.stdout != newer+"\n" {
		t.Errorf("got %+v, want %s", got, newer)
	}
}

func TestStatusWithNobodyThereSaysHowToStartANode(t *testing.T) {
	t.Chdir(t.TempDir())
	address := closedPort(t)
	byFile := settings(t, "http: {listen: '"+address+"'}")
	for _, args := range [][]string{{"--address", address}, {"-c", byFile}, {"-c", byFile, "--json"}} {
		got := command(t.Context(), append([]string{"status"}, args...)...)
		if got.exit != 1 || got.stdout != "" {
			t.Errorf("%s: got exit %d and stdout %q, want 1 and nothing", args, got.exit, got.stdout)
		}
		for _, want := range []string{"no node answers at " + address + ": ", "\n  to fix: start one with 'kafkasync run'"} {
			if strings.Count(got.stderr, want) != 1 {
				t.Errorf("%s: got %q, want %q once", args, got.stderr, want)
			}
		}
	}
}

func TestStatusRefusesWhatIsNoStatus(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"not a node", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "is not a kafkasync node"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "see the log", 500) }, "500 Internal Server Error to /api/status: see the log"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "302 Found"},
		{"a token wanted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "set http.read_token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := command(t.Context(), "status", "--address", node(t, tt.answer))
			if got.exit != 1 || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("got %+v, want exit 1 and %q", got, tt.want)
			}
		})
	}
}

func TestStatusBearsTheReadTokenOfTheFile(t *testing.T) {
	address := node(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("Authorization: got %q, want the read token", got)
		}
		answering(t, troubled())(w, r)
	})
	path := settings(t, "http: {listen: '"+address+"', token: other, read_token: s3cret}")
	if got := command(t.Context(), "status", "-c", path); got.exit != 0 {
		t.Errorf("got %+v, want success", got)
	}
}

func TestStatusTrustsTheCertificateOfTheFile(t *testing.T) {
	server := httptest.NewUnstartedServer(answering(t, troubled()))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it will be refused once
	server.StartTLS()
	defer server.Close()
	cert := file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatalf("reading the server's address: %v", err)
	}
	// The certificate is for example.com and 127.0.0.1, but not for localhost.
	path := settings(t, "http: {listen: 'localhost:"+port+"', tls: {cert: '"+cert+"', key: unread.pem}}")
	if got := command(t.Context(), "status", "-c", path); got.exit != 0 {
		t.Errorf("the node of the file: got %+v, want success", got)
	}
	got := command(t.Context(), "status", "-c", path, "--address", "localhost:"+port)
	if got.exit != 1 || !strings.Contains(got.stderr, "certificate") {
		t.Errorf("another node without a name in its certificate: got %+v, want a failure", got)
	}
}

func TestWatchGoesOnWhenTheNodeIsAway(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var asked atomic.Int32
	address := node(t, func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			http.Error(w, "restarting", http.StatusServiceUnavailable)
		case 2:
			answering(t, troubled())(w, r)
		default:
			interrupt()
		}
	})
	got := command(ctx, "status", "--watch", "--json", "--address", address)
	if got.exit != 0 || got.stderr != "" {
		t.Errorf("got exit %d and %q, want success when interrupted", got.exit, got.stderr)
	}
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "restarting") || !strings.Contains(lines[1], `"id":"6c1e"`) {
		t.Errorf("got %q, want a line with the error and one with the status", lines)
	}
}

func TestWatchPrintsOneLookBelowTheOther(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var asked atomic.Int32
	address := node(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			interrupt()
			return
		}
		answering(t, troubled())(w, r)
	})
	got := command(ctx, "status", "--watch", "--address", address)
	when, rest, _ := strings.Cut(got.stdout, "\n")
	if _, err := time.Parse(time.TimeOnly, when); err != nil || got.exit != 0 {
		t.Errorf("got exit %d and the first line %q, want success and the time", got.exit, when)
	}
	golden(t, "status.txt", rest)
}

func TestAnAddressToListenOnIsReachable(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:7480": "127.0.0.1:7480", ":7480": "127.0.0.1:7480", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1",
		"node.example:7480": "node.example:7480", "nonsense": "nonsense",
	} {
		if got := main.Reachable(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{-1: "not known", 0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB", 3 << 40: "3.0 TiB", 2 << 50: "2048.0 TiB"} {
		if got := main.Size(n); got != want {
			t.Errorf("%d bytes: got %q, want %q", n, got, want)
		}
	}
	for s, want := range map[float64]string{-1: "not known", 0: "0 s", 0.25: "0.2 s", 42.4: "42 s", 90: "1.5 min", 5400: "1.5 h"} {
		if got := main.Seconds(s); got != want {
			t.Errorf("%g seconds: got %q, want %q", s, got, want)
		}
	}
}
