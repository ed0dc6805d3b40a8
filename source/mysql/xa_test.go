package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// An XA transaction is in the log where it is prepared, and true where it is committed: only then may
// its rows be read by anybody.
func TestAnXATransactionArrivesWhenItIsCommitted(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		id := func(n int) string { return fmt.Sprintf("'%s','b%d'", db.name, n) }
		p := db.begin(t, columns{"t": nil})
		db.run(t, "XA START "+id(1), "INSERT INTO t VALUES (1), (2)", "XA END "+id(1), "XA PREPARE "+id(1))
		other := &database{server: server, name: db.name}
		other.connect(t)
		other.run(t, "INSERT INTO t VALUES (3)")
		for len(p.lines) == 0 { // not until there is a position: MariaDB can give none
			if _, err := p.next(t); err != nil {
				t.Fatal(err)
			}
		}

		// A run that begins here must still know of the one that is prepared.
		behind := p.pos
		db.run(t, "XA COMMIT "+id(1), "INSERT INTO t VALUES (4)")
		p.more(t, "t c id=1", "t c id=2", "t c id=4")
		if p.places[1] == p.places[0] || p.places[1] != p.places[2] {
			t.Errorf("got the places %q, want one of the commit for both rows", p.places)
		}
		again := db.reopen(t, columns{"t": nil}, behind, p.memory)
		want := []string{"t c id=1", "t c id=2", "t c id=4"}
		if server.Flavour() == "mariadb" { // it begins before the one that is prepared
			want = append([]string{"t c id=3"}, want...)
		}
		again.wants(t, want...)

		db.run(t, "XA START "+id(2), "INSERT INTO t VALUES (5)", "XA END "+id(2), "XA PREPARE "+id(2), "XA ROLLBACK "+id(2),
			"XA START "+id(3), "INSERT INTO t VALUES (6)", "XA END "+id(3), "XA COMMIT "+id(3)+" ONE PHASE", "INSERT INTO t VALUES (7)")
		again.wants(t, "t c id=6", "t c id=7")
		if gaps := p.memory.Gaps(); len(gaps) != 0 {
			t.Errorf("got the gaps %+v, want none", gaps)
		}
		last := db.reopen(t, columns{"t": nil}, again.pos, p.memory)
		db.run(t, "INSERT INTO t VALUES (8)")
		last.wants(t, "t c id=8")
	})
}

func TestAnXATransactionThatWasPreparedBeforeIsAGap(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		id := "'" + db.name + "'"
		db.run(t, "XA START "+id, "INSERT INTO t VALUES (1)", "XA END "+id, "XA PREPARE "+id)
		p := db.begin(t, columns{"t": nil})
		db.run(t, "XA COMMIT "+id, "INSERT INTO t VALUES (2)")
		p.wants(t, "t c id=2")
		gaps := p.memory.Gaps()
		if len(gaps) != 1 || gaps[0].Table != db.prefix()+"t" || !strings.Contains(gaps[0].Cause, "prepared before") {
			t.Errorf("got the gaps %+v, want one of the table", gaps)
		}
	})
}

func TestAnXATransactionThatIsTooLargeStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY, body longblob)")
		p := db.begin(t, columns{"t": nil})
		id := "'" + db.name + "'"
		db.run(t, "XA START "+id)
		for i := range 5 {
			db.run(t, fmt.Sprintf("INSERT INTO t VALUES (%d, REPEAT('x', 4000000))", i))
		}
		db.run(t, "XA END "+id, "XA PREPARE "+id)
		defer db.run(t, "XA ROLLBACK "+id)
		wantStop(t, p.fails(t), "16 MiB", "XA RECOVER", anew)
	})
}
