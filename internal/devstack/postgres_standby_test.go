package devstack_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// startStandby starts a standby of p that ends with the test.
func startStandby(t *testing.T, p *devstack.Postgres, cfg devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	s, err := p.Standby(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAStandbyFollowsIsPromotedAndKeepsItsAddress(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{Password: `it's \ "me"`, Settings: map[string]string{"work_mem": "5MB"}})
	ctx := t.Context()
	if err := p.Exec(ctx, "postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n"); err != nil {
		t.Fatal(err)
	}
	s := startStandby(t, p, devstack.PostgresConfig{Settings: map[string]string{"log_statement": "all"}})
	if got := query(t, s.URL("postgres"), "SELECT concat_ws(' ', pg_is_in_recovery(), current_setting('work_mem'), current_setting('log_statement'))"); got != "t 5MB all" {
		t.Errorf("standby: got %q, want recovery, the primary's settings and its own", got)
	}
	if err := p.Exec(ctx, "postgres", "INSERT INTO t VALUES (1001)"); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitReplayed(ctx, query(t, p.URL("postgres"), "SELECT pg_current_wal_lsn()::text")); err != nil {
		t.Fatal(err)
	}
	if got := query(t, p.URL("postgres"), "SELECT application_name FROM pg_stat_replication"); got != s.StandbySlot() {
		t.Errorf("replication: got %q, want %q", got, s.StandbySlot())
	}
	addr := s.Addr()
	if err := firstOf(p.Kill, func() error { return s.Promote(ctx) }, func() error { return s.Restart(ctx, devstack.Fast) }); err != nil {
		t.Fatal(err)
	}
	got := query(t, s.URL("postgres"), "WITH i AS (INSERT INTO t VALUES (0)) SELECT count(*)::text FROM t")
	if got != "1001" || s.Addr() != addr {
		t.Errorf("promoted: got %s rows at %s, want 1001 at %s", got, s.Addr(), addr)
	}
}

func TestAFailoverSlotSurvivesItsPrimary(t *testing.T) {
	install(t, devstack.PostgresVersion("18"))
	p := startPostgres(t, devstack.PostgresConfig{Version: "18"})
	if got := query(t, p.URL("postgres"), "SHOW server_version"); !strings.HasPrefix(got, "18.") {
		t.Errorf("got version %s, want 18", got)
	}
	s := startStandby(t, p, devstack.PostgresConfig{})
	ctx := t.Context()
	lsn := query(t, p.URL("postgres"), "SELECT lsn::text FROM pg_create_logical_replication_slot('s', 'pgoutput', false, false, true)")
	if err := s.WaitSlot(ctx, "s", lsn); err != nil {
		t.Fatal(err)
	}
	if err := firstOf(p.Kill, func() error { return s.Promote(ctx) }); err != nil {
		t.Fatal(err)
	}
	if got := query(t, s.URL("postgres"), "SELECT slot_name::text FROM pg_replication_slots WHERE invalidation_reason IS NULL"); got != "s" {
		t.Errorf("slots of the promoted standby: got %q, want s", got)
	}
}

func TestAServerWithTLSShowsItsCertificateAndTakesAClients(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{
		TLS: []string{"127.0.0.1"},
		HBA: []string{"hostssl all cdc 127.0.0.1/32 cert", "host all cdc 127.0.0.1/32 reject"},
	})
	if err := p.Exec(t.Context(), "postgres", "CREATE ROLE cdc LOGIN"); err != nil {
		t.Fatal(err)
	}
	cert, key, err := p.ClientCertificate("cdc")
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(p.URL("postgres"), "postgres@", "cdc@", 1) + "?sslmode=verify-full&sslrootcert=" + p.CA()
	if got := query(t, url+"&sslcert="+cert+"&sslkey="+key, "SELECT current_user::text"); got != "cdc" {
		t.Errorf("got %q, want cdc", got)
	}
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("got a connection without a client certificate")
		_ = conn.Close(context.WithoutCancel(t.Context()))
	}
}
