package mysql_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// covered are the names of the registered tables, without the database.
func (p *tape) covered() []string {
	var names []string
	for _, c := range p.memory.Covered() {
		names = append(names, strings.TrimPrefix(c.Table, p.prefix))
	}
	slices.Sort(names)
	return names
}

func (p *tape) wantCovered(t *testing.T, want ...string) {
	t.Helper()
	if got := p.covered(); !slices.Equal(got, want) {
		t.Errorf("got %q covered, want %q", got, want)
	}
}

// wantGaps compares the gaps: "table: from to", as "-" for the beginning, "+" else.
func (p *tape) wantGaps(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, g := range p.memory.Gaps() {
		from := "+"
		if g.From == "" {
			from = "-"
		}
		if g.To == "" || g.Cause == "" {
			t.Errorf("got the gap %+v, want an end and a cause", g)
		}
		got = append(got, strings.TrimPrefix(g.Table, p.prefix)+from)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the gaps %q, want %q", got, want)
	}
}

func TestATableThatIsCreatedIsCoveredFromItsBeginning(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		wanted := columns{"t": nil, "made": nil, "later": nil}
		p := db.begin(t, wanted)
		p.wantCovered(t, "t")
		db.run(t, "CREATE TABLE made (id int PRIMARY KEY)", "INSERT INTO made VALUES (1)")
		p.wants(t, "made c id=1")
		p.wantCovered(t, "made", "t")
		if err := p.stream.Close(); err != nil {
			t.Fatal(err)
		}

		// Also while nobody reads, if somebody reads that later.
		db.run(t, "CREATE TABLE later (id int PRIMARY KEY)", "INSERT INTO later VALUES (1)")
		p = db.reopen(t, wanted, p.pos, p.memory)
		p.wants(t, "later c id=1")
		p.wantCovered(t, "later", "made", "t")
		p.wantGaps(t)
	})
}

func TestATableThatARuleCapturesLaterHasAGap(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE late (id int PRIMARY KEY)", "INSERT INTO late VALUES (1)")
		p := db.begin(t, columns{"t": nil})
		db.run(t, "INSERT INTO late VALUES (2)", "INSERT INTO t VALUES (1)")
		p.wants(t, "t c id=1")
		if err := p.stream.Close(); err != nil {
			t.Fatal(err)
		}
		from := p.pos
		db.run(t, "INSERT INTO late VALUES (3)", "CREATE TABLE IF NOT EXISTS late (id int PRIMARY KEY)", "INSERT INTO late VALUES (4)")
		p = db.reopen(t, columns{"t": nil, "late": nil}, from, p.memory)
		p.wants(t, "late c id=3", "late c id=4")
		p.wantCovered(t, "late", "t")
		p.wantGaps(t, "late-")
		if gap := p.memory.Gaps()[0]; gap.To != from {
			t.Errorf("got a gap up to %s, want %s, where reading began with the rule", gap.To, from)
		}

		// Where nothing follows, it is known at once.
		db.run(t, "CREATE TABLE idle (id int PRIMARY KEY)", "INSERT INTO t VALUES (9)")
		p.wants(t, "t c id=9")
		p = db.reopen(t, columns{"t": nil, "late": nil, "idle": nil}, p.pos, p.memory)
		p.wantCovered(t, "idle", "late", "t")
		p.wantGaps(t, "late-", "idle-")
	})
}

func TestATableThatIsRenamedIntoARuleHasAGap(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE old (id int PRIMARY KEY)", "INSERT INTO old VALUES (1)")
		p := db.begin(t, columns{"t": nil, "renamed": nil})
		db.run(t, "ALTER TABLE old RENAME TO renamed", "INSERT INTO renamed VALUES (2)")
		p.wants(t, "renamed c id=2")
		p.wantCovered(t, "renamed", "t")
		p.wantGaps(t, "renamed-")
	})
}

func TestRowsThatGoWithoutATraceAreAGap(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20))",
			"INSERT INTO t VALUES (1), (11)")
		p := db.begin(t, columns{"t": nil})
		db.run(t, "ALTER TABLE t TRUNCATE PARTITION a", "ALTER TABLE t DROP PARTITION a", "INSERT INTO t VALUES (12)")
		p.wants(t, "t c id=12")
		p.wantGaps(t, "t+", "t+")
	})
}

// A user needs no privilege on a table to read the log of it, and none to see it either.
func TestATableThatOurUserCannotSeeIsRegisteredWithItsFirstRow(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		user := fmt.Sprintf("blind%d", serial.Add(1))
		plugin := map[string]string{"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}[server.Flavour()]
		if err := server.CreateUser(t.Context(), user, plugin, "pass"); err != nil {
			t.Fatal(err)
		}
		grant := map[string]string{"mysql": "REPLICATION CLIENT", "mariadb": "BINLOG MONITOR"}[server.Flavour()]
		db.run(t, fmt.Sprintf("GRANT REPLICATION SLAVE, %s ON *.* TO '%s'@'%%'", grant, user))
		cfg := db.config()
		cfg.URL, cfg.Password = "mysql://"+user+"@"+server.Addr(), "pass"
		s, memory := open(t, cfg, db.selector(columns{"t": nil})), sourcetest.Fresh()
		head, err := s.Head(t.Context(), memory)
		if err != nil {
			t.Fatal(err)
		}
		p := &tape{prefix: db.prefix(), memory: memory.Again()}
		if p.stream, err = s.Open(t.Context(), head, p.memory); err != nil {
			t.Fatal(err)
		}
		defer p.stream.Close()
		p.wantCovered(t)
		db.run(t, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)")
		p.wants(t, "t c id=1", "t c id=2")
		p.wantCovered(t, "t")
		p.wantGaps(t, "t-")
	})
}

func TestHeadAfterARecoveryKeepsWhatIsRegistered(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		p := db.begin(t, columns{"t": nil})
		db.run(t, "CREATE TABLE more (id int PRIMARY KEY)")
		wanted := columns{"t": nil, "more": nil}
		head, err := db.open(t, db.selector(wanted)).Head(t.Context(), p.memory.Again())
		if err != nil {
			t.Fatal(err)
		}
		p.wantCovered(t, "t")
		p = db.reopen(t, wanted, head, p.memory)
		p.wantCovered(t, "more", "t")
		p.wantGaps(t, "more-")
	})
}

func TestSeek(t *testing.T) {
	test := func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		from := p.pos
		db.run(t, "INSERT INTO t VALUES (2)")
		p.wants(t, "t c id=2")
		s := db.open(t, db.suite())
		for _, tt := range []struct {
			from, to source.Position
			skips    bool
		}{{from, p.pos, true}, {p.pos, from, false}, {p.pos, p.pos, false}, {"", p.pos, true}} {
			if skips, err := s.Seek(t.Context(), tt.from, tt.to); err != nil || skips != tt.skips {
				t.Errorf("from %s to %s: got %v %v, want %v", tt.from, tt.to, skips, err, tt.skips)
			}
		}
		_, err := s.Seek(t.Context(), from, "nonsense")
		wantStop(t, err, "nonsense", "position show")
		if err := s.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if left, err := s.Dismantle(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("got %q %v, want nothing left", left, err)
		}
		if err := s.Reach(t.Context()); err != nil {
			t.Error(err)
		}
	}
	onBoth(t, test)
	t.Run("without GTIDs", func(t *testing.T) {
		test(t, ownServer(t, "MySQL", map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}))
	})
}
