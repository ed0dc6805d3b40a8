package postgres_test

import (
	"net"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// down is an address where nothing listens.
const down = "127.0.0.1:1"

// silentHost is an address that takes connections and says nothing.
func silentHost(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// pair is a primary with a database, and a standby that follows it. The database
// outlives the standby: dropping it while a copy of a slot in it is looked at ends a standby.
func pair(t *testing.T) (db *database, primary, standby *devstack.Postgres) {
	t.Helper()
	primary = ownServer(t, nil).Postgres
	db = connectTo(t, devtest.DatabaseOn(t, primary), "CREATE TABLE t (id int PRIMARY KEY)")
	standby, err := primary.Standby(t.Context(), devstack.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, primary, standby
}

// forget takes away what a run has left in the database.
func (db *database) forget(t *testing.T) {
	t.Helper()
	db.run(t, "SELECT pg_drop_replication_slot(current_database())", "DROP PUBLICATION "+quoted(db.conn.Config().Database))
}

// catchUp waits until the standby has all that the primary has.
func catchUp(t *testing.T, primary, standby *devstack.Postgres) {
	t.Helper()
	if err := standby.WaitReplayed(t.Context(), query(t, primary.URL("postgres"), "SELECT pg_current_wal_lsn()")); err != nil {
		t.Fatal(err)
	}
}

func TestOfSeveralHostsThePrimaryIsReadAndNoOther(t *testing.T) {
	db, primary, standby := pair(t)
	direct := db.url
	up, follower, silent := primary.Addr(), standby.Addr(), silentHost(t)
	for _, c := range []struct{ name, hosts, attrs string }{
		{"the first is down", down + "," + up, ""},
		{"the first does not answer", silent + "," + up, "connect_timeout=1"},
		{"a standby first, read-write", follower + "," + up, "target_session_attrs=read-write"},
		{"a standby first, primary", follower + "," + up, "target_session_attrs=primary"},
		{"a standby first, nothing said", follower + "," + up, ""},
		{"one down, a standby, then the primary", down + "," + follower + "," + up, ""},
		{"the primary first", up + "," + follower, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			catchUp(t, primary, standby) // or it would not know the database
			db.url = strings.Replace(direct, up, c.hosts, 1) + "?" + c.attrs
			db.run(t, "TRUNCATE t")
			p := db.begin(t, columns{"public.t": nil})
			db.run(t, "INSERT INTO t VALUES (1)") // whose table is looked up over one more connection
			p.wants(t, "public.t c id=1")
			ours := "SELECT count(*)::text FROM pg_stat_activity WHERE application_name LIKE 'kafkasync test%'"
			eventually(t, func() bool { return query(t, primary.URL("postgres"), ours) == "2" }) // walsender and monitor
			if got := query(t, standby.URL("postgres"), ours); got != "0" {
				t.Errorf("got %s connections to the standby, want none", got)
			}
			if err := p.stream.Close(); err != nil {
				t.Fatal(err)
			}
			db.forget(t)
		})
	}
	db.url = direct
	t.Run("no primary", func(t *testing.T) { withoutPrimary(t, db, primary, standby) })
}

// withoutPrimary reads from URLs that lead to no server which can be followed.
func withoutPrimary(t *testing.T, db *database, primary, standby *devstack.Postgres) {
	wanted := columns{"public.t": nil}
	direct, up, follower := db.url, primary.Addr(), standby.Addr()
	p := db.begin(t, wanted)
	if err := p.stream.Close(); err != nil {
		t.Fatal(err)
	}
	catchUp(t, primary, standby)
	for _, c := range []struct{ name, hosts, attrs, what string }{
		{"only a standby", follower, "", "the server is a standby"},
		{"only a standby, read-write", follower, "target_session_attrs=read-write", "no server of the URL accepts writes"},
		{"only a standby, primary", follower, "target_session_attrs=primary", "no server of the URL accepts writes"},
		{"one down and a standby", down + "," + follower, "", "no server of the URL accepts writes"},
		{"the standby is asked for", up + "," + follower, "target_session_attrs=standby", "the server is a standby"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db.url = strings.Replace(direct, up, c.hosts, 1) + "?" + c.attrs
			s := db.open(t, wanted)
			_, headErr := s.Head(t.Context(), sourcetest.Fresh())
			stream, openErr := s.Open(t.Context(), p.pos, sourcetest.Resumed())
			if openErr == nil {
				_ = stream.Close()
			}
			for _, err := range []error{headErr, openErr} {
				if kafkasync.ClassOf(err) != kafkasync.Wait || !strings.Contains(err.Error(), c.what) || !strings.Contains(err.Error(), "to fix:") {
					t.Errorf("got %v, want to wait with %q and its fix", err, c.what)
				}
			}
		})
	}
}
