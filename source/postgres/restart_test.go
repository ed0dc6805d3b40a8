package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAnInterruptionBetweenTwoRunsHasAGapFromTheFirstOnesEnd(t *testing.T) {
	for _, behind := range []bool{false, true} {
		t.Run(fmt.Sprintf("the checkpoint is behind %t", behind), func(t *testing.T) { interruptBetweenRuns(t, behind) })
	}
}

func interruptBetweenRuns(t *testing.T, behind bool) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)")
	wanted := columns{"public.t": nil}
	p := db.begin(t, wanted)
	publication := pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, "INSERT INTO t VALUES (1)")
	p.wants(t, "public.t c id=1")
	checkpoint := p.pos
	eventually(t, func() bool {
		intact := p.memory.Intact()
		return intact != "" && lsnOf(t, db.url, string(intact)) > lsnOf(t, db.url, string(checkpoint))
	})
	db.run(t, "INSERT INTO t VALUES (2)")
	p.wants(t, "public.t c id=1", "public.t c id=2")
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	intact := p.memory.Intact()
	want := min(lsnOf(t, db.url, string(intact)), lsnOf(t, db.url, string(p.pos)))
	if behind {
		p.pos, want = checkpoint, lsnOf(t, db.url, string(checkpoint))
	}
	out := query(t, db.url, "SELECT pg_current_wal_insert_lsn()")
	db.run(t, "ALTER PUBLICATION "+publication+" DROP TABLE t", "INSERT INTO t VALUES (3)", "ALTER PUBLICATION "+publication+" ADD TABLE t")
	back := query(t, db.url, "SELECT pg_current_wal_lsn()")

	p = openTape(t, db.open(t, wanted), p.pos, p.memory.Again())
	gap := gapOf(t, p.memory, "public.t")
	from, to := lsnOf(t, db.url, string(gap.From)), lsnOf(t, db.url, string(gap.To))
	if from != want {
		t.Errorf("got the gap %+v, want it to begin at %d, where all was in order or the checkpoint was", gap, want)
	}
	if from > lsnOf(t, db.url, out) || to < lsnOf(t, db.url, back) {
		t.Errorf("got the gap %+v, want %s to %s in it", gap, out, back)
	}
}

// What happens between a look and the addition of another table, the next look must find.
func TestATableThatLeavesWhileAnotherIsAddedHasAGap(t *testing.T) {
	db := newDatabase(t, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE left_at (lsn pg_lsn)")
	p := db.begin(t, columns{"public.t": nil, "public.late": nil})
	publication := pgx.Identifier{db.conn.Config().Database}.Sanitize()
	db.run(t, `CREATE FUNCTION take_out() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NOT EXISTS (SELECT FROM left_at) THEN
				INSERT INTO left_at VALUES (pg_current_wal_insert_lsn());
				ALTER PUBLICATION `+publication+` DROP TABLE t;
				INSERT INTO t VALUES (1);
			END IF;
		END $$`,
		"CREATE EVENT TRIGGER take_out ON ddl_command_end WHEN TAG IN ('ALTER PUBLICATION') EXECUTE FUNCTION take_out()",
		"CREATE TABLE late (id int PRIMARY KEY)")
	gap := gapOf(t, p.memory, "public.t")
	left := query(t, db.url, "SELECT lsn FROM left_at")
	if from, to, at := lsnOf(t, db.url, string(gap.From)), lsnOf(t, db.url, string(gap.To)), lsnOf(t, db.url, left); from > at || at > to {
		t.Errorf("got the gap %+v, want %s in it", gap, left)
	}
}
