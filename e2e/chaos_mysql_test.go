package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// mysqlDatabase is a MySQL or a MariaDB with a load.
type mysqlDatabase struct{ *mysqlLoad }

// startMySQLDatabase starts a server that gives nobody its log before it is on the disk, as one must whose crash is to lose nothing.
func startMySQLDatabase(t testing.TB, flavour string, rows int) *mysqlDatabase {
	t.Helper()
	settings := map[string]string{"sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1"}
	if flavour == "mariadb" {
		settings["log_bin_compress"] = "ON" // events that are not short; of a MySQL some writers compress whole transactions
	}
	server := ownMySQL(t, flavour, settings)
	if err := server.CreateDatabase(t.Context(), chaosName); err != nil {
		t.Fatal(err)
	}
	executeMySQL(t, server, chaosName, mysqlSchema+"; CREATE TABLE big (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0); INSERT INTO big (id) VALUES (1)")
	for n := 1; n < rows; n *= 2 {
		executeMySQL(t, server, chaosName, fmt.Sprintf("INSERT INTO big (id) SELECT id + %d FROM big WHERE id <= %d", n, rows-n))
	}
	return &mysqlDatabase{newMySQLLoad(server, chaosName, devtest.Topic(t), seeded(t))}
}

func (m *mysqlDatabase) writers() *crew { return m.crew }

func (m *mysqlDatabase) addr() string { return m.server.Addr() }

func (m *mysqlDatabase) restart(ctx context.Context, crash bool) error {
	if !crash {
		return m.server.Restart(ctx)
	}
	if err := m.server.Kill(); err != nil {
		return err
	}
	return m.server.Start(ctx)
}

func (m *mysqlDatabase) pipeline(address string, version int) string {
	delays := [...]struct{ items, pairs string }{{"3s", "0"}, {"6s", "4s"}}[version%2]
	return mysqlPipelineAt(chaosName, m.server.Flavour(), strings.Replace(m.server.URL(""), m.server.Addr(), address, 1),
		strings.NewReplacer("{items}", delays.items, "{pairs}", delays.pairs, "{p}", m.topics, "{db}", chaosName).Replace(`
- {match: {db}.items, topic: '{p}-items', delay: {items}}
- {match: {db}.pairs, topic: '{p}-pairs', delay: {pairs}}
- {match: {db}.*, topic: '{p}-{table}', delay: 4s}`))
}

func (m *mysqlDatabase) sweep(ctx context.Context, rng *rand.Rand, begins func(int64)) (bool, error) {
	s, err := m.join(ctx, -1-rng.IntN(2)) // none of the writers, and compressed or not
	if err != nil {
		return false, err
	}
	defer s.close(ctx)
	return s.attempt(rng, func(s *mysqlStep) error {
		begins(s.id)
		return s.run("UPDATE big SET n = n + 1")
	})
}

func (m *mysqlDatabase) held(t testing.TB, after int64) []int64 {
	t.Helper()
	return heldBy(t, m.server, m.database, after)
}

// place is the number of a GTID. A position has it as its last one, and is behind it.
func (m *mysqlDatabase) place(text string) (uint64, error) {
	n, err := numberOf(text)
	if strings.HasPrefix(text, m.server.Flavour()+":") {
		n++
	}
	return n, err
}

func (m *mysqlDatabase) written(t testing.TB) uint64 {
	t.Helper()
	executed, err := m.server.Executed(t.Context())
	var n uint64
	if err == nil {
		n, err = numberOf(executed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n + 1
}

func (m *mysqlDatabase) forgotten() func(context.Context) (uint64, error) { return nil }

// reader is the newest of those whom the server sends its log: it may not know yet that one before has gone.
func (m *mysqlDatabase) reader(t testing.TB) func() string {
	t.Helper()
	ask := func() (ids []string) {
		for _, row := range queryMySQL(t, m.server, "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' ORDER BY id") {
			ids = append(ids, row[0])
		}
		return ids
	}
	var newest string
	eventually(t, time.Minute, func() string {
		ids := ask()
		if len(ids) == 0 {
			return "nobody reads the log"
		}
		newest = ids[len(ids)-1]
		return ""
	})
	return func() string {
		if ids := ask(); !slices.Contains(ids, newest) {
			return fmt.Sprintf("the connections %v read the log, want %s among them, as before", ids, newest)
		}
		return ""
	}
}
