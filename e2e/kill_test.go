package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestNothingIsLostWhenTheProcessIsKilledAgainAndAgain(t *testing.T) {
	brokers, url := devtest.Kafka(t).Brokers(), devtest.Database(t)
	seed := seeded(t)
	l := newLoad(url, devtest.Topic(t), seed)
	execute(t, url, schema)
	s := newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", brokers, partitions),
		pipelineText("killed", url, l.tables()))
	n := s.start(t)
	n.reaches(t, "streaming")
	l.start(t)
	samples := watch(t, url, "kafkasync_killed", s)

	rng := rand.New(rand.NewPCG(seed, writers))
	kills := number(t, "E2E_KILLS", 20)
	for range kills {
		if rng.IntN(3) > 0 { // else it may be killed before it has read anything
			n.reaches(t, "streaming")
		}
		moment(t, time.Duration(rng.Int64N(int64(time.Second))))
		if !n.alive() {
			t.Fatal("kafkasync has ended by itself")
		}
		n.kill(t)
		n = s.start(t)
	}
	n.reaches(t, "streaming")
	l.finish(t)
	drained(t, url, "kafkasync_killed")
	judge(t, l, brokers, samples.end(), kills+1)

	// An orderly end leaves nothing to be repeated.
	before := ends(t, brokers, l.topicNames()...)
	if code := n.terminate(t); code != 0 {
		t.Fatalf("got exit status %d after SIGTERM, want 0", code)
	}
	n = s.start(t)
	n.reaches(t, "streaming")
	execute(t, url, "INSERT INTO ledger VALUES (-1)")
	drained(t, url, "kafkasync_killed")
	if got := ends(t, brokers, l.topicNames()...).total() - before.total(); got != 1 {
		t.Errorf("got %d messages after an orderly restart and one INSERT, want 1", got)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
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
