package postgres_test

import (
	"testing"

	"github.com/kafkasync/kafkasync/source/sourcetest"
)

func TestTheStatementThatWithdrawsATableWorks(t *testing.T) {
	db := newDatabase(t, `CREATE SCHEMA "My Shop"`, `CREATE TABLE "My Shop"."or""d.ers" (id int PRIMARY KEY)`, "CREATE TABLE kept (id int PRIMARY KEY)")
	name := `"` + db.conn.Config().Database + `"`
	db.run(t, `CREATE PUBLICATION `+name+` FOR TABLE "My Shop"."or""d.ers", kept`)
	s := db.open(t, sourcetest.Selector{Prefix: "public."})
	db.run(t, s.Withdraw(`My Shop.or"d.ers`))
	var left string
	if err := db.conn.QueryRow(t.Context(), "SELECT string_agg(tablename, ',') FROM pg_publication_tables").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != "kept" {
		t.Errorf("got %s left in the publication, want kept", left)
	}
}
