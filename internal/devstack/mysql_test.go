package devstack_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/kafkasync/kafkasync/internal/devstack"
)

// flavours are the two servers that are one to this package.
var flavours = map[string]struct {
	component devstack.Component
	start     func(t *testing.T, cfg devstack.MySQLConfig) (*devstack.MySQL, error)
	plugins   []string // that check passwords
}{
	"mysql": {
		devstack.ComponentMySQL,
		func(t *testing.T, cfg devstack.MySQLConfig) (*devstack.MySQL, error) {
			return devstack.StartMySQL(t.Context(), cfg)
		},
		[]string{"caching_sha2_password"},
	},
	"mariadb": {
		devstack.ComponentMariaDB,
		func(t *testing.T, cfg devstack.MySQLConfig) (*devstack.MySQL, error) {
			return devstack.StartMariaDB(t.Context(), cfg)
		},
		[]string{"mysql_native_password", "ed25519"},
	},
}

// startMySQL starts a server that ends with the test.
func startMySQL(t *testing.T, flavour string, cfg devstack.MySQLConfig) *devstack.MySQL {
	t.Helper()
	install(t, flavours[flavour].component)
	m, err := flavours[flavour].start(t, cfg)
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

// onBoth runs a test on a server of each flavour.
func onBoth(t *testing.T, cfg devstack.MySQLConfig, test func(t *testing.T, m *devstack.MySQL)) {
	t.Helper()
	for flavour := range flavours {
		t.Run(flavour, func(t *testing.T) { test(t, startMySQL(t, flavour, cfg)) })
	}
}

// ask returns the columns of a query's only row, with spaces between them.
func ask(t *testing.T, m *devstack.MySQL, sql string) string {
	t.Helper()
	rows, err := m.Query(t.Context(), "", sql)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 {
		t.Fatalf("%s: got %d rows, want 1", sql, len(rows))
	}
	return strings.Join(rows[0], " ")
}

func TestMySQLKeepsItsDataAndAddressOverEveryWayToStop(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		ctx := t.Context()
		if err := m.CreateDatabase(ctx, "shop"); err != nil {
			t.Fatal(err)
		}
		if err := m.Exec(ctx, "shop", "CREATE TABLE t (n INT PRIMARY KEY); INSERT INTO t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		addr, executed := m.Addr(), "SELECT @@gtid_executed"
		if m.Flavour() == "mariadb" {
			executed = "SELECT @@gtid_binlog_pos"
		}
		for name, again := range map[string]func() error{
			"stop":    func() error { return firstOf(m.Stop, func() error { return m.Start(ctx) }) },
			"restart": func() error { return m.Restart(ctx) },
			"kill":    func() error { return firstOf(m.Kill, func() error { return m.Start(ctx) }) },
		} {
			if err := m.Exec(ctx, "shop", "UPDATE t SET n = n + 1"); err != nil {
				t.Fatal(err)
			}
			rows, before := ask(t, m, "SELECT n FROM shop.t"), ask(t, m, executed)
			if err := again(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := ask(t, m, "SELECT n FROM shop.t"); got != rows || m.Addr() != addr {
				t.Errorf("%s: got %s at %s, want %s at %s", name, got, m.Addr(), rows, addr)
			}
			if got := ask(t, m, executed); got != before || before == "" {
				t.Errorf("%s: got GTIDs %q, want %q", name, got, before)
			}
		}
		if err := m.Start(ctx); err == nil || !strings.Contains(err.Error(), "running already") {
			t.Errorf("second start: got %v, want an error", err)
		}
	})
}

func TestMySQLTakesSettingsAndChecksEveryPassword(t *testing.T) {
	cfg := devstack.MySQLConfig{
		Settings: map[string]string{"binlog_row_image": "MINIMAL", "binlog_row_metadata": "MINIMAL", "init_connect": `SET @said = 'it''s "\ #1"'`},
		Password: `s3cret/@:'"\`,
	}
	onBoth(t, cfg, func(t *testing.T, m *devstack.MySQL) {
		if got := ask(t, m, "SELECT @@global.binlog_row_image, @@global.binlog_row_metadata, @@global.init_connect"); got != "MINIMAL MINIMAL "+cfg.Settings["init_connect"] {
			t.Errorf("got %q, want the settings", got)
		}
		users := map[string]string{"root": cfg.Password}
		for _, plugin := range flavours[m.Flavour()].plugins {
			users[plugin[:6]] = `it's \ "` + plugin
			if err := m.CreateUser(t.Context(), plugin[:6], plugin, users[plugin[:6]]); err != nil {
				t.Fatal(err)
			}
		}
		for user, password := range users {
			conn, err := m.ConnectAs(t.Context(), user, password, "")
			if err != nil {
				t.Errorf("%s: %v", user, err)
				continue
			}
			conn.Close()
			if _, err := m.ConnectAs(t.Context(), user, "guess", ""); err == nil || !strings.Contains(err.Error(), "Access denied") {
				t.Errorf("%s with another password: got %v, want that it is refused", user, err)
			}
		}
	})
}

func TestMySQLIsReadByItsOwnTools(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		if err := m.CreateDatabase(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		tool := map[string]string{"mysql": "mysqlbinlog", "mariadb": "mariadb-binlog"}[m.Flavour()]
		cmd, err := m.Command(t.Context(), tool, "data/binlog.000001")
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "CREATE DATABASE `shop`") {
			t.Errorf("got %s %v, want the statement", out, err)
		}
	})
}

func TestMySQLThatDoesNotStartShowsItsLog(t *testing.T) {
	for name, flavour := range flavours {
		install(t, flavour.component)
		_, err := flavour.start(t, devstack.MySQLConfig{Settings: map[string]string{"binlog_format": "sideways"}})
		if err == nil || !strings.Contains(err.Error(), "sideways") {
			t.Errorf("%s: got %v, want what the server said", name, err)
		}
	}
}

func TestMySQLInAGivenFolderComesBackAfterClose(t *testing.T) {
	for name := range flavours {
		// Its layout is another one than that of the folder which is copied; and there is no log.
		cfg := devstack.MySQLConfig{Dir: t.TempDir(), Password: "x", Settings: map[string]string{"innodb_page_size": "8192", "skip_log_bin": "1"}}
		first := startMySQL(t, name, cfg)
		if err := firstOf(func() error { return first.CreateDatabase(t.Context(), "kept") }, first.Close); err != nil {
			t.Fatal(err)
		}
		second := startMySQL(t, name, cfg)
		if got := ask(t, second, "SELECT schema_name, @@innodb_page_size, @@log_bin FROM information_schema.schemata WHERE schema_name = 'kept'"); got != "kept 8192 0" {
			t.Errorf("%s: got %q, want kept 8192 0", name, got)
		}
	}
}

func TestDropDatabaseEndsWhoUsesIt(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		ctx := t.Context()
		if err := m.CreateDatabase(ctx, "a`b"); err != nil {
			t.Fatal(err)
		}
		user, err := m.Connect(ctx, "a`b")
		if err != nil {
			t.Fatal(err)
		}
		defer user.Close()
		for _, sql := range []string{"CREATE TABLE t (n INT PRIMARY KEY)", "BEGIN", "INSERT INTO t VALUES (1)"} { // which locks the table's definition
			if _, err := user.Execute(sql); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.DropDatabase(ctx, "a`b"); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, m, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = 'a`b'"); got != "0" {
			t.Errorf("databases: got %s, want 0", got)
		}
	})
}

func TestMySQLWithTLSShowsItsCertificateAndTakesAClients(t *testing.T) {
	cfg := devstack.MySQLConfig{TLS: []string{"127.0.0.1"}, Settings: map[string]string{"require_secure_transport": "ON"}}
	onBoth(t, cfg, func(t *testing.T, m *devstack.MySQL) {
		// Query is a client that checks the certificate against the authority and the name.
		if got := ask(t, m, "SHOW SESSION STATUS LIKE 'Ssl_version'"); !strings.HasPrefix(got, "Ssl_version TLSv1.") {
			t.Errorf("got %q, want TLS", got)
		}
		if err := m.Exec(t.Context(), "", "CREATE USER cdc@'%' REQUIRE SUBJECT '/CN=cdc'"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.ConnectAs(t.Context(), "cdc", "", ""); err == nil {
			t.Error("got a connection without a client certificate")
		}
		config, err := m.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		certFile, keyFile, err := m.ClientCertificate("cdc")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{cert}
		conn, err := client.Connect(m.Addr(), "cdc", "", "", func(c *client.Conn) error {
			c.SetTLSConfig(config)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		plain, err := client.Connect(m.Addr(), "cdc", "", "")
		if err == nil {
			plain.Close()
			t.Error("got a connection without TLS")
		}
	})
}

func TestMySQLWithoutTLSTakesNone(t *testing.T) {
	onBoth(t, devstack.MySQLConfig{}, func(t *testing.T, m *devstack.MySQL) {
		_, err := client.Connect(m.Addr(), "root", "", "", func(c *client.Conn) error {
			c.UseSSL(true)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "does not support TLS") {
			t.Errorf("got %v, want that it takes no TLS", err)
		}
	})
}
