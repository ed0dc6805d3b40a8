package devstack_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// startReplica starts a replica of m that ends with the test.
func startReplica(t *testing.T, m *devstack.MySQL, cfg devstack.MySQLConfig) *devstack.MySQL {
	t.Helper()
	r, err := m.Replica(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestAReplicaFollowsIsPromotedAndKeepsItsAddress(t *testing.T) {
	cfg := devstack.MySQLConfig{
		Password: `it's \ "me"`, TLS: []string{"127.0.0.1"},
		Settings: map[string]string{"max_allowed_packet": "33554432", "require_secure_transport": "ON"},
	}
	onBoth(t, cfg, func(t *testing.T, m *devstack.MySQL) {
		ctx := t.Context()
		if err := m.Exec(ctx, "", "CREATE DATABASE shop; CREATE TABLE shop.t (n INT PRIMARY KEY); INSERT INTO shop.t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		r := startReplica(t, m, devstack.MySQLConfig{Settings: map[string]string{"wait_timeout": "1234"}})
		if got := ask(t, r, "SELECT n, @@max_allowed_packet, @@global.wait_timeout FROM shop.t"); got != "1 33554432 1234" {
			t.Errorf("replica: got %q, want the primary's row and settings, and its own", got)
		}
		if got, ours := ask(t, r, "SELECT @@server_id"), ask(t, m, "SELECT @@server_id"); got == ours {
			t.Errorf("got server_id %s twice, want another", got)
		}
		if err := firstOf(func() error { return m.SemiSync(ctx, true) }, func() error { return m.Exec(ctx, "shop", "INSERT INTO t VALUES (2)") }); err != nil {
			t.Fatal(err)
		}
		// Dead at once: what was committed is in the replica's relay log.
		addr := r.Addr()
		err := firstOf(
			m.Kill,
			func() error { return r.Promote(ctx) },
			func() error { return r.Exec(ctx, "shop", "INSERT INTO t VALUES (3)") },
			func() error { return r.Restart(ctx) },
			func() error { return r.Exec(ctx, "shop", "INSERT INTO t VALUES (4)") },
		)
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, r, "SELECT count(*) FROM shop.t"); got != "4" || r.Addr() != addr {
			t.Errorf("promoted: got %s rows at %s, want 4 at %s", got, r.Addr(), addr)
		}
	})
}

func TestASemiSynchronousCommitWaitsForItsReplica(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		ctx := t.Context()
		if err := m.Exec(ctx, "", "CREATE DATABASE shop; CREATE TABLE shop.t (n INT PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		r := startReplica(t, m, devstack.MySQLConfig{})
		if got := ask(t, r, "SELECT @@global.read_only"); got != "1" {
			t.Errorf("read_only of the replica: got %s, want 1", got)
		}
		if err := firstOf(func() error { return m.SemiSync(ctx, true) }, r.Kill); err != nil {
			t.Fatal(err)
		}
		commit := make(chan error, 1)
		go func() { commit <- m.Exec(ctx, "shop", "INSERT INTO t VALUES (1)") }()
		waits := "SELECT count(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync%'"
		eventually(t, func() bool { return ask(t, m, waits) == "1" })
		select {
		case err := <-commit:
			t.Errorf("the commit did not wait: %v", err)
		default:
		}
		if err := r.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-commit; err != nil {
			t.Fatal(err)
		}
		executed, err := m.Executed(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.WaitExecuted(ctx, executed); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, r, "SELECT count(*) FROM shop.t WHERE n = 1"); got != "1" {
			t.Errorf("replica: got %s rows, want 1", got)
		}
		if err := firstOf(func() error { return m.SemiSync(ctx, false) }, r.Kill, func() error { return m.Exec(ctx, "shop", "INSERT INTO t VALUES (2)") }); err != nil {
			t.Errorf("without semi-synchronous commits: %v", err)
		}
	})
}

func TestAReplicaOfAPurgedLogSaysWhy(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if err := m.Exec(ctx, "", "CREATE DATABASE shop; FLUSH BINARY LOGS"); err != nil {
			t.Fatal(err)
		}
		// MariaDB keeps a file, without a word, until its recovery can do without it.
		eventually(t, func() bool {
			if err := m.Exec(ctx, "", "PURGE BINARY LOGS TO 'binlog.000002'"); err != nil {
				t.Fatal(err)
			}
			logs, err := m.Query(ctx, "", "SHOW BINARY LOGS")
			return err == nil && len(logs) == 1
		})
		r, err := m.Replica(ctx, devstack.MySQLConfig{})
		if err == nil {
			r.Close()
			t.Fatal("got a replica, want none")
		}
		if !strings.Contains(err.Error(), "purged") && !strings.Contains(err.Error(), "not in the master's binlog") && !strings.Contains(err.Error(), "missing") {
			t.Errorf("got %v, want that the log is purged", err)
		}
	})
}
