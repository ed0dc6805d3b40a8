package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// database18 is sharedDatabase on a server of version 18.
func database18(t *testing.T) string {
	t.Helper()
	url := devtest.DatabaseOn(t, devtest.PostgresVersion(t, "18"))
	query(t, url, "ALTER SYSTEM SET max_slot_wal_keep_size = '"+slotLimit+"'")
	query(t, url, "SELECT pg_reload_conf()")
	eventually(t, func() bool { return query(t, url, "SHOW max_slot_wal_keep_size") == slotLimit })
	return url
}

func TestEachProblemOfAGeneratedColumnIsCuredByTheStatementThatItPrints(t *testing.T) {
	const (
		table = `CREATE TABLE "Order lines" (id int PRIMARY KEY, x int NOT NULL, g int NOT NULL GENERATED ALWAYS AS (x * 2) STORED);
			INSERT INTO "Order lines" VALUES (1, 1); ALTER TABLE "Order lines" OWNER TO %[1]s; `
		published = `CREATE PUBLICATION shop FOR TABLE products, "Order lines" WITH (publish_via_partition_root = true);`
		full      = `ALTER TABLE "Order lines" REPLICA IDENTITY FULL;`
		index     = `CREATE UNIQUE INDEX g ON "Order lines" (g); ALTER TABLE "Order lines" REPLICA IDENTITY USING INDEX g;`
		update    = `UPDATE "Order lines" SET x = x + 1;`
	)
	const name = "public.Order lines"
	for _, c := range []struct {
		name, cause, id, what string
		key                   []string
	}{
		{"the whole row, not published yet", table + full, "P11", "holds a generated column", nil},
		{"the whole row, published", table + full + published, "P11", "holds a generated column", nil},
		{"an index, published", table + index + published, "P11", "holds a generated column", []string{"g"}},
		{"the key", table + index + published, "P13", `"g" of public.Order lines is generated`, []string{"g"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := admit(t, database18(t))
			p.healthy(t)
			p.do(t, fmt.Sprintf(c.cause+"\n--%[1]s", p.role))
			p.rules.payload[name] = nil
			if c.key != nil {
				p.rules.key = map[string][]string{name: c.key}
			}
			if strings.Contains(c.cause, published) {
				if _, err := p.try(t, update); err == nil {
					t.Error("the application's update passes, want it to fail before the fix")
				}
			}
			p.do(t, p.diagnosed(t, fails, c.id, c.what).Fix)
			p.do(t, update)
			p.healthy(t)
		})
	}
}
