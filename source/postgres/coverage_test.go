package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// covered lists what is registered as covered: "public.t", or "public.t until P".
func covered(memory *sourcetest.Notes) []string {
	var list []string
	for _, c := range memory.Covered() {
		if c.Until != "" {
			c.Table += " until " + string(c.Until)
		}
		list = append(list, c.Table)
	}
	slices.Sort(list)
	return list
}

// gapOf waits for the one gap of a table.
func gapOf(t *testing.T, memory *sourcetest.Notes, table string) source.Gap {
	t.Helper()
	var found []source.Gap
	eventually(t, func() bool {
		found = slices.DeleteFunc(memory.Gaps(), func(g source.Gap) bool { return g.Table != table })
		return len(found) > 0
	})
	if len(found) != 1 {
		t.Fatalf("got the gaps %+v, want one", found)
	}
	return found[0]
}

// lsnOf returns the LSN of a position, or of a change's place.
func lsnOf(t *testing.T, url, text string) uint64 {
	t.Helper()
	parts := strings.Split(text, ":")
	var lsn uint64
	if _, err := fmt.Sscan(query(t, url, "SELECT '"+parts[len(parts)-1]+"'::pg_lsn - '0/0'"), &lsn); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return lsn
}

func TestWhatIsThereAtTheStartHasNoGap(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", `CREATE TABLE "Odd.Name" (id int PRIMARY KEY)`)
	p := db.begin(t, columns{"public.t": nil, "public.Odd.Name": nil})
	db.run(t, "INSERT INTO t VALUES (1)")
	p.wants(t, "public.t c id=1")
	if got, want := covered(p.memory), []string{"public.Odd.Name", "public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
	if gaps := p.memory.Gaps(); len(gaps) != 0 {
		t.Errorf("got the gaps %+v, want none", gaps)
	}
}

// A table that is created while the log is read is covered within seconds, and
// the gap ends before the first change that is certain to be published.
func TestATableCreatedWhileReadingIsCoveredFromAGapOn(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil, "public.late": nil})
	db.run(t, "CREATE TABLE late (id int PRIMARY KEY)", "INSERT INTO late VALUES (1)")
	gap := gapOf(t, p.memory, "public.late")
	if gap.From != "" || gap.To == "" {
		t.Errorf("got the gap %+v, want one from the table's beginning to where its coverage begins", gap)
	}
	if got, want := covered(p.memory), []string{"public.late", "public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
	db.run(t, "INSERT INTO late VALUES (2)", "INSERT INTO t VALUES (1)")
	for !slices.Contains(p.lines, "public.t c id=1") {
		p.read(t, len(p.lines)+1)
	}
	if !slices.Contains(p.lines, "public.late c id=2") {
		t.Errorf("got %q, want the change behind the gap", p.lines)
	}
}

// A transaction that was open when the table was put into the publication may
// have written rows that the server does not send, and commit them at any time.
func TestATableIsNotCoveredBeforeOlderTransactionsHaveEnded(t *testing.T) {
	for _, read := range []bool{true, false} {
		t.Run(fmt.Sprintf("the server decodes the table before the older transaction %t", read), func(t *testing.T) {
			olderTransaction(t, read)
		})
	}
}

func olderTransaction(t *testing.T, read bool) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE late (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil}
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	open, err := pgx.Connect(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(context.WithoutCancel(t.Context())) }()
	if _, err := open.Exec(t.Context(), "BEGIN; INSERT INTO late VALUES (0)"); err != nil {
		t.Fatal(err)
	}
	wanted["public.late"] = nil
	p = openTape(t, db.open(t, wanted), p.pos, p.memory.Again())
	if read {
		db.run(t, "INSERT INTO late VALUES (1)")
		p.wants(t, "public.late c id=1") // published meanwhile
	} else {
		eventually(t, func() bool { return query(t, db.url, "SELECT count(*) FROM pg_publication_rel") == "2" })
	}
	if got, want := covered(p.memory), []string{"public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered while an older transaction is open, want %q", got, want)
	}
	if _, err := open.Exec(t.Context(), "INSERT INTO late VALUES (2); COMMIT"); err != nil {
		t.Fatal(err)
	}
	end := query(t, db.url, "SELECT pg_current_wal_lsn()")
	if gap := gapOf(t, p.memory, "public.late"); lsnOf(t, db.url, string(gap.To)) < lsnOf(t, db.url, end) {
		t.Errorf("got the gap %+v, want it to end behind the older transaction, at %s", gap, end)
	}
	// Decoding the older one must not have left "not published" in the server's cache.
	db.run(t, "INSERT INTO late VALUES (3)", "INSERT INTO t VALUES (1)")
	for !slices.Contains(p.lines, "public.t c id=1") {
		p.read(t, len(p.lines)+1)
	}
	if !slices.Contains(p.lines, "public.late c id=3") {
		t.Errorf("got %q, want the change behind the gap", p.lines)
	}
}

func TestATableThatLeftThePublicationForAWhileHasAGap(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil, "public.u": nil})
	publication := pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, "INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (1)")
	p.wants(t, "public.t c id=1", "public.u c id=1")
	db.run(t, "ALTER PUBLICATION "+publication+" DROP TABLE t", "INSERT INTO t VALUES (2)", "ALTER PUBLICATION "+publication+" ADD TABLE t")
	missing := query(t, db.url, "SELECT pg_current_wal_lsn()")
	gap := gapOf(t, p.memory, "public.t")
	if from, to, at := lsnOf(t, db.url, string(gap.From)), lsnOf(t, db.url, string(gap.To)), lsnOf(t, db.url, missing); from >= at || at > to {
		t.Errorf("got the gap %+v, want %s in it", gap, missing)
	}
	if got, want := covered(p.memory), []string{"public.t", "public.u"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
	if gaps := p.memory.Gaps(); len(gaps) != 1 {
		t.Errorf("got the gaps %+v, want none of public.u", gaps)
	}
}

func TestATableDroppedAndCreatedAgainHasAGap(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil, "public.u": nil})
	db.run(t, "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
	gapOf(t, p.memory, "public.t")
	db.run(t, "INSERT INTO t VALUES (2)")
	p.read(t, 1)
	if last := p.lines[len(p.lines)-1]; last != "public.t c id=2" {
		t.Errorf("got %q, want the change behind the gap", p.lines)
	}
	db.run(t, "DROP TABLE u")
	// Coverage ends when its log is not read again.
	eventually(t, func() bool {
		db.run(t, "INSERT INTO t SELECT max(id) + 1 FROM t")
		p.read(t, len(p.lines)+1)
		if err := p.stream.Confirm(t.Context(), p.pos); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(covered(p.memory), []string{"public.t"})
	})
}

// While the publication leaves operations out, everything is in doubt.
func TestAPublicationThatLeftOperationsOutForAWhileLeavesGaps(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil, "public.u": nil}
	p := db.begin(t, wanted)
	publication := pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, "ALTER PUBLICATION "+publication+" SET (publish = 'insert')")
	var b source.Batch
	var err error
	for err == nil {
		err = p.stream.Next(t.Context(), &b)
	}
	if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), "leaves out operations") {
		t.Fatalf("got %v, want to wait for the publication", err)
	}
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	db.run(t, "INSERT INTO t VALUES (1)", "DELETE FROM t")
	s := db.open(t, wanted)
	if _, err := s.Open(t.Context(), p.pos, p.memory.Again()); kafkasync.ClassOf(err) != kafkasync.Wait {
		t.Errorf("got %v, want to wait for the publication again", err)
	}
	db.run(t, "ALTER PUBLICATION "+publication+" SET (publish = 'insert, update, delete, truncate')")
	p = openTape(t, s, p.pos, p.memory.Again())
	for _, table := range []string{"public.t", "public.u"} {
		gapOf(t, p.memory, table)
	}
	if got, want := covered(p.memory), []string{"public.t", "public.u"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
}

// It may be over before anybody has looked, and while nobody reads.
func TestOperationsLeftOutForAMomentLeaveGaps(t *testing.T) {
	for _, reading := range []bool{true, false} {
		t.Run(fmt.Sprintf("while it is read %t", reading), func(t *testing.T) {
			db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
			wanted := columns{"public.t": nil}
			p := db.begin(t, wanted)
			db.run(t, "INSERT INTO t VALUES (1)")
			p.wants(t, "public.t c id=1")
			if !reading {
				if err := p.stream.Close(); err != nil {
					t.Fatal(err)
				}
			}
			publication := pgx.Identifier{db.conn.Config().Database}.Sanitize()
			// In one transaction, or a look might see it, and the reading end.
			db.run(t, "BEGIN", "ALTER PUBLICATION "+publication+" SET (publish = 'insert')", "DELETE FROM t")
			missing := query(t, db.url, "SELECT pg_current_wal_lsn()")
			db.run(t, "ALTER PUBLICATION "+publication+" SET (publish = 'insert, update, delete, truncate')", "COMMIT")
			if !reading {
				p = openTape(t, db.open(t, wanted), p.pos, p.memory.Again())
			}
			gap := gapOf(t, p.memory, "public.t")
			if from, to, at := lsnOf(t, db.url, string(gap.From)), lsnOf(t, db.url, string(gap.To)), lsnOf(t, db.url, missing); from >= at || at > to {
				t.Errorf("got the gap %+v, want %s in it", gap, missing)
			}
		})
	}
}

func TestARenamedTableStaysCoveredOrSaysThatItIsNot(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil, "public.t2": nil, "public.u": nil})
	db.run(t, "ALTER TABLE t RENAME TO t2", "ALTER TABLE u RENAME TO other", "INSERT INTO t2 VALUES (1)")
	p.wants(t, "public.t2 c id=1")
	eventually(t, func() bool { return slices.Equal(covered(p.memory), []string{"public.t2"}) })
	if gaps := p.memory.Gaps(); len(gaps) != 0 {
		t.Errorf("got the gaps %+v, want none", gaps)
	}
}

// A table of a schema that is published as a whole comes by itself.
func TestATableOfAPublishedSchemaJoinsByItself(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	name := pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, "CREATE PUBLICATION "+name+" FOR TABLES IN SCHEMA public WITH (publish_via_partition_root = true)")
	p := db.begin(t, columns{"public.t": nil, "public.late": nil})
	db.run(t, "CREATE TABLE late (id int PRIMARY KEY)")
	gapOf(t, p.memory, "public.late")
	db.run(t, "INSERT INTO late VALUES (1)")
	p.wants(t, "public.late c id=1")
}

func TestWhatCouldNotBeCoveredIsTriedAgain(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	p := db.begin(t, columns{"public.t": nil, "public.keyless": {"n"}, "public.other": nil})
	db.run(t, "CREATE TABLE keyless (n int)", "CREATE TABLE other (id int PRIMARY KEY)")
	gapOf(t, p.memory, "public.other")
	if got, want := covered(p.memory), []string{"public.other", "public.t"}; !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
	db.run(t, "ALTER TABLE keyless ADD PRIMARY KEY (n)", "DROP TABLE other") // which makes it look again at once
	gapOf(t, p.memory, "public.keyless")
}
