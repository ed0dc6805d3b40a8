package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/web"
)

const operatorToken = "token-of-the-operator"

// tale is a pipeline that something happens to. Every row that is written to its
// two tables is a mark: it is known whether it must be in Kafka.
type tale struct {
	t      *testing.T
	server *devstack.Postgres
	name   string // of the pipeline
	url    string
	topic  string
	site   *site
	node   *node
	marks  []mark
	stops  int // that the node's log must tell of
}

// mark is a row with the same id in both tables. Its commit lies between the two places.
type mark struct {
	id    int
	after uint64
	by    uint64
	lost  bool
}

// taleTables are covered by the pipeline of a tale; both have the column id.
var taleTables = []string{"products", "orders"}

const (
	taleSchema = "CREATE TABLE products (id int PRIMARY KEY, name text); CREATE TABLE orders (id int PRIMARY KEY)"
	insertMark = "WITH o AS (INSERT INTO orders VALUES (%d)) INSERT INTO products VALUES (%[1]d)"
)

func newTale(t *testing.T, server *devstack.Postgres, name string) *tale {
	t.Helper()
	return newTaleAt(t, server, name, devtest.DatabaseOn(t, server))
}

// newTaleAt is newTale in a database that is there.
func newTaleAt(t *testing.T, server *devstack.Postgres, name, url string) *tale {
	t.Helper()
	s := &tale{t: t, server: server, name: name, url: url, topic: devtest.Topic(t)}
	s.sql(taleSchema)
	s.settle(s.url, "- {match: public.*, topic: '"+s.topic+"-{table}'}")
	return s
}

// settle writes the file, whose folder and address stay.
func (s *tale) settle(url, rules string) {
	s.t.Helper()
	kafka := fmt.Sprintf("brokers: [%s]\ntopics: {partitions: 1}", devtest.Kafka(s.t).Brokers())
	if s.site == nil {
		s.site = newSite(s.t, raced, kafka, pipelineText(s.name, url, rules))
	}
	s.site.write(s.t, fmt.Sprintf("data_dir: %s/data\nhttp: {listen: %q, token: %s}\nkafka:\n%s\npipelines:\n%s\n",
		s.site.dir, s.site.http, operatorToken, indent(kafka), indent(pipelineText(s.name, url, rules))))
}

// database is the name of the database.
func (s *tale) database() string { return s.url[strings.LastIndexByte(s.url, '/')+1:] }

func (s *tale) slot() string { return "kafkasync_" + s.name }

func (s *tale) sql(statements ...string) { s.t.Helper(); execute(s.t, s.url, statements...) }

// place asks for a place of the log.
func (s *tale) place(sql string) uint64 {
	s.t.Helper()
	lsn, err := parseLSN(query[string](s.t, s.url, "SELECT ("+sql+")::text"))
	if err != nil {
		s.t.Fatal(err)
	}
	return lsn
}

// write writes a row to each table, in one transaction.
func (s *tale) write(lost bool) {
	s.t.Helper()
	m := mark{id: len(s.marks) + 1, after: s.place("pg_current_wal_insert_lsn()"), lost: lost}
	s.sql(fmt.Sprintf(insertMark, m.id))
	m.by = s.place("pg_current_wal_lsn()")
	s.marks = append(s.marks, m)
}

// lose writes what the pipeline will never see.
func (s *tale) lose() { s.t.Helper(); s.write(true) }

// keep writes what must arrive, and waits until the cluster knows that it has.
func (s *tale) keep() {
	s.t.Helper()
	s.write(false)
	by := s.marks[len(s.marks)-1].by
	eventually(s.t, time.Minute, func() string {
		p, err := s.site.pipeline(s.t.Context())
		if err != nil {
			return err.Error()
		}
		if at, err := placeIn(p.Position); err != nil || at < by {
			return fmt.Sprintf("the pipeline is %s at %s (%v), want beyond %s: %s", p.State, p.Position, err, formatLSN(by), p.Error)
		}
		return ""
	})
}

func (s *tale) start() {
	s.t.Helper()
	s.node, s.stops = s.site.start(s.t), 0
}

// begin is start, and waits until the pipeline streams.
func (s *tale) begin() {
	s.t.Helper()
	s.start()
	s.node.reaches(s.t, "streaming")
}

func (s *tale) end() {
	s.t.Helper()
	if code := s.node.terminate(s.t); code != 0 {
		s.t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// freeze stops the node where it stands, so that all of what happens next is there when it looks.
func (s *tale) freeze() { s.t.Helper(); s.signal(syscall.SIGSTOP) }

func (s *tale) thaw() { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *tale) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.node.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("sending %s to kafkasync: %v", sig, err)
	}
}

// endReader ends whoever reads the slot, and waits until it has gone.
func (s *tale) endReader() {
	s.t.Helper()
	s.sql("SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE active AND slot_name = '" + s.slot() + "'")
}

// halted waits until the pipeline has come to that state, with a message that says the
// parts, and returns it. The log, the API and the command say the same, and the log once.
func (s *tale) halted(state string, parts ...string) (message string) {
	s.t.Helper()
	s.node.reaches(s.t, state, parts...)
	p, err := s.site.pipeline(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	what, risk, fix := partsOf(p.Error)
	s.t.Logf("the pipeline is %s\n\twhat: %s\n\trisk: %s\n\tfix:  %s", state, what, risk, fix)
	out, _, code := s.site.command(s.t, "status")
	if problem := contains("status", out, s.name, state, "error: "+what, fix); problem != "" || code != 0 {
		s.t.Errorf("got exit status %d, want 0; %s", code, problem)
	}
	if risk != "" {
		if problem := contains("status", out, "at risk: "+risk); problem != "" {
			s.t.Error(problem)
		}
	}
	s.saidOnce(state, p.Error)
	return p.Error
}

// saidOnce looks for the message in the log of the node.
func (s *tale) saidOnce(state, message string) {
	s.t.Helper()
	level, msg := "level=ERROR", "the pipeline has stopped"
	if state == "waiting" {
		level, msg = "level=WARN", "the pipeline waits"
	} else {
		s.stops++
	}
	var said []string
	for _, line := range linesWith(s.node.log.String(), msg) {
		_, quoted, _ := strings.Cut(line, " err=")
		text, err := strconv.Unquote(quoted)
		if err != nil || !strings.Contains(line, level) {
			s.t.Errorf("got the line %s (%v), want %s and a quoted error", line, err, level)
		}
		said = append(said, text)
	}
	if len(said) == 0 || said[len(said)-1] != message {
		s.t.Errorf("got %q in the log, want the last to be what the API says: %q", said, message)
	}
	if state == "stopped" && len(said) != s.stops {
		s.t.Errorf("got %d lines of log about %d stops:\n%s", len(said), s.stops, strings.Join(said, "\n"))
	}
}

// partsOf takes the text of a fault apart.
func partsOf(message string) (what, risk, fix string) {
	what, fix, _ = strings.Cut(message, "; to fix: ")
	what, risk, _ = strings.Cut(what, "; at risk: ")
	return what, risk, fix
}

// commandIn finds the command that a message tells to run, as a person would copy it.
func (s *tale) commandIn(message string) []string {
	s.t.Helper()
	_, fix, _ := strings.Cut(message, "; to fix: ")
	_, rest, ok := strings.Cut(fix, "kafkasync recover ")
	if !ok {
		s.t.Fatalf("the message tells no command: %s", message)
	}
	command, _, _ := strings.Cut(rest, " (")
	return append([]string{"recover"}, strings.Fields(command)...)
}

// obey runs the command, after which the pipeline streams without more ado.
func (s *tale) obey(args ...string) (out string) {
	s.t.Helper()
	out, stderr, code := s.site.command(s.t, args...)
	s.t.Logf("kafkasync %s\n%s%s", strings.Join(args, " "), out, stderr)
	if code != 0 {
		s.t.Fatalf("kafkasync %s: got exit status %d, want 0: %s", strings.Join(args, " "), code, stderr)
	}
	s.node.reaches(s.t, "streaming")
	return out
}

func (s *tale) status() web.Status {
	s.t.Helper()
	_, body, err := s.site.get(s.t.Context(), "/api/status")
	var status web.Status
	if err == nil {
		err = json.Unmarshal(body, &status)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// gaps returns the gaps, of which there are so many, after a look at all places that show them.
func (s *tale) gaps(want int) []web.Gap {
	s.t.Helper()
	return s.gapsBetween(want, want)
}

func (s *tale) gapsBetween(least, most int) []web.Gap {
	s.t.Helper()
	var gaps []web.Gap
	eventually(s.t, time.Minute, func() string { // a table that joins again takes a moment
		gaps = s.status().Gaps
		open := slices.ContainsFunc(gaps, func(g web.Gap) bool { return g.To == "" })
		if len(gaps) < least || len(gaps) > most || open {
			return fmt.Sprintf("got the gaps %+v, want %d to %d with an end", gaps, least, most)
		}
		return ""
	})
	out, _, _ := s.site.command(s.t, "status")
	for _, g := range gaps {
		if problem := contains("status", unfolded(out), "GAP IN", g.Table, g.From, g.To, g.Cause, g.Fix); problem != "" {
			s.t.Error(problem)
		}
	}
	_, metrics, err := s.site.get(s.t.Context(), "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	if problem := contains("/metrics", string(metrics), fmt.Sprintf("kafkasync_pipeline_gaps_open{pipeline=%q} %d\n", s.name, len(gaps))); problem != "" {
		s.t.Errorf("got %s in the metrics, want %d", strings.Join(linesWith(string(metrics), "gaps_open{"), " "), len(gaps))
	}
	return gaps
}

// unfolded is text on one line.
func unfolded(text string) string { return strings.Join(strings.Fields(text), " ") }

// published returns how often Kafka has each id of a table.
func (s *tale) published(table string) map[int]int {
	s.t.Helper()
	brokers, found := devtest.Kafka(s.t).Brokers(), map[int]int{}
	readTo(s.t, brokers, ends(s.t, brokers, s.topic+"-"+table), func(r *kgo.Record) {
		m := parse(s.t, r)
		id, err := strconv.Atoi(string(m.Key))
		if err != nil || m.Table != "public."+table {
			s.t.Errorf("got a message with the key %s of %s, want an id of %s", m.Key, m.Table, table)
		}
		found[id]++
	})
	return found
}

// arrived holds every mark against Kafka.
func (s *tale) arrived() {
	s.t.Helper()
	for _, table := range taleTables {
		found := s.published(table)
		for _, m := range s.marks {
			if (found[m.id] > 0) == m.lost {
				s.t.Errorf("%s %d: got it %d times in Kafka, want it there: %v", table, m.id, found[m.id], !m.lost)
			}
		}
	}
}

// judged holds every mark against Kafka and the gaps: what was lost is in a gap, and what is in a
// gap was lost, unless the gaps may be wider than that.
func (s *tale) judged(gaps []web.Gap, wide bool) {
	s.t.Helper()
	s.arrived()
	for _, table := range taleTables {
		for _, m := range s.marks {
			in, partly := s.within(gaps, "public."+table, m)
			if m.lost && !in || !m.lost && partly && !wide {
				s.t.Errorf("%s %d, lost %v, committed between %s and %s: the gaps do not fit: %+v", table, m.id, m.lost, formatLSN(m.after), formatLSN(m.by), gaps)
			}
		}
	}
}

// within says whether a mark lies in a gap of the table, or may.
func (s *tale) within(gaps []web.Gap, table string, m mark) (in, partly bool) {
	s.t.Helper()
	for _, g := range gaps {
		if g.Table != table {
			continue
		}
		to, err := placeIn(g.To)
		from := uint64(0) // the table's beginning
		if err == nil && g.From != "" {
			from, err = placeIn(g.From)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		in = in || from <= m.after && m.by <= to
		partly = partly || from < m.by && m.after < to
	}
	return in, partly
}
