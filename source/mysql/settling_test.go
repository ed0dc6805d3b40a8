package mysql_test

import (
	"testing"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/source/mysql"
)

// A server that waits for a replica sends a transaction before that has it. If the replica is promoted, the transaction has never been.
func TestNoPositionIsAheadOfWhatASemiSynchronousServerHasCommitted(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, primary *devstack.MySQL) {
		ctx := t.Context()
		replica, err := primary.Replica(ctx, devstack.MySQLConfig{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = replica.Close() })
		db := &database{server: primary, name: "shop"} // which nobody can drop in the end
		if err := primary.CreateDatabase(ctx, db.name); err != nil {
			t.Fatal(err)
		}
		db.connect(t)
		db.run(t, "CREATE TABLE t (id int PRIMARY KEY)")
		p := db.begin(t, columns{"t": nil})
		db.run(t, "INSERT INTO t VALUES (1)")
		p.wants(t, "t c id=1")
		if err := primary.SemiSync(ctx, true); err != nil {
			t.Fatal(err)
		}
		// As of the next look at the server, which is soon; as of the beginning for who opens it now.
		p = db.reopen(t, columns{"t": nil}, p.pos, p.memory)

		receive := func(verb string) {
			t.Helper()
			what := map[string]string{mysql.MySQL: " REPLICA IO_THREAD", mysql.MariaDB: " SLAVE IO_THREAD"}[replica.Flavour()]
			if err := replica.Exec(ctx, "", verb+what); err != nil {
				t.Fatal(err)
			}
		}
		hangs := func(sql string) <-chan error {
			t.Helper()
			receive("STOP")
			commit := make(chan error, 1)
			go func() { commit <- primary.Exec(ctx, db.name, sql) }()
			before := p.pos
			for len(p.lines) == 0 {
				if _, err := p.next(t); err != nil {
					t.Fatal(err)
				}
			}
			if p.pos != before {
				t.Fatalf("got the position %s with %q, which no replica has", p.pos, p.lines)
			}
			return commit
		}
		// A replica that comes back has it, and reading goes on behind it.
		commit := hangs("INSERT INTO t VALUES (2)")
		before := p.pos
		receive("START")
		if err := <-commit; err != nil {
			t.Fatal(err)
		}
		p.wants(t, "t c id=2")
		if p.pos == before {
			t.Fatal("the position has not moved with a transaction that a replica has")
		}

		// One that is promoted without it does not lack what the position names.
		commit = hangs("INSERT INTO t VALUES (3)")
		if err := primary.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-commit; err == nil {
			t.Fatal("a commit that no replica has was acknowledged")
		}
		_ = p.fails(t)
		if err := firstOf(
			func() error { return replica.Promote(ctx) },
			func() error { return replica.Exec(ctx, db.name, "INSERT INTO t VALUES (4)") },
		); err != nil {
			t.Fatal(err)
		}
		promoted := &database{server: replica, name: db.name}
		next := promoted.reopen(t, columns{"t": nil}, p.pos, p.memory)
		next.wants(t, "t c id=4")
	})
}

func firstOf(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
