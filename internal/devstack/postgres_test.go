package devstack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

func TestPostgresKeepsItsDataAndAddressOverEveryWayToStop(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{})
	ctx := t.Context()
	if err := p.CreateDatabase(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	if got := query(t, p.URL("shop"), "SELECT current_setting('wal_level')"); got != "logical" {
		t.Errorf("wal_level: got %q, want logical", got)
	}
	query(t, p.URL("shop"), "SELECT slot_name::text FROM pg_create_logical_replication_slot('s', 'pgoutput')")
	addr := p.Addr()
	for name, again := range map[string]func() error{
		"stop":      func() error { return firstOf(p.Stop, func() error { return p.Start(ctx) }) },
		"fast":      func() error { return p.Restart(ctx, devstack.Fast) },
		"immediate": func() error { return p.Restart(ctx, devstack.Immediate) },
		"kill":      func() error { return firstOf(p.Kill, func() error { return p.Start(ctx) }) },
	} {
		if err := again(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := query(t, p.URL("shop"), "SELECT slot_name::text FROM pg_replication_slots"); got != "s" || p.Addr() != addr {
			t.Errorf("%s: got slot %q at %s, want s at %s", name, got, p.Addr(), addr)
		}
	}
	if err := p.Start(ctx); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("second start: got %v, want an error", err)
	}
}

func firstOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestPostgresTakesSettingsPasswordAndAccessRules(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{
		Settings: map[string]string{"wal_level": "replica", "max_replication_slots": "1", "application_name": "it's"},
		HBA:      []string{"host shop reader 127.0.0.1/32 reject"},
		Password: "s3cret/@:",
	})
	if got := query(t, p.URL("postgres"), "SELECT current_setting('wal_level') || current_setting('max_replication_slots')"); got != "replica1" {
		t.Errorf("settings: got %q, want replica1", got)
	}
	wrong := strings.Replace(p.URL("postgres"), "s3cret", "guess", 1)
	for url, want := range map[string]string{
		wrong: "password authentication failed",
		strings.Replace(p.URL("shop"), "postgres:s3cret", "reader:s3cret", 1): "pg_hba.conf rejects",
	} {
		_, err := pgx.Connect(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestDropDatabaseEndsTheReaderOfItsSlotFirst(t *testing.T) {
	p := startPostgres(t, devstack.PostgresConfig{})
	if err := p.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	query(t, p.URL("shop"), "SELECT slot_name::text FROM pg_create_logical_replication_slot('s', 'test_decoding')")
	reader := p.Command(t.Context(), "pg_recvlogical", "-d", p.URL("shop"), "-S", "s", "--start", "-f", "-")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	defer reader.Wait() //nolint:errcheck // it fails: that is the point, and t.Context ends it at the latest
	eventually(t, func() bool {
		return query(t, p.URL("shop"), "SELECT (active_pid IS NOT NULL)::text FROM pg_replication_slots") == "true"
	})
	if err := p.DropDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if got := query(t, p.URL("postgres"), "SELECT count(*)::text FROM pg_database WHERE datname = 'shop'"); got != "0" {
		t.Errorf("databases: got %s, want 0", got)
	}
	_ = reader.Process.Kill() // it would come back again and again
}

func TestPostgresThatDoesNotStartShowsItsLog(t *testing.T) {
	install(t, devstack.ComponentPostgres)
	_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Settings: map[string]string{"wal_level": "sideways"}})
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "wal_level"`) {
		t.Errorf("got %v, want what the server said", err)
	}
}

func TestPostgresInAGivenFolderComesBackAfterClose(t *testing.T) {
	install(t, devstack.ComponentPostgres)
	parent := t.TempDir()
	dir := filepath.Join(parent, "pg")
	// Go's test folder is closed to user postgres, whom a server of root runs as.
	if err := os.Chmod(filepath.Dir(parent), 0o755); err != nil {
		t.Fatal(err)
	}
	first := startPostgres(t, devstack.PostgresConfig{Dir: dir})
	if err := first.CreateDatabase(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := startPostgres(t, devstack.PostgresConfig{Dir: dir})
	if got := query(t, second.URL("kept"), "SELECT current_database()"); got != "kept" {
		t.Errorf("got %q, want kept", got)
	}
}

// eventually waits until ok says yes.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("did not come true within 30 s")
		}
	}
}
