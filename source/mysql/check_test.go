package mysql_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/mysql"
)

// The severities of a problem.
const (
	fails = kafkasync.SeverityError
	warns = kafkasync.SeverityWarning
)

// spelt is a flavour as people write it.
func spelt(flavour string) string {
	return map[string]string{mysql.MySQL: "MySQL", mysql.MariaDB: "MariaDB"}[flavour]
}

// patient is a server that is checked: with a user of the least privilege, a database with a
// table, and rules for it.
type patient struct {
	server   *devstack.MySQL
	database string
	user     string
	cfg      mysql.Config
	rules    rules
	options  mysql.CheckOptions
}

// rules is a Selector with what Check asks for beyond it.
type rules struct {
	payload map[string][]string // by table; nil: the primary key
	key     map[string][]string
	match   []string // literal matches
}

func (r rules) Captures(table string) bool { _, ok := r.payload[table]; return ok }

func (r rules) Columns(table string, columns, primaryKey []string) ([]string, error) {
	key := r.Key(table, primaryKey)
	if len(key) == 0 {
		return nil, fmt.Errorf("%s has no key", table)
	}
	wanted := slices.Clone(key)
	for _, name := range r.payload[table] {
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	for _, name := range wanted {
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("%s has no column %s", table, name)
		}
	}
	return wanted, nil
}

func (r rules) Key(table string, primaryKey []string) []string {
	if key := r.key[table]; key != nil {
		return key
	}
	return primaryKey
}

func (r rules) Mentions(table string) bool { return r.Captures(table) }

func (r rules) Unmatched(tables []string) []string {
	return slices.DeleteFunc(slices.Clone(r.match), func(m string) bool { return slices.Contains(tables, m) })
}

// admit makes a database of a server a patient in good health.
func admit(t *testing.T, server *devstack.MySQL) *patient {
	t.Helper()
	p := &patient{server: server, database: devtest.DatabaseOnMySQL(t, server)}
	id, _, _ := strings.Cut(p.database, "_")
	p.user = "cdc_" + id
	plugin, monitor := "caching_sha2_password", "REPLICATION CLIENT"
	if server.Flavour() == mysql.MariaDB {
		plugin, monitor = "mysql_native_password", "BINLOG MONITOR, REPLICATION MASTER ADMIN, REPLICA MONITOR"
	}
	if err := server.CreateUser(t.Context(), p.user, plugin, "secret"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.do(t, "DROP USER "+p.user) })
	p.do(t, fmt.Sprintf(`GRANT REPLICATION SLAVE, %s ON *.* TO %s; GRANT SELECT ON %s.* TO %[2]s;
		CREATE TABLE products (id BIGINT PRIMARY KEY, name VARCHAR(50), note TEXT, extra JSON)`, monitor, p.user, p.database))
	p.cfg = mysql.Config{
		Flavour: server.Flavour(), URL: "mysql://" + p.user + "@" + server.Addr() + "/?tls=disabled", Password: "secret", ServerID: 1 << 30,
	}
	p.options = mysql.CheckOptions{Pipeline: "shop", Application: "kafkasync test/shop"}
	p.rules = rules{payload: map[string][]string{p.table("products"): nil}}
	return p
}

func (p *patient) table(name string) string { return p.database + "." + name }

// do runs SQL as root.
func (p *patient) do(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := p.server.Exec(ctx, p.database, sql); err != nil {
		t.Fatalf("running %q: %v", sql, err)
	}
}

func (p *patient) check(t testing.TB) []kafkasync.Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return mysql.Check(ctx, p.cfg, p.rules, p.options)
}

// problems are the findings that are not ok.
func (p *patient) problems(t testing.TB) []kafkasync.Finding {
	t.Helper()
	return slices.DeleteFunc(p.check(t), func(f kafkasync.Finding) bool { return f.Severity == kafkasync.SeverityOK })
}

// diagnosed returns the problem of that id that says what.
func (p *patient) diagnosed(t testing.TB, severity kafkasync.Severity, id, what string) kafkasync.Finding {
	t.Helper()
	return pick(t, p.problems(t), severity, id, what)
}

func pick(t testing.TB, all []kafkasync.Finding, severity kafkasync.Severity, id, what string) kafkasync.Finding {
	t.Helper()
	for _, f := range all {
		if f.ID == id && f.Severity == severity && strings.Contains(f.What, what) {
			if f.Fix == "" || f.Why == "" {
				t.Fatalf("got %+v, want a reason and a fix", f)
			}
			return f
		}
	}
	t.Fatalf("got %+v, want %s %s %q", all, severity, id, what)
	return kafkasync.Finding{}
}

// statement is the SQL that a fix begins with: remarks follow.
func statement(fix string) string {
	sql, _, _ := strings.Cut(fix, " -- ")
	return sql
}

func TestAHealthyServerShowsWhatWasLookedAt(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		p.do(t, "CREATE TABLE other (id INT PRIMARY KEY)")
		var ids []string
		for _, f := range p.check(t) {
			if f.Severity != kafkasync.SeverityOK && f.ID != "M31" { // other tests of this server prepare some
				t.Errorf("got %+v, want no problem", f)
			}
			if f.ID == "T02" && !strings.Contains(f.What, p.table("other")) {
				t.Errorf("got %q, want the table without a rule named", f.What)
			}
			ids = append(ids, f.ID)
		}
		want := []string{
			"M02", "M01", "M26", "M28", "M29", "M03", "M04", "M06", "M09", "M08", "M13", "M11", "M10", "M25", "M31",
			"T01", "T02", "M20", "T03", "M21", "M22", "M05", "M07", "M23", "M32", "M15", "M16", "M18", "M19",
		}
		if server.Flavour() == mysql.MariaDB {
			for mine, other := range map[string]string{"M06": "R02", "M08": "R03", "M23": "R09"} {
				want[slices.Index(want, mine)] = other
			}
			want = append(want, "R05")
		}
		slices.Sort(ids)
		slices.Sort(want)
		if !slices.Equal(ids, want) {
			t.Errorf("got %v, want %v", ids, want)
		}
	})
}

// illness is a state of a server that a finding names, and what it prints cures.
type illness struct {
	name     string
	only     string // the flavour that can have it; "": both
	cause    string // SQL; %[1]s is our user, %[2]s the database
	rules    func(*patient)
	severity kafkasync.Severity
	id, what string
	cure     string // where the fix is none to be run as it is
}

func TestEachMissingPrivilegeIsGrantedByTheStatementThatItPrints(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		for _, c := range []illness{
			{name: "the user may not read the log", cause: "REVOKE REPLICATION SLAVE ON *.* FROM %[1]s", severity: fails, id: "M19", what: "REPLICATION SLAVE"},
			{name: "the user may not ask for the end of the log", only: "mysql", cause: "REVOKE REPLICATION CLIENT ON *.* FROM %[1]s", severity: fails, id: "M19", what: "REPLICATION CLIENT"},
			{name: "the user may not ask for the end of the log of a MariaDB", only: "mariadb", cause: "REVOKE BINLOG MONITOR ON *.* FROM %[1]s", severity: fails, id: "M19", what: "BINLOG MONITOR"},
			{name: "the user sees no table", cause: "REVOKE SELECT ON %[2]s.* FROM %[1]s", severity: fails, id: "T01", what: "sees no table"},
		} {
			if c.only == "" || c.only == server.Flavour() {
				t.Run(c.name, func(t *testing.T) { admit(t, server).suffer(t, c) })
			}
		}
	})
}

// All of them at once: a look takes a second.
func TestEachProblemOfTheTablesIsCuredByTheStatementThatItPrints(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		capture := func(table string, payload ...string) func(*patient) {
			return func(p *patient) { p.rules.payload[p.table(table)] = payload }
		}
		p.rules.key = map[string][]string{p.table("nullable"): {"a"}}
		p.rules.match = []string{p.table("product_s"), p.table("v")}
		all := slices.DeleteFunc([]illness{
			{name: "a rule names no table", severity: fails, id: "T01", what: "there is no table", cure: "CREATE TABLE product_s (id INT PRIMARY KEY)"},
			{
				name: "a rule names a view", cause: "CREATE VIEW v AS SELECT 1",
				severity: fails, id: "M20", what: "is a view", cure: "DROP VIEW v; CREATE TABLE v (id INT PRIMARY KEY)",
			},
			{name: "no key", cause: "CREATE TABLE keyless (a INT)", rules: capture("keyless"), severity: fails, id: "T03", what: "keyless has no key"},
			{
				name: "a key that is not primary", cause: "CREATE TABLE notes (a INT NULL, b INT NOT NULL, UNIQUE (a), UNIQUE (b))",
				rules: capture("notes"), severity: fails, id: "T03", what: "notes has no key",
			},
			{
				name: "a column that is not there", rules: capture("products", "title"), severity: fails, id: "T03", what: "no column title",
				cure: "ALTER TABLE products ADD COLUMN title INT",
			},
			{name: "a key that may be NULL", cause: "CREATE TABLE nullable (a INT, b INT PRIMARY KEY)", rules: capture("nullable"), severity: fails, id: "M21", what: "may be NULL"},
			{name: "MyISAM", cause: "CREATE TABLE old (a INT PRIMARY KEY) ENGINE=MyISAM", rules: capture("old"), severity: warns, id: "M20", what: "MyISAM"},
			{name: "MEMORY", cause: "CREATE TABLE fleeting (a INT PRIMARY KEY) ENGINE=MEMORY", rules: capture("fleeting"), severity: warns, id: "M20", what: "in memory"},
			{
				name: "a key that ignores case", cause: "CREATE TABLE folded (a VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY)",
				rules: capture("folded"), severity: warns, id: "M22", what: "utf8mb4_general_ci",
			},
			{name: "a floating key", cause: "CREATE TABLE floating (a DOUBLE PRIMARY KEY)", rules: capture("floating"), severity: warns, id: "M22", what: "double"},
			{
				name: "a compressed column", only: mysql.MariaDB, cause: "CREATE TABLE dense (id INT PRIMARY KEY, a TEXT COMPRESSED)",
				rules: capture("dense", "a"), severity: fails, id: "R05", what: "COMPRESSED",
			},
			{
				name: "a table with its past", only: mysql.MariaDB, cause: "CREATE TABLE dated (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
				rules: capture("dated"), severity: warns, id: "R10", what: "system-versioned", cure: "ALTER TABLE dated DROP SYSTEM VERSIONING",
			},
			{
				name: "a foreign key that deletes", only: mysql.MariaDB, severity: warns, id: "R09", what: "of_product", rules: capture("parts"),
				cause: "CREATE TABLE parts (id INT PRIMARY KEY, product BIGINT, " +
					"CONSTRAINT of_product FOREIGN KEY (product) REFERENCES products (id) ON DELETE CASCADE ON UPDATE SET NULL)",
			},
		}, func(c illness) bool { return c.only != "" && c.only != server.Flavour() })
		for _, c := range all {
			if c.cause != "" {
				p.do(t, c.cause)
			}
			if c.rules != nil {
				c.rules(p)
			}
		}
		found := p.problems(t)
		for _, c := range all {
			f := pick(t, found, c.severity, c.id, c.what)
			if c.cure == "" {
				c.cure = statement(f.Fix)
			}
			p.do(t, c.cure)
		}
		if strays := len(found) - len(all); strays != 0 && !slices.ContainsFunc(found, func(f kafkasync.Finding) bool { return f.ID == "M31" }) {
			t.Errorf("got %+v, want %d problems", found, len(all))
		}
		p.only(t)
	})
}

// suffer makes the patient ill, has that diagnosed, and cures it.
func (p *patient) suffer(t *testing.T, c illness) {
	t.Helper()
	if c.cause != "" {
		p.do(t, p.named(c.cause))
	}
	if c.rules != nil {
		c.rules(p)
	}
	found := p.diagnosed(t, c.severity, c.id, c.what)
	p.do(t, statement(found.Fix))
	// What other tests have prepared on this server stays counted.
	if left := slices.DeleteFunc(p.problems(t), func(f kafkasync.Finding) bool { return f.ID == "M31" }); len(left) > 0 {
		t.Fatalf("after %q: got %+v, want no problem", found.Fix, left)
	}
}

func (p *patient) named(sql string) string {
	return strings.NewReplacer("%[1]s", p.user, "%[2]s", p.database).Replace(sql)
}

func TestEachSettingOfTheServerIsCuredByTheStatementThatItPrints(t *testing.T) {
	payload := func(columns ...string) func(*patient) {
		return func(p *patient) { p.rules.payload[p.table("products")] = columns }
	}
	name := func(p *patient) { p.rules.key = map[string][]string{p.table("products"): {"name"}} }
	onOwn(t, nil, func(t *testing.T, server *devstack.MySQL) {
		t.Parallel()
		for _, c := range []illness{
			{name: "statements", cause: "SET GLOBAL binlog_format = STATEMENT", severity: fails, id: "M04", what: "STATEMENT"},
			{name: "mixed", cause: "SET GLOBAL binlog_format = MIXED", severity: fails, id: "M04", what: "MIXED"},
			{name: "no metadata", only: mysql.MySQL, cause: "SET GLOBAL binlog_row_metadata = MINIMAL", severity: warns, id: "M06", what: "MINIMAL"},
			{name: "no metadata of a MariaDB", only: mysql.MariaDB, cause: "SET GLOBAL binlog_row_metadata = NO_LOG", severity: warns, id: "R02", what: "NO_LOG"},
			{name: "minimal rows without a payload", cause: "SET GLOBAL binlog_row_image = MINIMAL", rules: payload("name"), severity: warns, id: "M05", what: "column name"},
			{
				name: "minimal rows without a key", cause: "SET GLOBAL binlog_row_image = MINIMAL; ALTER TABLE products MODIFY name VARBINARY(50) NOT NULL",
				rules: name, severity: fails, id: "M05", what: "key column name",
			},
			{name: "rows without large columns", cause: "SET GLOBAL binlog_row_image = NOBLOB", rules: payload("name", "note"), severity: warns, id: "M05", what: "column note"},
			{name: "parts of documents", only: mysql.MySQL, cause: "SET GLOBAL binlog_row_value_options = PARTIAL_JSON", rules: payload("extra"), severity: fails, id: "M07", what: "column extra"},
			{
				name: "no GTIDs", only: mysql.MySQL, cause: "SET GLOBAL gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = OFF",
				severity: warns, id: "M08", what: "gtid_mode",
			},
			{name: "numbers that go back", only: mysql.MariaDB, cause: "SET GLOBAL gtid_strict_mode = OFF", severity: warns, id: "R03", what: "gtid_strict_mode"},
			{name: "a log of two days", cause: "SET GLOBAL binlog_expire_logs_seconds = 172800", severity: warns, id: "M13", what: "48h0m0s only"},
			{name: "a log of a minute", cause: "SET GLOBAL binlog_expire_logs_seconds = 60", severity: fails, id: "M13", what: "1m0s only"},
		} {
			if c.only == "" || c.only == server.Flavour() {
				t.Run(c.name, func(t *testing.T) { admit(t, server).suffer(t, c) })
			}
		}
	})
}

func TestWhatOnlyAStartOfTheServerChangesIsTold(t *testing.T) {
	hidden := illness{
		severity: fails, id: "M15", what: "hidden.notes",
		cause: "CREATE DATABASE hidden; CREATE TABLE hidden.notes (id INT PRIMARY KEY); GRANT SELECT ON hidden.* TO %[1]s",
		rules: func(p *patient) { p.rules.payload["hidden.notes"] = nil },
	}
	for _, c := range []struct {
		flavour  string
		settings map[string]string
		has      []illness
	}{
		{mysql.MySQL, map[string]string{"skip_log_bin": "1"}, []illness{{severity: fails, id: "M03", what: "writes no binary log"}}},
		{mysql.MariaDB, map[string]string{"skip_log_bin": "1"}, []illness{{severity: fails, id: "M03", what: "writes no binary log"}}},
		{mysql.MySQL, map[string]string{"server_id": "0"}, []illness{{severity: fails, id: "M09", what: "server_id"}}},
		{mysql.MariaDB, map[string]string{"binlog_ignore_db": "hidden"}, []illness{hidden}},
		{mysql.MariaDB, map[string]string{"wsrep_on": "ON", "log_slave_updates": "OFF"}, []illness{
			{severity: fails, id: "R08", what: "log_slave_updates"}, {severity: warns, id: "R08", what: "wsrep_gtid_mode"},
		}},
		{mysql.MySQL, map[string]string{"binlog_ignore_db": "hidden", "gtid_mode": "OFF", "innodb_native_foreign_keys": "ON"}, []illness{
			hidden,
			{
				severity: fails, id: "M08", what: "gtid_mode", // and two hosts
				rules: func(p *patient) { p.cfg.URL = strings.Replace(p.cfg.URL, "@", "@127.0.0.1:1,", 1) },
			},
			{
				severity: warns, id: "M23", what: "of_product",
				cause: "CREATE TABLE parts (id INT PRIMARY KEY, product BIGINT, CONSTRAINT of_product FOREIGN KEY (product) REFERENCES products (id) ON DELETE CASCADE)",
				rules: func(p *patient) { p.rules.payload[p.table("parts")] = nil },
			},
		}},
	} {
		t.Run(fmt.Sprint(c.flavour, c.settings), func(t *testing.T) {
			p := admit(t, ownServer(t, spelt(c.flavour), c.settings))
			for _, one := range c.has {
				if one.cause != "" {
					p.do(t, p.named(one.cause))
				}
				if one.rules != nil {
					one.rules(p)
				}
			}
			all := p.problems(t)
			for _, one := range c.has {
				pick(t, all, one.severity, one.id, one.what)
			}
		})
	}
}

func TestAWrongServerIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		p.cfg.Password = "wrong"
		if found := p.diagnosed(t, fails, "M19", "refuses user"); !strings.Contains(found.Fix, "password") || strings.Contains(found.Why+found.What, "wrong") {
			t.Errorf("got %+v, want what to correct, without the password", found)
		}
		p.cfg.Password = "secret"
		p.cfg.Flavour = map[string]string{mysql.MySQL: mysql.MariaDB, mysql.MariaDB: mysql.MySQL}[server.Flavour()]
		if found := p.problems(t); len(found) != 1 || found[0].ID != "M02" || !strings.Contains(found[0].Fix, "write "+server.Flavour()) {
			t.Errorf("got %+v, want M02 alone", found)
		}
		p.cfg.Flavour, p.cfg.URL = server.Flavour(), "mysql://cdc@127.0.0.1:1/"
		if found := p.problems(t); len(found) != 1 || found[0].ID != "M19" || !strings.Contains(found[0].What, "nothing listens") {
			t.Errorf("got %+v, want M19 alone", found)
		}
	})
}

func TestABalancerIsTold(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, other *devstack.MySQL) {
		server := flavours[spelt(other.Flavour())](t)
		p := admit(t, server)
		if err := other.CreateUser(t.Context(), p.user, map[string]string{mysql.MySQL: "caching_sha2_password", mysql.MariaDB: "mysql_native_password"}[other.Flavour()], "secret"); err != nil {
			t.Fatal(err)
		}
		balancer := newWire(t, server.Addr(), other.Addr())
		p.cfg.URL = strings.Replace(p.cfg.URL, server.Addr(), balancer.addr(), 1)
		p.diagnosed(t, fails, "M29", "lead to two servers")
		p.cfg.URL = strings.Replace(p.cfg.URL, balancer.addr(), newWire(t, server.Addr()).addr(), 1)
		p.only(t)
	})
}

func TestAClockThatIsWrongIsTold(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		p.only(t)
		for _, wrong := range []string{"+ 100", "- 100"} {
			// What the server runs for whoever connects and is no administrator.
			p.do(t, "SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() "+wrong+"'")
			p.diagnosed(t, warns, "M28", "differ by 1m")
		}
		p.do(t, "SET GLOBAL init_connect = ''")
		p.only(t)
	})
}

func TestWhetherTheConnectionIsEncryptedIsTold(t *testing.T) {
	p := admit(t, ownServerWith(t, "MySQL", devstack.MySQLConfig{TLS: []string{"127.0.0.1"}}))
	for url, want := range map[string]string{"?tls=disabled": "the connection is not encrypted", "?tls=required": "the connection is encrypted"} {
		p.cfg.URL = "mysql://" + p.user + "@" + p.server.Addr() + "/" + url
		i := slices.IndexFunc(p.check(t), func(f kafkasync.Finding) bool { return f.ID == "M26" })
		if i < 0 || p.check(t)[i].What != want {
			t.Errorf("%s: got %+v, want %s", url, p.check(t), want)
		}
	}
}

// RDS has a table and a procedure in place of the server's settings.
func TestHowLongRDSKeepsItsLogIsTold(t *testing.T) {
	p := admit(t, ownServer(t, "MySQL", nil))
	p.do(t, `CREATE TABLE mysql.rds_configuration (name VARCHAR(100) PRIMARY KEY, value VARCHAR(100)); INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL);
		CREATE PROCEDURE mysql.rds_set_configuration (n VARCHAR(100), v INT) UPDATE mysql.rds_configuration SET value = v WHERE name = n;
		GRANT SELECT ON mysql.rds_configuration TO `+p.user)
	p.suffer(t, illness{severity: fails, id: "M14", what: "throws its log away"})
	p.suffer(t, illness{severity: warns, id: "M14", what: "12 hours only", cause: "CALL mysql.rds_set_configuration('binlog retention hours', 12)"})
}

func TestWhetherAServerWaitsForAReplicaIsTold(t *testing.T) {
	onOwn(t, nil, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		prefix := map[string]string{mysql.MySQL: "rpl_semi_sync_source", mysql.MariaDB: "rpl_semi_sync_master"}[server.Flavour()]
		told := func(want string) {
			t.Helper()
			all := p.check(t)
			if !slices.ContainsFunc(all, func(f kafkasync.Finding) bool {
				return f.ID == "M33" && f.Severity == kafkasync.SeverityOK && strings.Contains(f.What, want)
			}) {
				t.Errorf("got %+v, want M33 to say %q", all, want)
			}
		}
		p.only(t) // which of one server is of no interest
		p.cfg.URL = strings.Replace(p.cfg.URL, "@", "@127.0.0.1:1,", 1)
		told("does not wait for a replica")
		p.do(t, "SET GLOBAL "+prefix+"_wait_point = AFTER_COMMIT; SET GLOBAL "+prefix+"_enabled = ON")
		defer p.do(t, "SET GLOBAL "+prefix+"_enabled = OFF") // before something waits for a replica
		p.do(t, statement(p.diagnosed(t, warns, "M33", "commits before it waits").Fix))
		told("only when a replica has it")
	})
}

func TestAServerIDThatIsTakenIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		rows, err := server.Query(t.Context(), "", "SELECT @@global.server_id")
		if err != nil {
			t.Fatal(err)
		}
		var id uint32
		if _, err := fmt.Sscan(rows[0][0], &id); err != nil {
			t.Fatal(err)
		}
		p.cfg.ServerID, p.options.Nodes = id-2, 3
		p.diagnosed(t, fails, "M10", "the server itself")
		p.options.Nodes = 2
		p.only(t)

		// A reader with the id, under our name and under another.
		taken := p.cfg.ServerID + 1
		ours := p.read(t, taken, "kafkasync test/shop")
		p.only(t)
		ours.Close()
		p.read(t, taken, "kafkasync other/shop")
		p.diagnosed(t, fails, "M10", `"kafkasync other/shop"`)
	})
}

// read has the log read under an id and a name, until the test ends.
func (p *patient) read(t *testing.T, id uint32, name string) *replication.BinlogSyncer {
	t.Helper()
	host, port, err := net.SplitHostPort(p.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	reader := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: id, Flavor: p.server.Flavour(), Host: host, Port: uint16(number), User: p.user, Password: "secret", Localhost: name,
		Logger: slog.New(slog.DiscardHandler),
	})
	if _, err := reader.StartSync(gomysql.Position{Pos: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return reader
}

// only asserts that nothing is wrong but what other tests of the server leave behind.
func (p *patient) only(t *testing.T) {
	t.Helper()
	if left := slices.DeleteFunc(p.problems(t), func(f kafkasync.Finding) bool { return f.ID == "M31" }); len(left) > 0 {
		t.Errorf("got %+v, want no problem", left)
	}
}

func TestACheckpointIsComparedWithWhatTheServerHas(t *testing.T) {
	for _, flavour := range []string{mysql.MySQL, mysql.MariaDB} {
		t.Run(flavour, func(t *testing.T) {
			p := admit(t, ownServer(t, spelt(flavour), nil))
			var at source.Position
			p.options.Checkpoint = func(context.Context) (source.Position, error) { return at, nil }
			p.only(t)
			at = map[string]source.Position{
				mysql.MySQL: "mysql:3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23", mysql.MariaDB: "mariadb:0-77-100000",
			}[flavour]
			found := p.diagnosed(t, fails, "M16", "")
			if !strings.Contains(found.Fix, "kafkasync recover shop --new-slot") {
				t.Errorf("got %+v, want the way out", found)
			}
			at = source.Position("nonsense")
			if f := p.problems(t); len(f) != 1 || f[0].ID != "M16" || !strings.Contains(f[0].What, "want mysql:") {
				t.Errorf("got %+v, want a position that cannot be read", f)
			}
		})
	}
}

func TestAReplicaHasToLogWhatItGets(t *testing.T) {
	for _, flavour := range []string{mysql.MySQL, mysql.MariaDB} {
		t.Run(flavour, func(t *testing.T) {
			primary := ownServer(t, spelt(flavour), nil)
			p := admit(t, primary)
			replica, err := primary.Replica(t.Context(), devstack.MySQLConfig{Settings: map[string]string{
				map[string]string{mysql.MySQL: "log_replica_updates", mysql.MariaDB: "log_slave_updates"}[flavour]: "OFF",
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := replica.Close(); err != nil {
					t.Error(err)
				}
			})
			p.cfg.URL = strings.Replace(p.cfg.URL, primary.Addr(), replica.Addr(), 1)
			p.diagnosed(t, fails, "M11", "does not log what it gets")

			p.cfg.URL = strings.Replace(p.cfg.URL, replica.Addr(), replica.Addr()+","+primary.Addr(), 1)
			p.diagnosed(t, fails, "M11", "the standby at "+replica.Addr())
			p.cfg.URL = strings.Replace(p.cfg.URL, ","+primary.Addr(), ",127.0.0.1:1", 1)
			p.diagnosed(t, fails, "M19", "nothing listens")
		})
	}
}

func TestXATransactionsAreNamed(t *testing.T) {
	p := admit(t, ownServer(t, spelt(mysql.MySQL), nil))
	p.do(t, "XA START 'one'; INSERT INTO products (id) VALUES (1); XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one'")
	p.diagnosed(t, warns, "M31", "1 were prepared")
}

func TestAUserWhoMayDoEverythingIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, server *devstack.MySQL) {
		p := admit(t, server)
		p.do(t, "GRANT ALL PRIVILEGES ON *.* TO "+p.user)
		i := slices.IndexFunc(p.check(t), func(f kafkasync.Finding) bool {
			return f.ID == "M32" && strings.Contains(f.What, "may do everything") && f.Fix != ""
		})
		if i < 0 {
			t.Errorf("got %+v, want M32 with what would be enough", p.check(t))
		}
	})
}
