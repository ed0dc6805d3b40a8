package postgres_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// slotLimit is what a healthy server sets, and the default does not.
const slotLimit = "20GB"

// sharedDatabase returns the URL of a database of the test's own on the shared
// server, after it has made sure that the server is in good health.
func sharedDatabase(t *testing.T) string {
	t.Helper()
	url := devtest.Database(t)
	query(t, url, "ALTER SYSTEM SET max_slot_wal_keep_size = '"+slotLimit+"'")
	query(t, url, "SELECT pg_reload_conf()")
	eventually(t, func() bool { return query(t, url, "SHOW max_slot_wal_keep_size") == slotLimit })
	return url
}

// server is one that a test stops, restarts and configures.
type server struct{ *devstack.Postgres }

func ownServer(t *testing.T, settings map[string]string) server {
	t.Helper()
	devtest.Postgres(t) // installs it, and knows about -short
	all := map[string]string{"max_slot_wal_keep_size": slotLimit, "fsync": "off"}
	maps.Copy(all, settings)
	s, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Version: devtest.Version(), Settings: all})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server{s}
}

func (s server) url(database string) string { return s.URL(database) }

func (s server) stop(t *testing.T) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (s server) start(t *testing.T) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s server) restart(t *testing.T) {
	t.Helper()
	if err := s.Restart(t.Context(), devstack.Fast); err != nil {
		t.Fatal(err)
	}
}

// becomeStandby makes the next start a standby, which no primary feeds.
func (s server) becomeStandby(t *testing.T) {
	t.Helper()
	path := filepath.Join(query(t, s.url("postgres"), "SHOW data_directory"), "standby.signal")
	s.stop(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The server runs as another user when the test is run by root.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	s.start(t)
}

// query returns the one text that a statement answers, if any.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var answer string
	rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		answer = string(rows.RawValues()[0])
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}
