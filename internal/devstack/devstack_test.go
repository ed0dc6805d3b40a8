package devstack_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

func TestMain(m *testing.M) {
	if what := os.Getenv("DEVSTACK_VICTIM"); what != "" {
		os.Exit(victim(what))
	}
	os.Exit(m.Run())
}

func install(t *testing.T, what ...devstack.Component) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short starts no servers")
	}
	if err := devstack.Install(t.Context(), os.Stderr, what...); err != nil {
		t.Fatal(err)
	}
}

func startPostgres(t *testing.T, cfg devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	install(t, devstack.ComponentPostgres)
	p, err := devstack.StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// query returns the first column of a query's only row.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only read from
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestInstallOfWhatIsThereSaysNothing(t *testing.T) {
	all := []devstack.Component{
		devstack.ComponentPostgres, devstack.ComponentKafka, devstack.ComponentKcat, devstack.ComponentMySQL, devstack.ComponentMariaDB,
		devstack.ComponentLinters, devstack.ComponentSystemd, devstack.ComponentRedis,
	}
	install(t, all...)
	var log bytes.Buffer
	if err := devstack.Install(t.Context(), &log, all...); err != nil {
		t.Fatal(err)
	}
	if log.Len() != 0 {
		t.Errorf("got %q, want nothing", log.String())
	}
}

func TestInstallRefusesWhatItDoesNotKnow(t *testing.T) {
	err := devstack.Install(t.Context(), os.Stderr, "oracle")
	if err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("got %v, want an error that names the component", err)
	}
}
