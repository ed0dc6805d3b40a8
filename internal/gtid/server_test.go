package gtid_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

func TestMain(m *testing.M) { devtest.Main(m) }

// row returns the columns of a query's only row.
func row(t *testing.T, m *devstack.MySQL, sql string) []string {
	t.Helper()
	rows, err := m.Query(t.Context(), "", sql)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 {
		t.Fatalf("%s: got %d rows, want 1", sql, len(rows))
	}
	return rows[0]
}

func TestTheServerWritesSetsInTheSameWay(t *testing.T) {
	m := devtest.MySQL(t)
	for text, want := range written {
		got := row(t, m, "SELECT GTID_SUBTRACT('"+text+"', '')")[0]
		if strings.ReplaceAll(got, "\n", "") != want {
			t.Errorf("%q: the server writes %q, we %q", text, got, want)
		}
		if s := set(t, got); s.String() != want {
			t.Errorf("%q of the server became %q", got, s)
		}
	}
}

func TestTheServerCountsTheSame(t *testing.T) {
	m := devtest.MySQL(t)
	random := func() gtid.Set {
		var s gtid.Set
		for range rand.IntN(40) {
			id := gtid.ID{Source: gtid.UUID{15: byte(rand.IntN(2))}, Tag: []string{"", "", "blue"}[rand.IntN(3)], Number: rand.Int64N(30) + 1}
			s.Add(id)
		}
		return s
	}
	for range 100 {
		s, other := random(), random()
		got := row(t, m, fmt.Sprintf("SELECT GTID_SUBTRACT('%s', '%s'), GTID_SUBSET('%[2]s', '%[1]s'), GTID_SUBTRACT('%[1]s,%[2]s', '')", s, other))
		if want := s.Minus(other).String(); strings.ReplaceAll(got[0], "\n", "") != want {
			t.Errorf("%s minus %s: the server has %q, we %q", s, other, got[0], want)
		}
		if want := s.Contains(other); (got[1] == "1") != want {
			t.Errorf("%s contains %s: the server has %s, we %v", s, other, got[1], want)
		}
		if s.Empty() || other.Empty() {
			continue // a comma with nothing beside it
		}
		if want := s.Union(other).String(); strings.ReplaceAll(got[2], "\n", "") != want {
			t.Errorf("%s and %s: the server has %q, we %q", s, other, got[2], want)
		}
	}
}

// The ids of the log, added up, are what the server says that it has executed; and a
// reader that starts there through go-mysql gets the next transaction, and none before.
func TestTheLogOfMySQLAddsUpToWhatItExecuted(t *testing.T) {
	m := devtest.MySQL(t)
	db := devtest.DatabaseOnMySQL(t, m)
	executed := func() gtid.Set { return set(t, row(t, m, "SELECT @@global.gtid_executed")[0]) }
	from := executed()
	insert(t, m, db, "CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)",
		"SET gtid_next = 'AUTOMATIC:Blue'; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)",
		"SET gtid_next = '"+a+":77'; INSERT INTO t VALUES (4)")
	end := executed()
	if got, want := end.Minus(from).Count(), int64(5); got != want {
		t.Errorf("got %d transactions in %s, want %d", got, end.Minus(from), want)
	}
	at := from.Clone()
	read(t, m, from.String(), func(event replication.Event) bool {
		switch e := event.(type) {
		case *replication.GTIDEvent:
			at.Add(gtid.ID{Source: gtid.UUID(e.SID), Number: e.GNO})
		case *replication.GtidTaggedLogEvent:
			at.Add(gtid.ID{Source: gtid.UUID(e.SID), Tag: e.Tag.String(), Number: e.GNO})
		}
		return at.String() == end.String()
	})
	insert(t, m, db, "SET gtid_next = 'AUTOMATIC:Blue'; INSERT INTO t VALUES (5)")
	want := executed().Minus(end).String()
	var got gtid.Set
	read(t, m, end.String(), func(event replication.Event) bool {
		if e, ok := event.(*replication.GtidTaggedLogEvent); ok {
			got.Add(gtid.ID{Source: gtid.UUID(e.SID), Tag: e.Tag.String(), Number: e.GNO})
		}
		_, other := event.(*replication.GTIDEvent)
		return other || !got.Empty()
	})
	if got.String() != want {
		t.Errorf("after %s: got %q, want %q", end, got, want)
	}
}

func TestTheLogOfMariaDBAddsUpToItsPosition(t *testing.T) {
	m := devtest.MariaDB(t)
	db := devtest.DatabaseOnMySQL(t, m)
	place := func() gtid.MariaPosition { return position(t, row(t, m, "SELECT @@global.gtid_binlog_pos")[0]) }
	from := place()
	insert(t, m, db, "CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)",
		"SET gtid_domain_id = 10; INSERT INTO t VALUES (2)", "SET gtid_domain_id = 2; INSERT INTO t VALUES (3)",
		"SET server_id = 7; INSERT INTO t VALUES (4)")
	end := place()
	at := from.Clone()
	read(t, m, from.String(), func(event replication.Event) bool {
		if e, ok := event.(*replication.MariadbGTIDEvent); ok {
			at.Add(gtid.MariaID{Domain: e.GTID.DomainID, Server: e.GTID.ServerID, Sequence: e.GTID.SequenceNumber})
		}
		return at.String() == end.String()
	})
	history, err := gtid.ParseMariaHistory(row(t, m, "SELECT @@global.gtid_binlog_state")[0])
	if err != nil {
		t.Fatal(err)
	}
	if lacks := history.Lacks(end); lacks != nil || !end.Reached(from) || from.Reached(end) {
		t.Errorf("from %s to %s: the server lacks %v, want a place that is further on and nothing", from, end, lacks)
	}
}

func insert(t *testing.T, m *devstack.MySQL, db string, sql ...string) {
	t.Helper()
	for _, text := range sql {
		if err := m.Exec(t.Context(), db, text); err != nil {
			t.Fatal(err)
		}
	}
}

// read hands the events of the log from a place on to done, until that says yes.
func read(t *testing.T, m *devstack.MySQL, from string, done func(replication.Event) bool) {
	t.Helper()
	host, port, _ := strings.Cut(m.Addr(), ":")
	cfg := replication.BinlogSyncerConfig{ServerID: 7400, Flavor: m.Flavour(), Host: host, User: "root", DisableRetrySync: true, Logger: nil}
	if _, err := fmt.Sscan(port, &cfg.Port); err != nil {
		t.Fatal(err)
	}
	syncer := replication.NewBinlogSyncer(cfg)
	defer syncer.Close()
	start, err := mysql.ParseGTIDSet(m.Flavour(), from)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := syncer.StartSyncGTID(start)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		event, err := stream.GetEvent(ctx)
		if err != nil {
			t.Fatalf("from %q: %v", from, err)
		}
		if done(event.Event) {
			return
		}
	}
}
