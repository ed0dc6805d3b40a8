package postgres_test

import (
	"slices"
	"strings"
	"testing"
)

// A deployment drops tables while nobody reads; their last changes are still in the log.
func TestATableIsReadToItsEndAlthoughItWasDropped(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)",
		"CREATE TABLE pair (line int, tenant text, PRIMARY KEY (tenant, line))",
		"CREATE TABLE whole (id int PRIMARY KEY, n int)", "ALTER TABLE whole REPLICA IDENTITY FULL")
	wanted := columns{"public.t": nil, "public.pair": nil, "public.whole": nil}
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	db.run(t, "INSERT INTO pair VALUES (1, 'a')", "INSERT INTO whole VALUES (1, 1)", "DROP TABLE pair", "DROP TABLE whole", "INSERT INTO t VALUES (1)")
	want := []string{"public.pair c tenant=a line=1", "public.whole c id=1", "public.t c id=1"}
	for range 2 { // the first reader does not confirm, and neither forgets too early
		p = openTape(t, db.open(t, wanted), p.pos, p.memory.Again())
		from := p.pos
		p.wants(t, want...)
		if err := p.stream.Close(); err != nil {
			t.Fatal(err)
		}
		p.pos = from
	}
	p = openTape(t, db.open(t, wanted), p.pos, p.memory.Again())
	p.wants(t, want...)
	eventually(t, func() bool { // what was dropped is seen at some time, and forgotten once that is confirmed
		db.run(t, "INSERT INTO t SELECT max(id) + 1 FROM t")
		p.read(t, len(p.lines)+1)
		if err := p.stream.Confirm(t.Context(), p.pos); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(covered(p.memory), []string{"public.t"})
	})
	if gaps := p.memory.Gaps(); len(gaps) != 0 {
		t.Errorf("got the gaps %+v, want none", gaps)
	}
}

func TestTheOrderOfAKeyIsRegisteredAsItIs(t *testing.T) {
	db := newDatabase(t, `CREATE TABLE pair (b int, "a""[b" int, PRIMARY KEY ("a""[b", b))`)
	p := db.begin(t, columns{"public.pair": nil})
	order := func(want string) func() bool {
		return func() bool { return strings.HasSuffix(p.memory.Covered()[0].ID, want) }
	}
	eventually(t, order(`["a\"[b","b"]`))
	db.run(t, `ALTER TABLE pair DROP CONSTRAINT pair_pkey, ADD PRIMARY KEY (b, "a""[b")`, "CREATE TABLE another (id int)") // the latter makes it look
	eventually(t, order(`["b","a\"[b"]`))
	if gaps := p.memory.Gaps(); len(gaps) != 0 {
		t.Errorf("got the gaps %+v, want none", gaps)
	}
}
