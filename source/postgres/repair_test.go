package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/postgres"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// prepared returns a source whose server was made ready, what the cluster
// remembers of it, and where reading begins.
func (db *database) prepared(t *testing.T, selector source.Selector) (*postgres.Source, *sourcetest.Notes, source.Position) {
	t.Helper()
	s, memory := db.open(t, selector), sourcetest.Fresh()
	head, err := s.Head(t.Context(), memory)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	return s, memory, head
}

func TestSeekKnowsWhatCanBeReadAndWhatIsSkipped(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	p := openTape(t, s, head, memory.Again())
	db.run(t, "INSERT INTO t VALUES (1)")
	p.read(t, 1)
	parts := strings.Split(string(head), ":")
	at := func(lsn string) source.Position { return source.Position(parts[0] + ":" + parts[1] + ":" + lsn) }
	for _, c := range []struct {
		name     string
		from, to source.Position
		skips    bool
		refused  string
	}{
		{"where it is", p.pos, p.pos, false, ""},
		{"back", p.pos, head, false, ""},
		{"ahead", head, p.pos, true, ""},
		{"from nowhere", "", p.pos, true, ""},
		{"before the slot", p.pos, at("0/1"), false, "has forgotten its log"},
		{"beyond the log", p.pos, at("FFFF/0"), false, "log ends at"},
		{"another system", p.pos, "1" + head, false, "the server is system"},
		{"no position", p.pos, "0/16B3748", false, "want system:timeline:LSN"},
	} {
		skips, err := s.Seek(t.Context(), c.from, c.to)
		switch {
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: got %v, want it refused with %q", c.name, err, c.refused)
		case c.refused == "" && (err != nil || skips != c.skips):
			t.Errorf("%s: got %t %v, want %t", c.name, skips, err, c.skips)
		}
	}
}

func TestReleaseDropsOurSlotOnceNobodyReadsIt(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, memory, head := db.prepared(t, columns{"public.t": nil})
	p := openTape(t, s, head, memory.Again())
	if err := s.Release(t.Context()); kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "is being read by process") {
		t.Errorf("got %v, want to wait for the reader", err)
	}
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to release
		if err := s.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := query(t, db.url, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = current_database()"); n != "0" {
		t.Errorf("got %s slots, want none", n)
	}
	// And then everything begins anew, with what is registered still covered.
	again := memory.Again()
	head, err := s.Head(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	db.run(t, "INSERT INTO t VALUES (1)")
	openTape(t, s, head, again.Again()).wants(t, "public.t c id=1")
	if got, want := covered(again), []string{"public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
}

func TestReleaseLeavesSomebodyElsesSlotAlone(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	db.run(t, "SELECT pg_create_logical_replication_slot(current_database(), 'test_decoding')")
	if err := db.open(t, columns{"public.t": nil}).Release(t.Context()); kafkasync.ClassOf(err) != kafkasync.Stop {
		t.Errorf("got %v, want it refused", err)
	}
	if n := query(t, db.url, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = current_database()"); n != "1" {
		t.Errorf("got %s slots, want the one that is not ours", n)
	}
}

func TestDismantleRemovesSlotAndPublication(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, _, _ := db.prepared(t, columns{"public.t": nil})
	for range 2 {
		left, err := s.Dismantle(t.Context())
		if err != nil || len(left) != 0 {
			t.Fatalf("got %q left and %v, want nothing", left, err)
		}
	}
	if n := query(t, db.url, "SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = current_database()) + (SELECT count(*) FROM pg_publication)"); n != "0" {
		t.Errorf("got %s slots and publications, want none", n)
	}
}

// An operator may hand over a slot of an earlier life, whose memory was lost.
func TestASlotIsAdoptedOnlyUnderADeclaredIntent(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	s, _, head := db.prepared(t, columns{"public.t": nil})
	_, err := s.Head(t.Context(), sourcetest.Fresh())
	if kafkasync.ClassOf(err) != kafkasync.Stop || !strings.Contains(err.Error(), "kafkasync recover shop --adopt-slot") {
		t.Errorf("got %v, want a stop that names the way out", err)
	}
	db.run(t, "INSERT INTO t VALUES (1)")
	told := sourcetest.Resumed()
	at, err := s.Head(t.Context(), told)
	if err != nil || at != head {
		t.Fatalf("got %q %v, want the slot where it stands, at %q", at, err, head)
	}
	p := openTape(t, s, at, told.Again())
	p.wants(t, "public.t c id=1")
	gapOf(t, p.memory, "public.t")
	if got, want := covered(told), []string{"public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
}

// Where the slot stands says nothing about when its tables came into the publication: decoding
// leaves out what was written before that.
func TestAnAdoptedSlotCoversOnlyWhatIsSureToBePublished(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE late (id int PRIMARY KEY)")
	db.prepared(t, columns{"public.t": nil})
	db.run(t, "INSERT INTO t VALUES (1)", "INSERT INTO late VALUES (1)")
	missing := query(t, db.url, "SELECT pg_current_wal_lsn()")
	db.run(t, "ALTER PUBLICATION "+pgx.Identifier{db.conn.Config().Database}.Sanitize()+" ADD TABLE late")
	s := db.open(t, columns{"public.t": nil, "public.late": nil})
	told := sourcetest.Resumed()
	at, err := s.Head(t.Context(), told)
	if err != nil {
		t.Fatal(err)
	}
	p := openTape(t, s, at, told.Again())
	gap := gapOf(t, p.memory, "public.late")
	if gap.From != "" || lsnOf(t, db.url, string(gap.To)) < lsnOf(t, db.url, missing) {
		t.Errorf("got the gap %+v, want it to hold all up to %s", gap, missing)
	}
	p.wants(t, "public.t c id=1")
}

// The role may not drop what it does not own, and says what remains.
func TestDismantleSaysWhatTheRoleMayNotRemove(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	name := db.conn.Config().Database
	role := pgx.Identifier{name}.Sanitize()
	db.run(t, "CREATE ROLE "+role+" LOGIN REPLICATION", "CREATE PUBLICATION "+role+" FOR TABLE t WITH (publish_via_partition_root = true)")
	t.Cleanup(func() { db.runAtEnd(t, "DROP OWNED BY "+role, "DROP ROLE "+role) })
	limited := &database{url: strings.Replace(db.url, "postgres@", name+"@", 1), conn: db.conn}
	s, _, _ := limited.prepared(t, columns{"public.t": nil})
	left, err := s.Dismantle(t.Context())
	if want := "DROP PUBLICATION IF EXISTS " + role + ";"; err != nil || !slices.Equal(left, []string{want}) {
		t.Errorf("got %q left and %v, want %q", left, err, want)
	}
}

// What a loss has cost a table begins where reading ended, unless the table was never read.
func TestATableThatWasNeverCoveredJoinsLateAlsoAfterARecovery(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE late (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil}
	_, memory, _ := db.prepared(t, wanted)
	db.run(t, "INSERT INTO late VALUES (1)", "SELECT pg_drop_replication_slot(current_database())")
	wanted["public.late"] = nil
	s, again := db.open(t, wanted), memory.Again()
	head, err := s.Head(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := covered(again), []string{"public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered by the recovery, want %q", got, want)
	}
	p := openTape(t, s, head, again.Again())
	if gap := gapOf(t, p.memory, "public.late"); gap.From != "" {
		t.Errorf("got the gap %+v, want it to hold the table's beginning", gap)
	}
}
