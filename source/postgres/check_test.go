package postgres_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/source/postgres"
)

// patient is a database that is checked: with a role of the least privilege, a
// table of that role, and rules for it.
type patient struct {
	psql     string // the program
	adminURL string // of a superuser, in the database
	role     string
	database string
	cfg      postgres.Config
	rules    rules
	options  postgres.CheckOptions
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

// admit makes a database of the server a patient in good health.
func admit(t *testing.T, adminURL string) *patient {
	t.Helper()
	settings, err := pgx.ParseConfig(adminURL)
	if err != nil {
		t.Fatal(err)
	}
	p := &patient{
		psql: filepath.Join(devtest.Postgres(t).BinDir(), "psql"), adminURL: adminURL,
		database: settings.Database, role: settings.Database + "_cdc",
	}
	p.cfg = postgres.Config{
		URL:  fmt.Sprintf("postgres://%s@%s:%d/%s", p.role, settings.Host, settings.Port, p.database),
		Slot: p.database + "_slot", Publication: "shop",
	}
	p.rules = rules{payload: map[string][]string{"public.products": nil}}
	p.do(t, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN REPLICATION; GRANT CREATE ON DATABASE %[2]s TO %[1]s;
		CREATE TABLE products (id bigint PRIMARY KEY, name text NOT NULL, on_stock bool, price numeric);
		ALTER TABLE products OWNER TO %[1]s;`, p.role, p.database))
	t.Cleanup(func() {
		p.do(t, fmt.Sprintf(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%s';
			DROP OWNED BY %s CASCADE; DROP ROLE %[2]s;`, p.cfg.Slot, p.role))
	})
	return p
}

// do runs SQL as a superuser, in psql as an operator would.
func (p *patient) do(t testing.TB, sql string) {
	t.Helper()
	if out, err := p.try(t, sql); err != nil {
		t.Fatalf("running %q: %v\n%s", sql, err, out)
	}
}

func (p *patient) try(t testing.TB, sql string) (string, error) {
	// Cleaning up is after the end of the test's context.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), p.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", p.adminURL)
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *patient) check(t testing.TB) []kafkasync.Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return postgres.Check(ctx, p.cfg, p.rules, p.options)
}

// problems are the findings that are not ok.
func (p *patient) problems(t testing.TB) []kafkasync.Finding {
	t.Helper()
	return slices.DeleteFunc(p.check(t), func(f kafkasync.Finding) bool { return f.Severity == kafkasync.SeverityOK })
}

// diagnosed returns the one problem of that id that says what.
func (p *patient) diagnosed(t testing.TB, severity kafkasync.Severity, id, what string) kafkasync.Finding {
	t.Helper()
	all := p.problems(t)
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

// healthy asserts that nothing is wrong any more.
func (p *patient) healthy(t testing.TB) {
	t.Helper()
	if left := p.problems(t); len(left) > 0 {
		t.Fatalf("after the fix: got %+v, want no problem", left)
	}
}

func TestAHealthyDatabaseShowsWhatWasLookedAt(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.do(t, "CREATE TABLE other (id int PRIMARY KEY);")
	var ids []string
	for _, f := range p.check(t) {
		if f.Severity != kafkasync.SeverityOK {
			t.Errorf("got %+v, want no problem", f)
		}
		if f.ID == "T02" && !strings.Contains(f.What, "public.other") {
			t.Errorf("got %q, want the table without a rule named", f.What)
		}
		ids = append(ids, f.ID)
	}
	want := []string{
		"P05", "P01", "P06", "P02", "P28", "P03", "P24", "P20", "P04", "P29",
		"T01", "T02", "T03", "P11", "P12", "P13", "P14", "P07", "P15", "P26", "P27",
	}
	if devtest.Version() == "18" {
		want = slices.Insert(want, slices.Index(want, "P04"), "P21")
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}

	p.do(t, fmt.Sprintf(`CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);
		SELECT pg_create_logical_replication_slot('%s', 'pgoutput');`, p.cfg.Slot))
	ids = nil
	for _, f := range p.check(t) {
		if f.Severity != kafkasync.SeverityOK {
			t.Errorf("with publication and slot: got %+v, want no problem", f)
		}
		ids = append(ids, f.ID)
	}
	for _, id := range []string{"P07", "P08", "P09", "P10", "P15", "P16", "P17", "P18", "P25", "P26"} {
		if !slices.Contains(ids, id) {
			t.Errorf("with publication and slot: got %v, want %s among them", ids, id)
		}
	}
}

func TestCheckChangesNothing(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.healthy(t)
	const made = "SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())"
	if got := query(t, p.adminURL, made); got != "0" {
		t.Errorf("got %s publications and slots, want none", got)
	}
}

// illness is a state of a database that one statement of a finding cures.
type illness struct {
	name     string
	cause    string // SQL; %[1]s is our role, %[2]s the database, %[3]s the slot
	rules    func(*rules)
	severity kafkasync.Severity
	id, what string
}

func TestEachProblemOfTheDatabaseIsCuredByTheStatementThatItPrints(t *testing.T) {
	const (
		published = "CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);"
		foreign   = "CREATE TABLE orders (id int PRIMARY KEY); " // owned by the superuser
		parted    = `CREATE TABLE events (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
			CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (2);
			CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (2) TO (3) PARTITION BY RANGE (id);
			CREATE TABLE events_2a PARTITION OF events_2 FOR VALUES FROM (1) TO (1000);
			ALTER TABLE events OWNER TO %[1]s;`
		keyless = "CREATE TABLE notes (a int NOT NULL, b text); ALTER TABLE notes OWNER TO %[1]s; "
	)
	capture := func(table string, payload ...string) func(*rules) {
		return func(r *rules) { r.payload[table] = payload }
	}
	keyed := func(table string, key ...string) func(*rules) {
		return func(r *rules) { r.payload[table] = nil; r.key = map[string][]string{table: key} }
	}
	for _, c := range []illness{
		{"the role cannot replicate", "ALTER ROLE %[1]s NOREPLICATION;", nil, fails, "P04", "may not replicate"},
		{"the role cannot connect", "REVOKE CONNECT ON DATABASE %[2]s FROM PUBLIC;", nil, fails, "P04", "may not connect"},
		{"the role cannot log in", "ALTER ROLE %[1]s NOLOGIN;", nil, fails, "P04", "log in"},
		{"the role cannot create a publication", "REVOKE CREATE ON DATABASE %[2]s FROM %[1]s;", nil, fails, "P07", "cannot be created by us"},
		{"a table of another owner, no publication", foreign, capture("public.orders"), fails, "P07", "cannot be created by us"},
		{"a publication of another owner lacks a table", foreign + published, capture("public.orders"), fails, "P08", "lacks public.orders"},
		{"a publication without deletes", published + "ALTER PUBLICATION shop SET (publish = 'insert, update, truncate');", nil, fails, "P07", "leaves out"},
		{"a publication without truncates", published + "ALTER PUBLICATION shop SET (publish = 'insert, update, delete');", nil, fails, "P07", "leaves out"},
		{"a publication of single partitions", "CREATE PUBLICATION shop FOR TABLE products;", nil, fails, "P10", "partitions"},
		{
			"a column list hides the payload", "CREATE PUBLICATION shop FOR TABLE products (id) WITH (publish_via_partition_root = true);",
			capture("public.products", "name"), fails, "P09", "hides column name",
		},
		{
			"a column list hides the key", "CREATE PUBLICATION shop FOR TABLE products (name) WITH (publish_via_partition_root = true);",
			nil, fails, "P09", "hides column id",
		},
		{
			"a row filter", "CREATE PUBLICATION shop FOR TABLE products WHERE (id > 10) WITH (publish_via_partition_root = true);",
			nil, fails, "P09", "(id > 10)",
		},
		{"no replica identity, no index", keyless, keyed("public.notes", "a"), fails, "P11", "no primary key"},
		{"no replica identity, a unique index", keyless + "CREATE UNIQUE INDEX ON notes (a);", keyed("public.notes", "a"), fails, "P11", "no primary key"},
		{"replica identity nothing", "ALTER TABLE products REPLICA IDENTITY NOTHING;", nil, fails, "P11", "NOTHING"},
		{
			"the index of the replica identity is gone", "CREATE UNIQUE INDEX n ON products (name); ALTER TABLE products REPLICA IDENTITY USING INDEX n; DROP INDEX n;",
			nil, fails, "P11", "dropped",
		},
		{
			"a deferrable primary key", "ALTER TABLE products DROP CONSTRAINT products_pkey; ALTER TABLE products ADD PRIMARY KEY (id) DEFERRABLE;",
			nil, fails, "P11", "deferrable",
		},
		{"one partition without replica identity", parted + "ALTER TABLE events_2a REPLICA IDENTITY NOTHING;", capture("public.events"), fails, "P11", "public.events_2a"},
		{"a published table without a rule", keyless + published + "ALTER PUBLICATION shop ADD TABLE notes;", nil, fails, "P11", "public.notes"},
		{
			"the replica identity is another index", "CREATE UNIQUE INDEX n ON products (name); ALTER TABLE products REPLICA IDENTITY USING INDEX n;",
			nil, fails, "P12", "lacks key column id",
		},
		{"the key is not the primary key", "", keyed("public.products", "name"), fails, "P12", "lacks key column name"},
		{
			"the replica identity of one partition is another index",
			parted + "CREATE UNIQUE INDEX d ON events_1 (day); ALTER TABLE events_1 REPLICA IDENTITY USING INDEX d;",
			capture("public.events"), fails, "P12", "of public.events_1 lacks key column id",
		},
		{"a key that may be NULL", keyless + "ALTER TABLE notes REPLICA IDENTITY FULL;", keyed("public.notes", "b"), fails, "P12", `"b" of public.notes may be NULL`},
		{"an unlogged table", "ALTER TABLE products SET UNLOGGED;", nil, fails, "P14", "unlogged"},
		{"an unlogged partition", parted + "ALTER TABLE events_1 SET UNLOGGED;", capture("public.events"), fails, "P14", "public.events_1"},
		{
			"a foreign partition",
			`CREATE TABLE logs (id int NOT NULL) PARTITION BY RANGE (id); ALTER TABLE logs OWNER TO %[1]s;
			CREATE FOREIGN DATA WRAPPER far; CREATE SERVER away FOREIGN DATA WRAPPER far;
			CREATE FOREIGN TABLE logs_1 PARTITION OF logs FOR VALUES FROM (1) TO (9) SERVER away;`,
			keyed("public.logs", "id"), warns, "P14", "public.logs_1",
		},
		{"no key at all", keyless + "ALTER TABLE notes REPLICA IDENTITY FULL;", capture("public.notes"), fails, "T03", "no key"},
		{
			"no key, but a unique index", keyless + "CREATE UNIQUE INDEX n ON notes (a DESC); ALTER TABLE notes REPLICA IDENTITY USING INDEX n;",
			capture("public.notes"), fails, "T03", "no key",
		},
		{"a short wal_sender_timeout", "ALTER ROLE %[1]s SET wal_sender_timeout = '2s';", nil, warns, "P24", "2s"},
		{
			"the heartbeat's function is not ours to call",
			`DO $$ BEGIN EXECUTE (SELECT string_agg(format('REVOKE EXECUTE ON FUNCTION %%s FROM PUBLIC', oid::regprocedure), ';')
				FROM pg_proc WHERE proname = 'pg_logical_emit_message'); END $$;`, nil, fails, "P26", "may not write the heartbeat",
		},
		{"a slot without its publication's time", "SELECT pg_create_logical_replication_slot('%[3]s', 'pgoutput');", nil, fails, "P07", "exists, but publication"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := admit(t, sharedDatabase(t))
			p.healthy(t)
			p.do(t, fmt.Sprintf(c.cause+"\n--%[1]s %[2]s %[3]s", p.role, p.database, p.cfg.Slot))
			if c.rules != nil {
				c.rules(&p.rules)
			}
			p.do(t, p.diagnosed(t, c.severity, c.id, c.what).Fix)
			p.healthy(t)
		})
	}
}

func TestTheProgramsOwnRulesAreUnderstood(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.do(t, "CREATE TABLE notes (a int NOT NULL, b text); CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL UNIQUE); "+
		"CREATE UNLOGGED TABLE cache (id int PRIMARY KEY);")
	router, err := route.New("shop", []route.Rule{
		{Match: "public.prodcuts"},
		{Match: "public.products", Payload: []route.Column{{Name: "title", Source: "title"}}},
		{Match: "public.tags", Key: []string{"name"}},
		{Match: "public.*"},
	}, route.Encoding{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range postgres.Check(t.Context(), p.cfg, router, p.options) {
		if f.Severity == kafkasync.SeverityError {
			got = append(got, f.ID+" "+f.What+" -> "+f.Fix)
		}
	}
	want := []string{
		`T01 there is no table public.prodcuts -> write match: public.products, or create public.prodcuts`,
		`P14 public.cache is unlogged -> ` +
			`ALTER TABLE "public"."cache" SET LOGGED; -- writes the whole table to the log once; or skip: true in a rule for it`,
		`T03 public.notes has no primary key, and its rule (match: public.*) names no key -> ` +
			`ALTER TABLE "public"."notes" ADD COLUMN "id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY; ` +
			`-- rewrites the table; or name key and payload columns, or skip: true, in its rule`,
		`T03 public.products has no column "title", which its rule (match: public.products) needs -> ` +
			`correct key: and payload: of the rule; the columns are id, name, on_stock, price`,
		`P12 the replica identity of public.tags lacks key column name -> ` +
			`ALTER TABLE "public"."tags" REPLICA IDENTITY USING INDEX "tags_name_key";`,
		// Without public.cache, with which the server refuses the statement.
		`P07 publication shop does not exist, and cannot be created by us -> ` +
			`CREATE PUBLICATION "shop" FOR TABLE "public"."products", "public"."tags" ` +
			`WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAPublicationForAllTablesBreaksTheApplicationUntilTheFix(t *testing.T) {
	p := admit(t, sharedDatabase(t))
	p.do(t, `CREATE TABLE audit (line text); INSERT INTO audit VALUES ('x');
		CREATE PUBLICATION shop FOR ALL TABLES WITH (publish_via_partition_root = true);`)
	const update = "UPDATE audit SET line = 'y';"
	if out, err := p.try(t, update); err == nil || !strings.Contains(out, "replica identity") {
		t.Fatalf("got %v %s, want the application's update refused", err, out)
	}
	p.do(t, p.diagnosed(t, kafkasync.SeverityError, "P11", "public.audit").Fix)
	p.do(t, update)
	p.healthy(t)
}

func TestEachProblemOfTheFileIsCuredByTheChangeThatItNames(t *testing.T) {
	for _, c := range []struct {
		name     string
		cause    string
		break_   func(*patient)
		id, what string
		fix      string // what the finding proposes
		cure     func(*patient)
	}{
		{
			"a table misspelt", "", func(p *patient) { p.rules.match = []string{"public.prodcuts"} },
			"T01", "no table public.prodcuts", "match: public.products,", func(p *patient) { p.rules.match = []string{"public.products"} },
		},
		{
			"a table that is not there yet", "", func(p *patient) { p.rules.match = []string{"sales.invoices"} },
			"T01", "no table sales.invoices", "take the rule out", func(p *patient) { p.rules.match = nil },
		},
		{
			"a partition", "CREATE TABLE e (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (1) TO (9);",
			func(p *patient) { p.rules.match = []string{"public.e_1"} },
			"T01", "partition of public.e", "match: public.e", func(p *patient) { p.rules.match = []string{"public.e"} },
		},
		{
			"a view", "CREATE VIEW v AS SELECT 1;", func(p *patient) { p.rules.match = []string{"public.v"} },
			"P14", "public.v is a view", "take the rule out", func(p *patient) { p.rules.match = nil },
		},
		{
			"no table", "", func(p *patient) { p.rules.payload = nil },
			"T01", "no rule matches", "match", func(p *patient) { p.rules.payload = map[string][]string{"public.products": nil} },
		},
		{
			"a column that is not there", "", func(p *patient) { p.rules.payload["public.products"] = []string{"title"} },
			"T03", "no column title", "id, name, on_stock, price", func(p *patient) { p.rules.payload["public.products"] = []string{"name"} },
		},
		{
			"a generated column", "ALTER TABLE products ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED;",
			func(p *patient) { p.rules.payload["public.products"] = []string{"twice"} },
			"P13", `"twice" of public.products is generated`, "take column twice out", func(p *patient) { p.rules.payload["public.products"] = nil },
		},
		{
			"a physical slot", "SELECT pg_create_physical_replication_slot('%[1]s');", nil,
			"P15", "physical", "a name that is free", func(p *patient) { p.cfg.Slot += "_2" },
		},
		{
			"a slot of another plugin", "SELECT pg_create_logical_replication_slot('%[1]s', 'test_decoding');", nil,
			"P15", "test_decoding", "a name that is free", func(p *patient) { p.cfg.Slot += "_2" },
		},
		{
			"a slot of two-phase commit", "SELECT pg_create_logical_replication_slot('%[1]s', 'pgoutput', false, true);", nil,
			"P15", "two_phase", "a name that is free", func(p *patient) { p.cfg.Slot += "_2" },
		},
		{
			"a role that is not there", "", func(p *patient) { p.cfg.URL = strings.Replace(p.cfg.URL, p.role, "nobody_here", 1) },
			"P04", "no role nobody_here", "CREATE ROLE", func(p *patient) { p.cfg.URL = strings.Replace(p.cfg.URL, "nobody_here", p.role, 1) },
		},
		{
			"a database that is not there", "", func(p *patient) { p.cfg.URL += "_x" },
			"P04", "no database", "correct the database", func(p *patient) { p.cfg.URL = strings.TrimSuffix(p.cfg.URL, "_x") },
		},
		{
			"a host that is not there", "", func(p *patient) { p.cfg.URL = strings.Replace(p.cfg.URL, "127.0.0.1", "db.invalid", 1) },
			"P04", "db.invalid cannot be looked up", "correct the host", func(p *patient) { p.cfg.URL = strings.Replace(p.cfg.URL, "db.invalid", "127.0.0.1", 1) },
		},
		{
			"TLS that the server does not have", "", func(p *patient) { p.cfg.URL += "?sslmode=require" },
			"P04", "TLS", "correct sslmode", func(p *patient) { p.cfg.URL = strings.TrimSuffix(p.cfg.URL, "?sslmode=require") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := admit(t, sharedDatabase(t))
			p.do(t, fmt.Sprintf(c.cause+"\n--%[1]s", p.cfg.Slot))
			if strings.Contains(c.cause, "_slot") {
				// With a slot there has to be a publication.
				p.do(t, "CREATE PUBLICATION shop FOR TABLE products WITH (publish_via_partition_root = true);")
				slot := p.cfg.Slot
				t.Cleanup(func() { p.do(t, fmt.Sprintf("SELECT pg_drop_replication_slot('%s');", slot)) })
			}
			if c.break_ != nil {
				c.break_(p)
			}
			if f := p.diagnosed(t, kafkasync.SeverityError, c.id, c.what); !strings.Contains(f.Fix, c.fix) {
				t.Errorf("got the fix %q, want %q in it", f.Fix, c.fix)
			}
			c.cure(p)
			p.healthy(t)
		})
	}
}
