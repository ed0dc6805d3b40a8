package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestNothingIsLostWhenTheProcessIsKilledAgainAndAgain(t *testing.T) {
	r := newKillRun(t, raced)
	r.dba = startDBA(t, r.load, r.site, killSlot)
	proved, problems := r.kill(t, number(t, "E2E_KILLS", 30))
	report(t, problems)
	report(t, r.load.unproved(proved))

	// An orderly end leaves nothing to be repeated.
	before := ends(t, r.brokers, r.load.topicNames()...)
	if code := r.node.terminate(t); code != 0 {
		t.Fatalf("got exit status %d after SIGTERM, want 0", code)
	}
	n := r.site.start(t)
	n.reaches(t, "streaming")
	execute(t, r.load.url, "INSERT INTO ledger VALUES (-1)")
	drained(t, r.load.url, killSlot)
	if got := ends(t, r.brokers, r.load.topicNames()...).total() - before.total(); got != 1 {
		t.Errorf("got %d messages after an orderly restart and one INSERT, want 1", got)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// The binary of this test passes over what it reads first after it was killed, as a
// careless change might. If that were not seen, the test above would prove nothing.
func TestSkippingTheFirstBatchIsSeen(t *testing.T) {
	r := newKillRun(t, skipping)
	const kills = 2
	for range kills {
		// Killed at rest: else what comes first may be what was published before the kill.
		r.load.finish(t)
		drained(t, r.load.url, killSlot)
		r.node.kill(t)
		r.load.start(t)
		r.load.goesOn(t)
		r.node = r.site.start(t)
		r.node.reaches(t, "streaming")
	}
	_, problems := r.judge(t, kills+1)
	if got := strings.Join(problems, "\n"); !strings.Contains(got, "LOST") {
		t.Errorf("got %q, want messages to be lost", got)
	}
}

const killSlot = "kafkasync_killed"

// killRun is a node under load that is killed.
type killRun struct {
	brokers string
	load    *load
	site    *site
	node    *node
	samples *watcher
	dba     *dba // changes the schema; may be nil
	rng     *rand.Rand
}

func newKillRun(t testing.TB, f flavour) *killRun {
	t.Helper()
	seed := seeded(t)
	r := &killRun{brokers: devtest.Kafka(t).Brokers(), rng: rand.New(rand.NewPCG(seed, writers))}
	r.load = newLoad(devtest.Database(t), devtest.Topic(t), seed)
	execute(t, r.load.url, schema)
	r.site = newSite(t, f, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", r.brokers, partitions),
		pipelineText("killed", r.load.url, r.load.tables()))
	r.node = r.site.start(t)
	r.node.reaches(t, "streaming")
	r.load.start(t)
	r.samples = watch(t, r.load.url, killSlot, r.site)
	return r
}

// kill kills the node that often, lets it come to rest and returns what was wrong.
func (r *killRun) kill(t testing.TB, times int) (proved, []string) {
	t.Helper()
	for range times {
		if r.rng.IntN(3) > 0 { // else it may be killed before it has read anything
			r.node.reaches(t, "streaming")
		}
		moment(t, upTo(r.rng, 600*time.Millisecond))
		if r.rng.IntN(8) == 0 { // late tables are covered after some seconds
			moment(t, upTo(r.rng, 5*time.Second))
		}
		if !r.node.alive() {
			t.Fatal("kafkasync has ended by itself")
		}
		r.load.goesWell(t)
		r.node.kill(t)
		r.node = r.site.start(t)
	}
	r.node.reaches(t, "streaming")
	if r.dba != nil {
		t.Logf("the schema was changed: %v", r.dba.finish(t))
		r.site.settled(t, r.load)
		r.load.goesOn(t)
	}
	return r.judge(t, times+1)
}

// judge lets the load come to rest and returns what is wrong after that many runs.
func (r *killRun) judge(t testing.TB, runs int) (proved, []string) {
	t.Helper()
	r.load.finish(t)
	drained(t, r.load.url, killSlot)
	gaps := r.site.gaps(t)
	for _, g := range gaps {
		t.Logf("gap of %s from %q to %q: %s", g.Table, g.From, g.To, g.Cause)
	}
	return judge(t, r.load, r.brokers, gaps, r.samples.end(), runs)
}

// unproved says of which tables that there are too little had to be in Kafka to prove anything.
func (l *load) unproved(proved proved) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var problems []string
	for _, k := range l.kinds {
		for _, op := range []kafkasync.Op{kafkasync.Created, kafkasync.Updated, kafkasync.Deleted} {
			if proved[l.topic(k.name)][op] == 0 && (l.lives[k.name] == nil || op == kafkasync.Created) {
				problems = append(problems, fmt.Sprintf("no %s of %s had to be in Kafka: nothing is proved of it", op, k.name))
			}
		}
	}
	return problems
}

// pipelineText is the text of a pipeline in the file.
func pipelineText(name, url, tables string) string {
	return fmt.Sprintf("- name: %s\n  source: {postgres: {url: %q}}\n  tables:\n%s", name, url, indent(indent(tables)))
}

// moment waits for a moment that a test chose at random.
func moment(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
