package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
)

func TestOneCauseIsOneProblem(t *testing.T) {
	const notes = "CREATE TABLE notes (a int NOT NULL, b text); "
	only := func(match string) func(*patient) {
		return func(p *patient) { p.rules.payload, p.rules.match = nil, []string{match} }
	}
	captured := func(p *patient) { p.rules.payload["public.notes"] = nil }
	for _, c := range []struct {
		name, cause string
		break_      func(*patient)
		want        []string
	}{
		{"the only rule is misspelt", "", only("public.prodcuts"), []string{"T01"}},
		{"the only rule names a view", "CREATE VIEW v AS SELECT 1;", only("public.v"), []string{"P14"}},
		{"no rule", "", func(p *patient) { p.rules.payload = nil }, []string{"T01"}},
		{"a table without a key", notes, captured, []string{"T03"}},
		{
			"a partitioned table without a key",
			"CREATE TABLE notes (a int) PARTITION BY RANGE (a); CREATE TABLE n1 PARTITION OF notes FOR VALUES FROM (1) TO (9);",
			captured,
			[]string{"T03"},
		},
		// The key would not make it the replica identity.
		{"a table without a key, and of identity NOTHING", notes + "ALTER TABLE notes REPLICA IDENTITY NOTHING;", captured, []string{"P11", "T03"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := admit(t, sharedDatabase(t))
			p.do(t, c.cause)
			c.break_(p)
			var got []string
			for _, f := range p.problems(t) {
				if f.ID != "P07" { // that a superuser's table is published by a superuser is another matter
					got = append(got, f.ID)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %+v, want %v", p.problems(t), c.want)
			}
		})
	}
}

func TestWhatATableThatDoesNotFitMeansDependsOnWhatIsPublished(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	why := func(what, want string) {
		t.Helper()
		if got := p.diagnosed(t, fails, "T03", what).Why; !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", what, got, want)
		}
	}
	p.do(t, "CREATE TABLE notes (a int NOT NULL, b text);")
	p.rules.payload["public.notes"] = nil
	why("notes has no key", "does not start for the first time")

	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
	why("notes has no key", "the table is left out until this is fixed")

	p.rules.payload["public.products"] = []string{"title"}
	why("no column title", "stops at the next change of it")

	p.do(t, "ALTER PUBLICATION shop ADD TABLE notes;")
	why("notes has no key", "UPDATE and DELETE fail for the application")
}

func TestTheNumberOfTablesIsSaidAsAPersonWould(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	for _, want := range []string{"1 table captured", "2 tables captured"} {
		found := p.check(t)
		i := slices.IndexFunc(found, func(f kafkasync.Finding) bool { return f.ID == "T01" })
		if i < 0 || found[i].What != want {
			t.Errorf("got %+v, want T01 %q", found, want)
		}
		p.do(t, "CREATE TABLE IF NOT EXISTS tags (id int PRIMARY KEY);")
		p.rules.payload["public.tags"] = nil
	}
}
