package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kafkasync/kafkasync"
)

const (
	fails = kafkasync.SeverityError
	warns = kafkasync.SeverityWarning
)

func TestEachProblemOfTheServerIsCuredByTheStatementThatItPrints(t *testing.T) {
	s := ownServer(t, nil)
	p := admit(t, s.url("postgres"))
	p.healthy(t)
	hold := func(*testing.T) func() { return func() {} }
	for _, c := range []struct {
		name     string
		cause    string
		restart  bool // the setting needs it, and so does the fix
		hold     func(*testing.T) func()
		severity kafkasync.Severity
		id, what string
	}{
		{"no limit to the log", "ALTER SYSTEM SET max_slot_wal_keep_size = -1;", false, hold, warns, "P20", "no limit"},
		{"a low limit to the log", "ALTER SYSTEM SET max_slot_wal_keep_size = '100MB';", false, hold, warns, "P20", "only 100 MB"},
		{"wal_level", "ALTER SYSTEM SET wal_level = 'replica';", true, hold, fails, "P02", "wal_level is replica"},
		{
			"no free slot", "SELECT pg_create_logical_replication_slot('other', 'test_decoding'); ALTER SYSTEM SET max_replication_slots = 1;",
			true, hold, fails, "P03", "all 1 replication slots",
		},
		{
			"no free walsender", "ALTER SYSTEM SET max_wal_senders = 1;", true,
			func(t *testing.T) func() { return replica(t, s.url("postgres"), "true") }, fails, "P03", "all 1 walsenders",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			apply := func(statement string) {
				p.do(t, statement+"\nSELECT pg_reload_conf();")
				if c.restart {
					s.restart(t)
				}
			}
			apply(c.cause)
			release := c.hold(t)
			fix := p.diagnosed(t, c.severity, c.id, c.what).Fix
			release()
			apply(fix)
			eventually(t, func() bool { return len(p.problems(t)) == 0 })
		})
	}
}

// replica opens a replication connection of the kind and returns what closes it.
func replica(t *testing.T, url, kind string) func() {
	t.Helper()
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["replication"] = kind
	cfg.RuntimeParams["application_name"] = "another"
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(context.WithoutCancel(t.Context())) }
}

// eventually waits for what the server does in its own time.
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

func TestAnOpenTransactionIsNamedAsLongAsTheSlotIsMissing(t *testing.T) {
	s := ownServer(t, map[string]string{"max_prepared_transactions": "4"})
	p := admit(t, s.url("postgres"))
	write := func(conn *pgx.Conn, sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(t.Context(), p.adminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()

	write(conn, "BEGIN; INSERT INTO products VALUES (1, 'a'); PREPARE TRANSACTION 'it''s mine';")
	fix := p.diagnosed(t, warns, "P27", "prepared transaction it's mine").Fix
	p.do(t, fix)
	p.healthy(t)

	write(conn, "BEGIN; SELECT count(*) FROM products;") // only reading holds nothing up
	p.healthy(t)
	write(conn, "SAVEPOINT s; INSERT INTO products VALUES (1, 'a');")
	fix = p.diagnosed(t, warns, "P27", fmt.Sprintf("process %d", conn.PgConn().PID())).Fix

	p.do(t, fmt.Sprintf("CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);"+
		"SELECT pg_create_physical_replication_slot('%s');", p.cfg.Slot))
	for _, f := range p.check(t) {
		if f.ID == "P27" {
			t.Errorf("got %+v although the slot exists", f)
		}
	}
	p.do(t, fmt.Sprintf("SELECT pg_drop_replication_slot('%s');", p.cfg.Slot))
	p.do(t, fix)
	eventually(t, func() bool { return len(p.problems(t)) == 0 })
}

func TestASlotThatFallsBehindIsWarnedOfBeforeItIsLost(t *testing.T) {
	s := ownServer(t, map[string]string{"max_slot_wal_keep_size": "1GB", "checkpoint_timeout": "1d", "max_wal_size": "10GB"})
	p := admit(t, s.url("postgres"))
	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
	p.healthy(t)
	const half = "ALTER SYSTEM SET max_slot_wal_keep_size = '100MB'; SELECT pg_reload_conf();"
	const fall = "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf();"
	// Each segment of 16 MB needs something in it to be left.
	const write = "SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal();\n"
	p.do(t, half+strings.Repeat(write, 6))
	p.do(t, p.diagnosed(t, warns, "P20", "drops it after").Fix+"\nALTER SYSTEM SET max_slot_wal_keep_size = '1GB'; SELECT pg_reload_conf();")
	eventually(t, func() bool { return len(p.problems(t)) == 0 })

	p.do(t, fall+strings.Repeat(write, 5))
	fix := p.diagnosed(t, warns, "P16", "more than the server keeps").Fix
	p.do(t, fix)
	eventually(t, func() bool { return len(p.problems(t)) == 0 })

	p.do(t, fall+strings.Repeat(write, 5)+"CHECKPOINT; ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'; SELECT pg_reload_conf();")
	p.do(t, p.diagnosed(t, fails, "P16", "was invalidated").Fix)
	p.healthy(t)
}

func TestAnotherReaderOfTheSlotIsNamed(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
	read := func(application string) *pgconn.PgConn {
		t.Helper()
		cfg, err := pgconn.ParseConfig(p.cfg.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg.RuntimeParams["replication"] = "database"
		cfg.RuntimeParams["application_name"] = application
		conn, err := pgconn.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = pglogrepl.StartReplication(t.Context(), conn, p.cfg.Slot, 0, pglogrepl.StartReplicationOptions{
			PluginArgs: []string{"proto_version '1'", "publication_names 'shop'"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := read("another")
	p.do(t, p.diagnosed(t, fails, "P17", fmt.Sprintf("process %d (another", conn.PID())).Fix)
	_ = conn.Close(t.Context())
	eventually(t, func() bool { return len(p.problems(t)) == 0 })

	conn = read("kafkasync a 7.1")
	p.healthy(t)
	_ = conn.Close(t.Context())
	eventually(t, func() bool {
		return query(t, p.adminURL, "SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '"+p.cfg.Slot+"'") == "0"
	})
}

func TestATemporarySlotIsRefused(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	conn, err := pgx.Connect(t.Context(), p.adminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	p.do(t, "CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);")
	if _, err := conn.Exec(t.Context(), "SELECT pg_create_logical_replication_slot($1, 'pgoutput', true)", p.cfg.Slot); err != nil {
		t.Fatal(err)
	}
	fix := p.diagnosed(t, fails, "P15", "temporary").Fix
	p.cfg.Slot += "_2"
	if p.healthy(t); !strings.Contains(fix, "a name that is free") {
		t.Errorf("got the fix %q, want another name", fix)
	}
}

func TestASlotOfAnotherDatabaseIsRefused(t *testing.T) {
	p, other := admit(t, sharedDatabase(t)), admit(t, sharedDatabase(t))
	publication := "CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);"
	p.do(t, publication)
	other.do(t, fmt.Sprintf("SELECT pg_create_logical_replication_slot('%s', 'pgoutput');", other.cfg.Slot))
	p.cfg.Slot = other.cfg.Slot
	fix := p.diagnosed(t, fails, "P15", "belongs to database "+other.database).Fix
	_, drop, _ := strings.Cut(fix, "nobody needs it: ")
	other.do(t, drop)
	p.healthy(t)
}

func TestALoginThatTheServerRefusesIsCuredByWhatIsPrinted(t *testing.T) {
	s := ownServer(t, nil)
	p := admit(t, s.url("postgres"))
	p.do(t, "ALTER ROLE "+p.role+" PASSWORD 'correct horse';")
	hba := query(t, p.adminURL, "SHOW hba_file")
	rewrite := func(lines string) {
		t.Helper()
		if err := os.WriteFile(hba, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		p.do(t, "SELECT pg_reload_conf();")
	}
	const admins = "host all postgres 127.0.0.1/32 trust\n"
	p.cfg.Password = "correct horse"
	rewrite(admins)
	eventually(t, func() bool { return len(p.problems(t)) > 0 })
	all := p.check(t)
	if len(all) != 1 {
		t.Errorf("got %+v, want the one finding that there is no connection", all)
	}
	_, line, found := strings.Cut(p.diagnosed(t, fails, "P04", "pg_hba.conf").Fix, "SELECT pg_reload_conf(): ")
	if !found {
		t.Fatalf("got %+v, want the line to add", all)
	}
	rewrite(line + "\n" + admins)
	eventually(t, func() bool { return len(p.problems(t)) == 0 })

	p.cfg.Password = "wrong staple"
	f := p.diagnosed(t, fails, "P04", "refuses the password")
	if strings.Contains(fmt.Sprint(f), "staple") {
		t.Errorf("the password is in %+v", f)
	}
	p.cfg.Password = "correct horse"
	p.healthy(t)
	p.cfg.Password = "wrong staple"
	p.do(t, "ALTER ROLE "+p.role+" PASSWORD 'wrong staple';")
	p.healthy(t)
}

func TestAServerThatIsDownIsTheOnlyFinding(t *testing.T) {
	s := ownServer(t, nil)
	p := admit(t, s.url("postgres"))
	s.stop(t)
	f := p.diagnosed(t, fails, "P04", "nothing listens")
	if all := p.check(t); len(all) != 1 || !strings.Contains(f.Fix, "start Postgres") {
		t.Errorf("got %+v, want the one finding to start Postgres", all)
	}
	s.start(t)
	p.healthy(t)
}

func TestAStandbyIsRefusedAndThePrimaryFound(t *testing.T) {
	primary, standby := ownServer(t, nil), ownServer(t, nil)
	p := admit(t, primary.url("postgres"))
	standby.becomeStandby(t)
	alone := p.cfg.URL
	cfg, err := pgx.ParseConfig(standby.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	p.cfg.URL = fmt.Sprintf("postgres://postgres@%s:%d/postgres", cfg.Host, cfg.Port)
	if fix := p.diagnosed(t, fails, "P06", "standby").Fix; !strings.Contains(fix, "target_session_attrs=read-write") {
		t.Errorf("got the fix %q, want target_session_attrs", fix)
	}
	at := strings.Index(alone, "@") + 1
	p.cfg.URL = fmt.Sprintf("%s%s:%d,%s?target_session_attrs=read-write", alone[:at], cfg.Host, cfg.Port, alone[at:])
	if all := p.problems(t); len(all) != 1 || !strings.HasPrefix(all[0].ID, "P2") || !strings.Contains(all[0].What, fmt.Sprint(cfg.Port)) {
		t.Errorf("got %+v, want nothing but that the standby is not ready for a failover", all)
	}
	p.cfg.URL = fmt.Sprintf("postgres://postgres@%s:%d/postgres?target_session_attrs=read-write", cfg.Host, cfg.Port)
	p.diagnosed(t, fails, "P04", "no server of the URL accepts writes")
}

func TestAnUnknownEncodingIsWarnedOf(t *testing.T) {
	s := ownServer(t, nil)
	p := admit(t, s.url("postgres"))
	p.do(t, "CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';")
	raw := admit(t, s.url("raw"))
	raw.do(t, raw.diagnosed(t, warns, "P28", "SQL_ASCII").Fix)
	admit(t, s.url("raw_utf8")).healthy(t)
}
