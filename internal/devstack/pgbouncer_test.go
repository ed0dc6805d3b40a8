package devstack_test

import (
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

func TestPgBouncerPoolsForEveryRoleOfTheServer(t *testing.T) {
	install(t, devstack.ComponentPgBouncer)
	p := startPostgres(t, devstack.PostgresConfig{})
	if err := p.Exec(t.Context(), "postgres", "CREATE ROLE cdc LOGIN"); err != nil {
		t.Fatal(err)
	}
	b, err := devstack.StartPgBouncer(t.Context(), p, devstack.PgBouncerConfig{Mode: "transaction"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	url := "postgres://cdc@" + b.Addr() + "/postgres?default_query_exec_mode=exec"
	first := query(t, url, "SELECT pg_backend_pid()::text || current_user")
	if second := query(t, url, "SELECT pg_backend_pid()::text || current_user"); second != first {
		t.Errorf("got %s and %s, want one backend for two clients", first, second)
	}
	if got := query(t, b.URL("postgres")+"?default_query_exec_mode=exec", "SELECT current_user::text"); got != "postgres" {
		t.Errorf("got %s, want postgres", got)
	}
}
