package mysql_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// database is a database of the test's own.
type database struct {
	server *devstack.MySQL
	name   string
	conn   *client.Conn
}

// serial numbers the readers: two with one server_id would end one another.
var serial atomic.Uint32

func newDatabase(t *testing.T, server *devstack.MySQL, schema ...string) *database {
	t.Helper()
	db := &database{server: server, name: devtest.DatabaseOnMySQL(t, server)}
	db.connect(t)
	db.run(t, schema...)
	return db
}

func (db *database) connect(t *testing.T) {
	t.Helper()
	conn, err := db.server.Connect(t.Context(), db.name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	db.conn = conn
}

func (db *database) run(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.conn.ExecuteMultiple(statement, func(_ *gomysql.Result, err error) {
			if err != nil {
				t.Fatalf("%.200s: %v", statement, err)
			}
		})
		if err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}
}

func (db *database) config() mysql.Config {
	return mysql.Config{Flavour: db.server.Flavour(), URL: db.server.URL(""), ServerID: 9000 + serial.Add(1)}
}

func (db *database) open(t *testing.T, selector source.Selector) *mysql.Source {
	t.Helper()
	return open(t, db.config(), selector)
}

func open(t *testing.T, cfg mysql.Config, selector source.Selector) *mysql.Source {
	t.Helper()
	s, err := mysql.New(cfg, mysql.Options{
		Pipeline: "shop", Application: "kafkasync test", Selector: selector, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prefix is what names of tables begin with.
func (db *database) prefix() string { return db.name + "." }

func (db *database) suite() sourcetest.Selector { return sourcetest.Selector{Prefix: db.prefix()} }

func (db *database) Source(t *testing.T) source.Source       { return db.open(t, db.suite()) }
func (db *database) Exec(t *testing.T, tx sourcetest.Tx)     { db.transact(t, tx, "COMMIT") }
func (db *database) Rollback(t *testing.T, tx sourcetest.Tx) { db.transact(t, tx, "ROLLBACK") }

func (db *database) transact(t *testing.T, tx sourcetest.Tx, end string) {
	t.Helper()
	db.run(t, "BEGIN")
	for _, step := range tx {
		db.run(t, step.SQL())
	}
	db.run(t, end)
}

// flavours are the servers that the tests of both run on.
var flavours = map[string]func(testing.TB) *devstack.MySQL{"MySQL": devtest.MySQL, "MariaDB": devtest.MariaDB}

func onBoth(t *testing.T, test func(t *testing.T, server *devstack.MySQL)) {
	t.Helper()
	for name, server := range flavours {
		t.Run(name, func(t *testing.T) { test(t, server(t)) })
	}
}

// ownServer starts a server that the test stops, restarts and configures.
func ownServer(t *testing.T, flavour string, settings map[string]string) *devstack.MySQL {
	t.Helper()
	return ownServerWith(t, flavour, devstack.MySQLConfig{Settings: settings})
}

func ownServerWith(t *testing.T, flavour string, cfg devstack.MySQLConfig) *devstack.MySQL {
	t.Helper()
	flavours[flavour](t) // installs it, and knows about -short
	start := devstack.StartMySQL
	if flavour == "MariaDB" {
		start = devstack.StartMariaDB
	}
	m, err := start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func onOwn(t *testing.T, settings map[string]string, test func(t *testing.T, server *devstack.MySQL)) {
	t.Helper()
	for name := range flavours {
		t.Run(name, func(t *testing.T) { test(t, ownServer(t, name, settings)) })
	}
}

func TestMySQLIsASource(t *testing.T)   { conform(t, devtest.MySQL(t)) }
func TestMariaDBIsASource(t *testing.T) { conform(t, devtest.MariaDB(t)) }

func TestAServerOfAGaleraClusterIsASource(t *testing.T) {
	conform(t, ownServer(t, "MariaDB", map[string]string{"wsrep_on": "ON", "wsrep_gtid_mode": "ON", "wsrep_gtid_domain_id": "7"}))
}

func TestMySQLWithoutGTIDsIsASource(t *testing.T) {
	conform(t, ownServer(t, "MySQL", map[string]string{"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}))
}

// conform runs the suite that defines a source, on a server. Each of its databases has a name of its
// own, which the suite has to be told before there is one.
func conform(t *testing.T, server *devstack.MySQL) {
	t.Helper()
	name := "conform_" + strconv.Itoa(int(serial.Add(1)))
	sourcetest.Run(t, sourcetest.Harness{
		New: func(t *testing.T) sourcetest.Database {
			if err := server.CreateDatabase(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
				defer cancel()
				if err := server.DropDatabase(ctx, name); err != nil {
					t.Error(err)
				}
			})
			db := &database{server: server, name: name}
			db.connect(t)
			db.run(t, sourcetest.Schema()...)
			return db
		},
		Prefix:     name + ".",
		MaxChanges: source.MaxBatchChanges,
		IdleWithin: 30 * time.Second,
	})
}
