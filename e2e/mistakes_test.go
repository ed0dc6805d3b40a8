package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// mistake is something that an operator has got wrong.
type mistake struct {
	name    string
	make    func(m *mended) // makes it
	tables  string          // the rules, over {topic}; "": all tables of public
	kafka   string          // what stands under kafka besides the brokers
	id      string          // of check's findings
	checked []string        // what check says
	said    []string        // what a run says
	mend    func(m *mended) // does what check has said
}

// mended is a mistake being made and mended.
type mended struct {
	t      *testing.T
	server *devstack.Postgres
	name   string // of the database and the pipeline
	url    string // of the database, as its superuser
	topic  string
	file   string // what the file says of the database
	fix    string // that check has printed first
}

func (m *mended) sql(statements ...string) { m.t.Helper(); execute(m.t, m.url, statements...) }

func (m *mended) restart() {
	m.t.Helper()
	if err := m.server.Restart(m.t.Context(), devstack.Fast); err != nil {
		m.t.Fatal(err)
	}
}

// asPrinted runs the statement that check has printed.
func asPrinted(m *mended) { m.t.Helper(); m.sql(m.fix) }

func mistakes() []mistake {
	return []mistake{
		{
			name: "wal_level is not logical", id: "P02",
			make: func(m *mended) {
				m.sql("ALTER SYSTEM SET wal_level = 'replica'")
				m.restart()
			},
			checked: []string{"wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'", "restart Postgres"},
			said:    []string{"wal_level is replica, want logical", "ALTER SYSTEM SET wal_level = 'logical'"},
			mend: func(m *mended) {
				asPrinted(m)
				m.restart()
			},
		},
		{
			name: "wrong password", id: "P04",
			make:    func(m *mended) { m.sql("ALTER ROLE cdc PASSWORD 'another'") },
			checked: []string{"the server refuses the password of role cdc", `ALTER ROLE "cdc" PASSWORD`},
			said:    []string{"the server refuses the password of role cdc", "source.postgres.password"},
			mend:    func(m *mended) { m.sql("ALTER ROLE cdc PASSWORD '" + rolePassword + "'") },
		},
		{
			name: "no slot left", id: "P03",
			make: func(m *mended) {
				m.sql("SELECT pg_create_physical_replication_slot('taken_' || i) FROM generate_series(1, current_setting('max_replication_slots')::int) i")
			},
			checked: []string{"all 3 replication slots are in use", "max_replication_slots = 13", "drop a slot that nobody uses"},
			said:    []string{"all replication slots are in use", "drop a slot that nobody uses"},
			mend:    func(m *mended) { m.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots") },
		},
		{
			name: "the role may not replicate", id: "P04",
			make:    func(m *mended) { m.sql("ALTER ROLE cdc NOREPLICATION") },
			checked: []string{"role cdc may not replicate", `ALTER ROLE "cdc" REPLICATION`},
			said:    []string{"role cdc may not replicate", `ALTER ROLE "cdc" REPLICATION`},
			mend:    asPrinted,
		},
		{
			name: "the table belongs to somebody else", id: "P07",
			make:    func(m *mended) { m.sql("ALTER TABLE products OWNER TO postgres") },
			checked: []string{"cannot be created by us", "role cdc does not own public.products", "CREATE PUBLICATION"},
			said:    []string{"the role may not change the publication", "CREATE PUBLICATION", "as a superuser"},
			mend:    asPrinted,
		},
		{
			name: "unknown table", id: "T01", tables: "- {match: public.product, topic: '{topic}'}",
			make:    func(*mended) {},
			checked: []string{"there is no table public.product", "write match: public.products"},
			said:    []string{"there is no table public.product in database", "write match: public.products"},
			mend: func(m *mended) {
				m.sql("CREATE TABLE product (id int PRIMARY KEY)", "ALTER TABLE product OWNER TO cdc")
			},
		},
		{
			name: "the topic is missing and may not be created", id: "K02", kafka: "topics: {create: false}",
			make:    func(*mended) {},
			checked: []string{"does not exist, and kafka.topics.create is false", "kafka-topics.sh", "--create --topic"},
			said:    []string{"does not exist, and kafka.topics.create is false", "kafka-topics.sh", "--create --topic"},
			mend:    func(m *mended) { createTopic(m.t, devtest.Kafka(m.t).Brokers(), m.topic) },
		},
	}
}

const rolePassword = "kept in a safe"

// Each mistake gives one message that names it and what mends it, and as soon as
// that is done, the node that was started too early goes on by itself.
func TestAMistakeIsNamedAndMended(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs real servers, and -short starts none")
	}
	kafka := devtest.Kafka(t)
	devtest.Postgres(t) // installs what is needed
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Password: "superuser", Settings: map[string]string{"max_replication_slots": "3", "fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	execute(t, server.URL("postgres"), "CREATE ROLE cdc LOGIN")
	for i, wrong := range mistakes() {
		t.Run(wrong.name, func(t *testing.T) {
			m := &mended{t: t, server: server, name: fmt.Sprintf("mistake%d", i), topic: devtest.Topic(t)}
			m.prepare()
			wrong.make(m)
			tables := wrong.tables
			if tables == "" {
				tables = "- {match: public.*, topic: '{topic}'}"
			}
			s := newSite(t, plain, fmt.Sprintf("brokers: [%s]\n%s", kafka.Brokers(), wrong.kafka),
				fmt.Sprintf("- name: %s\n  source: {postgres: %s}\n  tables:\n%s", m.name, m.file, indent(strings.ReplaceAll(tables, "{topic}", m.topic))))
			wrong.play(m, s)
		})
	}
}

// prepare makes a database in which all is well.
func (m *mended) prepare() {
	m.t.Helper()
	if err := m.server.CreateDatabase(m.t.Context(), m.name); err != nil {
		m.t.Fatal(err)
	}
	m.url = m.server.URL(m.name)
	m.sql("ALTER ROLE cdc REPLICATION PASSWORD '"+rolePassword+"'",
		"GRANT CREATE ON DATABASE "+m.name+" TO cdc",
		"CREATE TABLE products (id int PRIMARY KEY)", "ALTER TABLE products OWNER TO cdc")
	u, err := url.Parse(m.url)
	if err != nil {
		m.t.Fatal(err)
	}
	u.User = url.User("cdc")
	m.file = fmt.Sprintf("{url: %q, password: %q}", u, rolePassword)
}

func (wrong *mistake) play(m *mended, s *site) {
	t := m.t
	out, _, code := s.command(t, "check", "--json")
	m.fix = wrong.findings(t, out, code)
	text, _, code := s.command(t, "check")
	if code != 1 {
		t.Errorf("check: got exit status %d, want 1", code)
	}
	if problem := contains("check", text, append(wrong.checked, "to fix: ")...); problem != "" {
		t.Error(problem)
	}

	n := s.start(t)
	table := "products"
	if strings.Contains(wrong.tables, "public.product,") {
		table = "product"
	}
	n.reaches(t, "waiting", wrong.said...)
	eventually(t, time.Minute, func() string { return s.restarted(t, 3) })
	if lines := linesWith(n.log.String(), wrong.said[0]); len(lines) != 1 || contains("the log line", lines[0], "level=WARN") != "" {
		t.Errorf("after three runs that failed alike: got %d lines of log about it, want one warning:\n%s", len(lines), strings.Join(lines, "\n"))
	}

	wrong.mend(m)
	n.reaches(t, "streaming")
	m.sql("INSERT INTO " + table + " VALUES (1)")
	drained(t, m.url, "kafkasync_"+m.name)
	if got := ends(t, devtest.Kafka(t).Brokers(), m.topic).total(); got != 1 {
		t.Errorf("got %d messages of the first change after it was mended, want 1", got)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
	for _, all := range []string{out, text, n.log.String()} {
		if strings.Contains(all, rolePassword) {
			t.Errorf("the password was printed:\n%s", all)
		}
	}
	if err := m.server.DropDatabase(t.Context(), m.name); err != nil {
		t.Error(err)
	}
}

// findings reads what check --json printed. All that is wrong must be this mistake.
func (wrong *mistake) findings(t *testing.T, out string, code int) (fix string) {
	t.Helper()
	var all []kafkasync.Finding
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("check --json: %v: %s", err, out)
	}
	bad := slices.DeleteFunc(all, func(f kafkasync.Finding) bool { return f.Severity != kafkasync.SeverityError })
	for _, f := range bad {
		if f.ID != wrong.id || f.Fix == "" {
			t.Errorf("check: got the error %+v, want only errors %s, each with what fixes it", f, wrong.id)
		}
	}
	if len(bad) == 0 || code != 1 {
		t.Fatalf("check --json: got %d errors and exit status %d, want an error and 1", len(bad), code)
	}
	if problem := contains("check's first error", bad[0].What+"\n"+bad[0].Why+"\n"+bad[0].Fix, wrong.checked...); problem != "" {
		t.Error(problem)
	}
	return bad[0].Fix
}

// restarted says whether the pipeline was begun anew so often.
func (s *site) restarted(t testing.TB, want int) (problem string) {
	t.Helper()
	if got := s.restarts(t); got < want {
		return fmt.Sprintf("got %d restarts, want %d", got, want)
	}
	return ""
}

func (s *site) restarts(t testing.TB) int {
	t.Helper()
	_, body, err := s.get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, match := range regexp.MustCompile(`(?m)^kafkasync_pipeline_restarts_total\{.*\} (\d+)$`).FindAllSubmatch(body, -1) {
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

func linesWith(text, part string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return !strings.Contains(line, part) })
}

func TestAFileThatCannotBeMeantIsRefusedWithAllItsProblems(t *testing.T) {
	s := newSite(t, plain, "brokers: [127.0.0.1:9092]", pipelineText("shop", "postgres://cdc@127.0.0.1/shop", "- match: public.*"))
	s.write(t, `kafka:
  broker: [127.0.0.1:9092]
  topics: {partitions: many}
pipelines:
  - name: shop
    source: {postgres: {url: "postgres://cdc:very-secret@127.0.0.1/shop"}}
    tables: []
`)
	for _, command := range []string{"check", "run"} {
		_, stderr, code := s.command(t, command)
		if code != 1 {
			t.Errorf("%s: got exit status %d, want 1", command, code)
		}
		if problem := contains(command, stderr, "kafkasync.yaml:2:3: ", `did you mean "brokers"?`, "kafkasync.yaml:3:24: ", "kafkasync.yaml:7:", "to fix: "); problem != "" {
			t.Error(problem)
		}
		if strings.Contains(stderr, "very-secret") {
			t.Errorf("%s prints the password:\n%s", command, stderr)
		}
	}
	s.write(t, "kafka: [\n")
	if _, stderr, code := s.command(t, "run"); code != 1 || contains("", stderr, "kafkasync.yaml:", "this is not YAML", "to fix: ") != "" {
		t.Errorf("got exit status %d and %q, want 1 and where the file is not YAML", code, stderr)
	}
}
