package postgres

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// From 18 on the server refuses UPDATE and DELETE where the replica identity holds
// a generated column that the publication does not send.
func TestAGeneratedColumnInTheReplicaIdentityIsPublishedOnlyIfItIsSent(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), devtest.DatabaseOn(t, devtest.PostgresVersion(t, "18")))
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(t.Context(), conn)
	run := func(sql string) error {
		_, err := conn.Exec(t.Context(), sql)
		return err
	}
	const columns = "(id int PRIMARY KEY, x int, g int NOT NULL GENERATED ALWAYS AS (x * 2) "
	for _, sql := range []string{
		"CREATE TABLE plain " + columns + "STORED)",
		"CREATE TABLE whole " + columns + "STORED)", "ALTER TABLE whole REPLICA IDENTITY FULL",
		"CREATE TABLE virtual " + columns + "VIRTUAL)", "ALTER TABLE virtual REPLICA IDENTITY FULL",
		"CREATE TABLE keyed " + columns + "STORED)", "CREATE UNIQUE INDEX g ON keyed (g)", "ALTER TABLE keyed REPLICA IDENTITY USING INDEX g",
		"INSERT INTO plain VALUES (1, 1)", "INSERT INTO whole VALUES (1, 1)", "INSERT INTO virtual VALUES (1, 1)", "INSERT INTO keyed VALUES (1, 1)",
	} {
		if err := run(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	s, err := New(Config{URL: "postgres://h/d", Slot: "s", Publication: "p"}, Options{Selector: everything{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, publication := range map[string]string{
		"by default":     "CREATE PUBLICATION p FOR TABLE plain, whole, virtual, keyed",
		"with generated": "CREATE PUBLICATION p FOR TABLE plain, whole, virtual, keyed WITH (publish_generated_columns = stored)",
		"with a list":    "CREATE PUBLICATION p FOR TABLE plain, whole, virtual, keyed (id, x, g)",
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(publication); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := run("DROP PUBLICATION p"); err != nil {
					t.Error(err)
				}
			}()
			found, err := tables(t.Context(), conn, all)
			if err != nil {
				t.Fatal(err)
			}
			p, err := findPublication(t.Context(), conn, "p")
			if err != nil {
				t.Fatal(err)
			}
			p.excuse(found)
			for i := range found {
				// The application itself is asked.
				refused := run("UPDATE " + found[i].quoted() + " SET id = id")
				got := s.requirePublishable(&found[i])
				if broken := got != nil && strings.Contains(got.Error(), "generated column"); broken != (refused != nil) {
					t.Errorf("%s: got %v, and the server says %v", found[i].Name, got, refused)
				}
			}
		})
	}
}

// everything captures every table with its primary key.
type everything struct{}

func (everything) Captures(string) bool { return true }

func (everything) Columns(_ string, _, primaryKey []string) ([]string, error) { return primaryKey, nil }

func (everything) Key(_ string, primaryKey []string) []string { return primaryKey }
