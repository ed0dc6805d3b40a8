package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

const anew = "kafkasync recover shop --new-slot"

func wantStop(t *testing.T, err error, words ...string) {
	t.Helper()
	wantFault(t, err, kafkasync.Stop, words...)
}

func wantFault(t *testing.T, err error, class kafkasync.Class, words ...string) {
	t.Helper()
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != class {
		t.Fatalf("got the error %v, want a Fault of class %v", err, class)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to say %q", err, w)
		}
	}
}

// openError opens a stream, and reads on until it fails.
func (db *database) openError(t *testing.T, from source.Position, memory *sourcetest.Notes) error {
	t.Helper()
	stream, err := db.open(t, db.selector(columns{"t": nil})).Open(t.Context(), from, memory.Again())
	if err != nil {
		return err
	}
	defer stream.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		var b source.Batch
		if err := stream.Next(ctx, &b); err != nil {
			return err
		}
	}
}

// read begins with a table, and reads a row of it.
func readOne(t *testing.T, server *devstack.MySQL) (*database, *tape) {
	t.Helper()
	db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
	p := db.begin(t, columns{"t": nil})
	db.run(t, "INSERT INTO t VALUES (1)")
	p.wants(t, "t c id=1")
	return db, p
}

func TestAPurgedLogStops(t *testing.T) {
	test := func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		if err := p.stream.Close(); err != nil {
			t.Fatal(err)
		}
		db.run(t, "INSERT INTO t VALUES (2)", "FLUSH LOGS", "INSERT INTO t VALUES (3)", "FLUSH LOGS")
		// MariaDB keeps, without a word, what its own recovery may need.
		eventually(t, func() bool {
			rows, err := server.Query(t.Context(), "", "SHOW BINARY LOGS")
			if err != nil {
				t.Fatal(err)
			}
			db.run(t, "PURGE BINARY LOGS TO '"+rows[len(rows)-1][0]+"'")
			return len(rows) == 1
		})
		wantStop(t, db.openError(t, p.pos, p.memory), "purged", anew)
		_, err := db.open(t, db.suite()).Seek(t.Context(), "", p.pos)
		wantStop(t, err, "purged")
	}
	onOwn(t, nil, test)
	t.Run("without GTIDs", func(t *testing.T) {
		test(t, ownServer(t, "MySQL", map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}))
	})
}

func TestAServerThatLostTransactionsStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		kind, text, _ := strings.Cut(string(p.pos), ":")
		// As if the server had been set back: what was read goes further than what it has.
		cut := strings.LastIndexAny(text, "-")
		beyond := source.Position(kind + ":" + text[:cut+1] + "900000")
		wantStop(t, db.openError(t, beyond, p.memory), "lacks transactions", "900000", anew)
		_, err := db.open(t, db.suite()).Seek(t.Context(), p.pos, beyond)
		wantStop(t, err, "lacks transactions")
	})
}

func TestAServerWhoseLogWasResetStops(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		reset := map[string]string{"mysql": "RESET BINARY LOGS AND GTIDS", "mariadb": "RESET MASTER"}[server.Flavour()]
		db.run(t, reset, "INSERT INTO t VALUES (2)")
		if err := p.stream.Close(); err != nil {
			t.Fatal(err)
		}
		wantStop(t, db.openError(t, p.pos, p.memory), "lacks transactions", anew)
	})
}

func TestAnotherServerStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		other := map[string]source.Position{
			"mysql": "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23", "mariadb": "mariadb:7-77-100",
		}[server.Flavour()]
		wantStop(t, db.openError(t, other, p.memory), "another one", anew)
	})
	t.Run("without GTIDs", func(t *testing.T) {
		server := ownServer(t, "MySQL", map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"})
		db, p := readOne(t, server)
		wantStop(t, db.openError(t, "file:3e11fa47-71ca-11e1-9e33-c80aa9429562:binlog.000001:157", p.memory), "another one", anew)
		own, _, _ := strings.Cut(strings.TrimPrefix(string(p.pos), "file:"), ":")
		wantStop(t, db.openError(t, source.Position("file:"+own+":binlog.000900:157"), p.memory), "lacks transactions", anew)
		wantStop(t, db.openError(t, source.Position("file:"+own+":binlog.000001:4000000000"), p.memory), "lacks transactions", anew)
		wantStop(t, db.openError(t, "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23", p.memory), "gtid_mode")
	})
}

func TestAPositionOfTheOtherFlavourStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db, p := readOne(t, server)
		other := map[string]source.Position{
			"mariadb": "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23", "mysql": "mariadb:0-1-100",
		}[server.Flavour()]
		wantStop(t, db.openError(t, other, p.memory), "another kind")
	})
}

func TestStatementsInPlaceOfRowsStop(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		for _, statement := range []string{
			"INSERT INTO t VALUES (2)", "UPDATE t SET id = 3 WHERE id = 1", "DELETE FROM t", "REPLACE INTO `t` VALUES (1)", "INSERT INTO other SELECT id FROM t",
		} {
			t.Run(statement, func(t *testing.T) {
				db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
				p := db.begin(t, columns{"t": nil})
				db.run(t, "SET binlog_format = STATEMENT", "INSERT INTO other VALUES (7)", "SET binlog_format = ROW", "INSERT INTO t VALUES (8)")
				p.wants(t, "t c id=8") // what is not captured may be written in any way
				db.run(t, "SET binlog_format = STATEMENT", statement)
				wantStop(t, p.fails(t), "in place of the rows of "+db.prefix()+"t", "binlog_format = 'ROW'", anew)
			})
		}
	})
}

func TestTheWrongFlavourStops(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		cfg := mysql.Config{Flavour: "mysql", URL: server.URL(""), ServerID: 9000 + serial.Add(1)}
		if server.Flavour() == "mysql" {
			cfg.Flavour = "mariadb"
		}
		_, err := open(t, cfg, sourcetest.Selector{}).Head(t.Context(), sourcetest.Fresh())
		wantStop(t, err, "the server is M", "in place of "+cfg.Flavour)
	})
}

func TestAUserWhoMayNot(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		plugin := map[string]string{"mysql": "caching_sha2_password", "mariadb": "mysql_native_password"}[server.Flavour()]
		user := fmt.Sprintf("cdc%d", serial.Add(1))
		if err := server.CreateUser(t.Context(), user, plugin, "s3cret/:@?"); err != nil {
			t.Fatal(err)
		}
		cfg := db.config()
		cfg.URL = "mysql://" + user + "@" + server.Addr() + "/"
		read := func(t *testing.T) error {
			t.Helper()
			s, memory := open(t, cfg, db.selector(columns{"t": nil})), sourcetest.Fresh()
			head, err := s.Head(t.Context(), memory)
			if err != nil {
				return err
			}
			stream, err := s.Open(t.Context(), head, memory.Again())
			if err != nil {
				return err
			}
			defer stream.Close()
			db.run(t, fmt.Sprintf("INSERT INTO t VALUES (%d)", serial.Add(1)))
			var b source.Batch
			for len(b.Changes) == 0 {
				if err := stream.Next(t.Context(), &b); err != nil {
					return err
				}
			}
			return nil
		}
		wantFault(t, read(t), kafkasync.Wait, "refuses user "+user, "password")
		cfg.Password = "s3cret/:@?"
		wantFault(t, read(t), kafkasync.Wait, "GRANT REPLICATION SLAVE")
		grant := map[string]string{"mysql": "REPLICATION CLIENT", "mariadb": "BINLOG MONITOR"}[server.Flavour()]
		db.run(t, fmt.Sprintf("GRANT REPLICATION SLAVE, %s ON *.* TO '%s'@'%%'", grant, user), fmt.Sprintf("GRANT SELECT ON %s.* TO '%s'@'%%'", db.name, user))
		if err := read(t); err != nil {
			t.Errorf("with all that it needs: %v", err)
		}
	})
}

func TestAServerWithoutALogIsWaitedFor(t *testing.T) {
	onOwn(t, map[string]string{"skip_log_bin": "1"}, func(t *testing.T, server *devstack.MySQL) {
		_, err := open(t, mysql.Config{Flavour: server.Flavour(), URL: server.URL(""), ServerID: 7400}, sourcetest.Selector{}).Head(t.Context(), sourcetest.Fresh())
		wantFault(t, err, kafkasync.Wait, "writes no binary log", "log_bin")
	})
}

// MariaDB ends the older one of two readers with the same server_id, as of one that has come back.
func TestAnotherReaderWithOurServerIDStopsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		db := newDatabase(t, server, "CREATE TABLE t (id int PRIMARY KEY)")
		cfg := db.config()
		read := func() *tape {
			return db.follow(t, open(t, cfg, db.selector(columns{"t": nil})))
		}
		first, second := read(), read()
		db.run(t, "INSERT INTO t VALUES (1)")
		second.wants(t, "t c id=1")
		for len(first.lines) == 0 {
			if _, err := first.next(t); err != nil {
				if kafkasync.ClassOf(err) == kafkasync.Stop {
					t.Errorf("the older reader: got %v, want to try again", err)
				}
				break
			}
		}
	})
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("waited 20 s in vain")
		case <-tick.C:
		}
	}
}
