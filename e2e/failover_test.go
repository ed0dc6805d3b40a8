package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// twins are a primary and a standby that becomes the primary, with a database shop.
type twins struct {
	primary, standby *devstack.Postgres
	url              string // of the one that accepts writes
}

func newTwins(t *testing.T, version string) *twins {
	t.Helper()
	devtest.PostgresVersion(t, version) // installs it
	var w twins
	var err error
	w.primary, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Version: version, Settings: map[string]string{"fsync": "off", "max_connections": "50"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, w.primary.Close()) })
	if w.standby, err = w.primary.Standby(t.Context(), devstack.PostgresConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, w.standby.Close()) })
	if err := w.primary.CreateDatabase(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	w.url = fmt.Sprintf("postgres://postgres@%s,%s/shop?target_session_attrs=read-write", w.primary.Addr(), w.standby.Addr())
	return &w
}

// fail ends the primary as a power cut would, and makes the standby the primary.
func (w *twins) fail(t *testing.T) {
	t.Helper()
	if err := w.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// onTimeline waits until the pipeline has a position on that timeline.
func (s *site) onTimeline(t *testing.T, timeline string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		p, err := s.pipeline(t.Context())
		if err != nil {
			return err.Error()
		}
		if parts := strings.Split(p.Position, ":"); len(parts) != 3 || parts[1] != timeline {
			return fmt.Sprintf("the pipeline is %s at %s, want timeline %s: %s", p.State, p.Position, timeline, p.Error)
		}
		return ""
	})
}

func TestAPromotedStandbyIsFollowedWithoutAnOperator(t *testing.T) {
	t.Parallel()
	w := newTwins(t, "18")
	// Else the log that is published could be ahead of what the new primary has.
	execute(t, w.primary.URL("postgres"), fmt.Sprintf("ALTER SYSTEM SET synchronized_standby_slots = '%s'", w.standby.StandbySlot()), "SELECT pg_reload_conf()")
	l := newLoad(w.url, devtest.Topic(t), seeded(t))
	execute(t, l.url, schema)
	brokers := devtest.Kafka(t).Brokers()
	s := newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", brokers, partitions), pipelineText("followed", l.url, l.tables()))
	n := s.start(t)
	n.reaches(t, "streaming")
	// A standby that has found no slot looks again only after half a minute, unless it has just started.
	if err := w.standby.Restart(t.Context(), devstack.Fast); err != nil {
		t.Fatal(err)
	}
	if err := w.standby.WaitSlot(t.Context(), "kafkasync_followed", "0/0"); err != nil {
		t.Fatal(err)
	}
	samples := watch(t, l.url, "kafkasync_followed", s)
	l.start(t)
	l.goesOn(t)
	w.fail(t)
	l.goesOn(t)
	s.onTimeline(t, "2")
	n.reaches(t, "streaming")
	l.finish(t)
	drained(t, l.url, "kafkasync_followed")

	gaps := s.gaps(t)
	_, problems := judge(t, l, brokers, gaps, samples.end(), 1+s.restarts(t))
	// What the old primary alone had committed is gone, and was not published.
	gone := len(problems)
	problems = slices.DeleteFunc(problems, func(problem string) bool { return strings.HasPrefix(problem, "the database has lost transaction") })
	t.Logf("the new primary lacks %d transactions; the end of the log:\n%s", gone-len(problems), n.log.tail(10))
	report(t, problems)
	if stopped := linesWith(n.log.String(), "level=ERROR"); len(gaps) != 0 || len(stopped) != 0 {
		t.Errorf("got the gaps %v and the errors %q, want none: nothing was to be done", gaps, stopped)
	}
	w.oldOneComesBack(t, s, n, l)
}

// oldOneComesBack starts the old primary beside the new one. It is the first in the URL and
// accepts writes, so it is what a node finds that starts now; which must not read it.
func (w *twins) oldOneComesBack(t *testing.T, s *site, n *node, l *load) {
	t.Helper()
	if err := w.primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := ends(t, devtest.Kafka(t).Brokers(), l.topicNames()...).total()
	// One that streams stays where it is, also with what it asks beside the stream.
	execute(t, w.standby.URL("shop"), "CREATE TABLE late (id int PRIMARY KEY)",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'kafkasync%' AND backend_type = 'client backend'")
	eventually(t, time.Minute, func() string {
		p, err := s.pipeline(t.Context())
		if err != nil || !slices.Contains(p.Tables, "public.late") {
			return fmt.Sprintf("got the tables %v (%v), want public.late of the new primary", p.Tables, err)
		}
		return ""
	})
	execute(t, w.standby.URL("shop"), "INSERT INTO ledger VALUES (-1)")
	eventually(t, time.Minute, func() string {
		if got := ends(t, devtest.Kafka(t).Brokers(), l.topicNames()...).total() - before; got != 1 {
			return fmt.Sprintf("got %d messages, want the one of the new primary", got)
		}
		return ""
	})
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
	execute(t, w.primary.URL("shop"), "INSERT INTO ledger VALUES (-2)")
	n = s.start(t)
	n.reaches(t, "stopped", "the server is on timeline 1, and the checkpoint at ", " on timeline 2: it is an old primary that has come back", "stop this server and point source.postgres.url at the present primary")
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
	closed(t, w.primary.Stop())
	n = s.start(t)
	n.reaches(t, "streaming")
	execute(t, w.standby.URL("shop"), "INSERT INTO ledger VALUES (-3)")
	drained(t, w.standby.URL("shop"), "kafkasync_followed")
	if got := ends(t, devtest.Kafka(t).Brokers(), l.topicNames()...).total() - before; got != 2 {
		t.Errorf("got %d messages since the old primary came back, want the two of the new one", got)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

func TestAPromotedStandbyWithoutTheSlotEndsInOneMessageWhoseCommandWorks(t *testing.T) {
	t.Parallel()
	w := newTwins(t, "") // whose slots stay where they are
	s := newTaleAt(t, w.standby, "left_behind", w.url)
	s.begin()
	s.keep()
	if err := w.standby.WaitReplayed(t.Context(), formatLSN(s.place("pg_current_wal_lsn()"))); err != nil {
		t.Fatal(err)
	}
	w.fail(t)
	s.lose()
	message := s.halted("stopped", "the replication slot kafkasync_left_behind does not exist on this server, which is on timeline 2, the checkpoint on 1: it was promoted")
	s.obey(s.commandIn(message)...)
	s.keep()
	s.judged(s.gaps(len(taleTables)), false)
	s.site.onTimeline(t, "2")
	s.end()
}
