package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// postgresDatabase is a Postgres with a load.
type postgresDatabase struct {
	*load

	server *devstack.Postgres
	slot   string
}

func startPostgresDatabase(t testing.TB, rows int) *postgresDatabase {
	t.Helper()
	version := devtest.Version()
	if err := devstack.Install(t.Context(), os.Stderr, devstack.ComponentPostgres, devstack.PostgresVersion(version)); err != nil {
		t.Fatal(err)
	}
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Version:  version,
		Settings: map[string]string{"fsync": "off", "wal_sender_timeout": "15s", "max_connections": "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, server.Close()) })
	if err := server.CreateDatabase(t.Context(), chaosName); err != nil {
		t.Fatal(err)
	}
	p := &postgresDatabase{load: newLoad(server.URL(chaosName), devtest.Topic(t), seeded(t)), server: server, slot: "kafkasync_" + chaosName}
	execute(t, p.url, schema, "CREATE TABLE big (id int PRIMARY KEY, n int NOT NULL DEFAULT 0) WITH (fillfactor = 50)",
		fmt.Sprintf("INSERT INTO big SELECT generate_series(1, %d)", rows))
	return p
}

func (p *postgresDatabase) writers() *crew { return p.crew }

func (p *postgresDatabase) addr() string { return p.server.Addr() }

func (p *postgresDatabase) restart(ctx context.Context, crash bool) error {
	if crash {
		return p.server.Restart(ctx, devstack.Immediate)
	}
	return p.server.Restart(ctx, devstack.Fast)
}

func (p *postgresDatabase) pipeline(address string, version int) string {
	delays := [...]struct{ entries, coded string }{{"5s", "0"}, {"12s", "8s"}}[version%2]
	return pipelineText(chaosName, "postgres://postgres@"+address+"/"+chaosName,
		strings.NewReplacer("{entries}", delays.entries, "{coded}", delays.coded, "{p}", p.topics).Replace(`
- {match: public.Order Items, topic: '{p}-orders', delay: 8s}
- {match: Shop Floor.*, topic: '{p}-works', delay: 8s}
- {match: public.entries, key: [code, line], topic: '{p}-entries', delay: {entries}}
- {match: public.coded, key: [code], topic: '{p}-coded', delay: {coded}}
- {match: public.*, topic: '{p}-{table}', delay: 8s}`))
}

func (p *postgresDatabase) sweep(ctx context.Context, rng *rand.Rand, begins func(int64)) (bool, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing depends on how it goes
	return p.transact(ctx, conn, rng, func(s *step, ctx context.Context) error {
		begins(s.id)
		_, err := s.tx.Exec(ctx, "UPDATE big SET n = n + 1")
		return err
	})
}

func (p *postgresDatabase) held(t testing.TB, after int64) []int64 {
	t.Helper()
	return queryAll[int64](t, p.url, fmt.Sprintf("SELECT id FROM ledger WHERE id > %d", after))
}

func (p *postgresDatabase) place(text string) (uint64, error) { return placeIn(text) }

func (p *postgresDatabase) written(t testing.TB) uint64 {
	t.Helper()
	lsn, err := parseLSN(query[string](t, p.url, "SELECT pg_current_wal_lsn()::text"))
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func (p *postgresDatabase) forgotten() func(context.Context) (uint64, error) {
	return confirmed(p.url, p.slot)
}

// reader knows a process of the server by the name that it is given, in which the lease is.
func (p *postgresDatabase) reader(t testing.TB) func() string {
	t.Helper()
	ask := func() string {
		return query[string](t, p.url, fmt.Sprintf(`SELECT coalesce((SELECT format('%%s since %%s, %%s', pid, backend_start, application_name)
			FROM pg_replication_slots JOIN pg_stat_activity ON pid = active_pid WHERE slot_name = '%s'), 'nobody')`, p.slot))
	}
	var before string
	eventually(t, time.Minute, func() string {
		if before = ask(); before == "nobody" {
			return "nobody reads the slot"
		}
		return ""
	})
	return func() string {
		if after := ask(); after != before {
			return fmt.Sprintf("%s reads the slot, want %s, as before", after, before)
		}
		return ""
	}
}
