package postgres_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// failoverPair is a primary of version 18 and a standby, both in the URL.
func failoverPair(t *testing.T) (p, standby *patient, primary, second server) {
	t.Helper()
	devtest.PostgresVersion(t, "18") // installs it
	settings := map[string]string{"max_slot_wal_keep_size": slotLimit, "fsync": "off", "wal_receiver_status_interval": "1s"}
	one, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Version: "18", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, one)
	two, err := one.Standby(t.Context(), devstack.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, two)
	p = admit(t, one.URL("postgres"))
	p.do(t, "GRANT pg_read_all_settings TO "+p.role)
	p.cfg.URL = fmt.Sprintf("postgres://%s@%s,%s/postgres?target_session_attrs=read-write", p.role, two.Addr(), one.Addr())
	standby = &patient{psql: p.psql, adminURL: two.URL("postgres")}
	return p, standby, server{one}, server{two}
}

func closeAfter(t *testing.T, s *devstack.Postgres) {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestEachProblemOfAFailoverIsCuredByTheStatementThatItPrints(t *testing.T) {
	p, standby, _, second := failoverPair(t)
	p.withSlot(t)

	fix := p.diagnosed(t, warns, "P22", "its option failover is off").Fix
	shell := exec.CommandContext(t.Context(), "sh", "-c", fix)
	shell.Env = []string{"PATH=" + filepath.Dir(p.psql) + ":/usr/bin:/bin"}
	if out, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("running %s: %v\n%s", fix, err, out)
	}
	p.do(t, p.diagnosed(t, warns, "P22", "synchronized_standby_slots is empty").Fix)
	// The copy is made once the slot is ahead of what the standby has kept.
	advance := fmt.Sprintf(`SELECT pg_log_standby_snapshot(); INSERT INTO products VALUES (1, 'a') ON CONFLICT DO NOTHING;
		SELECT pg_replication_slot_advance('%s', pg_current_wal_lsn());`, p.cfg.Slot)
	recovered := func() bool {
		_, err := p.try(t, advance) // not while the server reads the slot for the standby
		return err == nil && len(p.problems(t)) == 0
	}
	eventually(t, recovered)

	const conninfo = `SELECT format('ALTER SYSTEM SET primary_conninfo = %L', replace(current_setting('primary_conninfo'), 'dbname=postgres', '')) \gexec` + "\n"
	for _, c := range []struct {
		name, cause string
		at          *patient
		severity    kafkasync.Severity
		what        string
	}{
		{"slots are not synchronised", "ALTER SYSTEM SET sync_replication_slots = off;", standby, warns, "sync_replication_slots is off"},
		{"no feedback", "ALTER SYSTEM SET hot_standby_feedback = off;", standby, warns, "hot_standby_feedback is off"},
		{"no database to synchronise slots with", conninfo, standby, warns, "primary_conninfo names no database"},
		{"a standby that is gone", "ALTER SYSTEM SET synchronized_standby_slots = 'gone';", p, fails, "gone, which is no slot"},
		{"a standby that is dead", "SELECT pg_create_physical_replication_slot('dead'); ALTER SYSTEM SET synchronized_standby_slots = 'dead';", p, fails, "dead, which is not read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.at.do(t, c.cause+"SELECT pg_reload_conf();")
			var fix string
			eventually(t, func() bool {
				for _, f := range p.problems(t) {
					if f.ID == "P22" && f.Severity == c.severity && strings.Contains(f.What, c.what) {
						fix = f.Fix
					}
				}
				return fix != ""
			})
			c.at.do(t, fix)
			eventually(t, recovered)
		})
	}

	second.stop(t)
	eventually(t, func() bool {
		all := p.problems(t)
		return len(all) == 2 && all[0].Severity == fails && strings.Contains(all[1].What, second.Addr()+" cannot be looked at")
	})
	second.start(t)
	eventually(t, recovered)
}

func TestAPromotedServerIsTheOneOfTheCheckpoint(t *testing.T) {
	p, _, primary, second := failoverPair(t)
	p.withSlot(t)
	p.remember(p.at(t, 0))
	primary.stop(t)
	if err := second.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings, err := pgx.ParseConfig(second.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	p.cfg.URL = fmt.Sprintf("postgres://%s@%s:%d/postgres", p.role, settings.Host, settings.Port)
	if got := p.said(t, "P19"); !strings.Contains(got, "promoted since: timeline 2, the checkpoint is of 1") {
		t.Errorf("got %q, want that the server was promoted", got)
	}
	p.diagnosed(t, fails, "P15", "does not exist any more")
	primary.start(t)
}

func TestAServerThatDropsIdleSlotsIsWarnedOf(t *testing.T) {
	p := admit(t, database18(t))
	p.do(t, "ALTER SYSTEM SET idle_replication_slot_timeout = '1h'; SELECT pg_reload_conf();")
	var fix string
	eventually(t, func() bool {
		for _, f := range p.problems(t) {
			if f.ID == "P21" && strings.Contains(f.What, "only 1h0m0s") {
				fix = f.Fix
			}
		}
		return fix != ""
	})
	p.do(t, fix)
	eventually(t, func() bool { return len(p.problems(t)) == 0 })
}
