package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestAPoolerIsRecognised(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	if err := devstack.Install(t.Context(), t.Output(), devstack.ComponentPgBouncer); err != nil {
		t.Fatal(err)
	}
	// What an administrator lets pass so that ordinary programs can connect.
	const passes = "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,extra_float_digits,bytea_output,IntervalStyle"
	direct := p.cfg.URL
	for name, cfg := range map[string]devstack.PgBouncerConfig{
		"as it comes":           {},
		"lenient, by session":   {Settings: map[string]string{"ignore_startup_parameters": passes}},
		"lenient, by statement": {Mode: "statement", Settings: map[string]string{"ignore_startup_parameters": passes}},
	} {
		t.Run(name, func(t *testing.T) {
			bouncer, err := devstack.StartPgBouncer(t.Context(), devtest.Postgres(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := bouncer.Close(); err != nil {
					t.Error(err)
				}
			}()
			p.cfg.URL = fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", p.role, bouncer.Addr(), p.database)
			fix := p.diagnosed(t, fails, "P05", "connection pooler").Fix
			if all := p.problems(t); len(all) != 1 || !strings.Contains(fix, "the Postgres server itself") {
				t.Errorf("got %+v, want the one finding to connect to the server itself", all)
			}
		})
	}
	p.cfg.URL = direct
	p.healthy(t)
}

func TestASuperuserIsToldThatItNeedNotBeOne(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	role := func() kafkasync.Finding {
		t.Helper()
		p.healthy(t)
		for _, f := range p.check(t) {
			if f.ID == "P29" {
				return f
			}
		}
		t.Fatal("got nothing said of the role")
		return kafkasync.Finding{}
	}
	if f := role(); f.Fix != "" || !strings.Contains(f.What, "no superuser") {
		t.Errorf("got %+v, want nothing to fix", f)
	}
	p.cfg.URL = strings.Replace(p.cfg.URL, p.role+"@", "postgres@", 1)
	hint := role()
	if !strings.Contains(hint.What, "is a superuser") {
		t.Fatalf("got %+v, want the hint", hint)
	}
	p.do(t, hint.Fix+fmt.Sprintf("\nGRANT %s TO kafkasync;", pgx.Identifier{p.role}.Sanitize())) // the tables' owner
	t.Cleanup(func() { p.do(t, "DROP OWNED BY kafkasync; DROP ROLE kafkasync;") })
	p.cfg.URL = strings.Replace(p.cfg.URL, "postgres@", "kafkasync@", 1)
	if f := role(); f.Fix != "" {
		t.Errorf("got %+v with the role of the hint, want nothing to fix", f)
	}
}
