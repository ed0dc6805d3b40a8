package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// stand is a cluster under load, and what was done to it.
type stand struct {
	*trio

	t       testing.TB
	load    *load
	rng     *rand.Rand
	brokers string
	slot    string
	samples *watcher
	seen    *observer
	events  []event
}

// newStand starts nothing but writes the files.
func newStand(t testing.TB, name string) *stand {
	t.Helper()
	seed := seeded(t)
	s := &stand{t: t, rng: rand.New(rand.NewPCG(seed, writers)), brokers: devtest.Kafka(t).Brokers(), slot: "kafkasync_" + name}
	s.load = newLoad(devtest.Database(t), devtest.Topic(t), seed)
	execute(t, s.load.url, schema)
	s.trio = newTrio(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", s.brokers, partitions), pipelineText(name, s.load.url, s.load.tables()))
	return s
}

// begin lets the load in, and waits until it is read.
func (s *stand) begin() {
	s.t.Helper()
	s.whole(s.t)
	s.load.start(s.t)
	s.samples, s.seen = watchCluster(s.t, placeIn, confirmed(s.load.url, s.slot), s.sites["a"], s.sites["b"], s.sites["c"])
	s.load.goesOn(s.t)
}

// now notes that something is done now.
func (s *stand) now(what, format string, args ...any) {
	s.events = append(s.events, event{what, fmt.Sprintf(format, args...), time.Now()})
}

// takeOver ends the leader, waits for the next one, and starts it again.
func (s *stand) takeOver(end func(*trio, testing.TB, string), how string) {
	s.t.Helper()
	leader := s.leader(s.t)
	s.now(how+" of the leader", "%s", leader)
	end(s.trio, s.t, leader)
	s.leader(s.t)
	s.start(s.t, leader)
	s.rest()
}

// rest waits until all is well again and what was written until now is published, and a little longer.
func (s *stand) rest() {
	s.t.Helper()
	s.whole(s.t)
	drained(s.t, s.load.url, s.slot)
	moment(s.t, upTo(s.rng, 300*time.Millisecond))
	s.load.goesWell(s.t)
}

// judge ends the load and returns what was wrong.
func (s *stand) judge() []string {
	s.t.Helper()
	s.whole(s.t)
	s.load.finish(s.t)
	drained(s.t, s.load.url, s.slot)
	p, err := s.any().pipeline(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	_, problems := judge(s.t, s.load, s.brokers, s.any().gaps(s.t), s.samples.end(), int(p.Epoch))
	outages(s.t, s.brokers, s.load.topic("ledger"), s.events)
	s.warnings(s.t)
	return append(problems, s.seen.problems()...)
}

func TestAnyOfThreeNodesMayEndAtAnyTime(t *testing.T) {
	s := newStand(t, "trio")
	s.formsInAnyOrder()
	s.begin()
	s.answersEverywhere()

	for range number(t, "E2E_TAKEOVERS", 1) {
		s.takeOver((*trio).kill, "kill -9")
		s.takeOver((*trio).terminate, "SIGTERM")
	}
	leader := s.leader(t)
	s.now("member transfer", "from the leader %s", leader)
	if out, errs, code := s.sites[leader].command(t, "member", "transfer", "--yes"); code != 0 {
		t.Errorf("member transfer: got exit status %d, %s%s", code, out, errs)
	}
	s.rest()

	follower := s.follower(t)
	s.now("kill -9 of a follower", "%s", follower)
	s.kill(t, follower)
	s.oneIsAway(follower)
	s.start(t, follower)
	s.rest()

	report(t, s.judge())
	for _, id := range trioIDs {
		s.terminate(t, id)
	}
}

// formsInAnyOrder starts the nodes one by one. The one that forms the cluster is any of them to come, last or not.
func (s *stand) formsInAnyOrder() {
	s.t.Helper()
	order := slices.Clone(trioIDs)
	s.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	s.start(s.t, order[:2]...)
	for _, id := range order[:2] {
		eventually(s.t, time.Minute, func() string {
			code, body, err := s.sites[id].get(s.t.Context(), "/readyz")
			if err != nil || code != 503 {
				return fmt.Sprintf("got %d (%v), want node %s not to be ready", code, err, id)
			}
			return contains("/readyz", string(body), "waiting")
		})
		status, err := s.sites[id].status(s.t.Context())
		if err != nil || status.Cluster.Leader != "" || !strings.Contains(status.Pipelines[0].Error, "waiting") {
			s.t.Errorf("node %s: got %+v (%v), want it to say for what it waits", id, status, err)
		}
	}
	began := time.Now()
	s.start(s.t, order[2])
	leader := s.whole(s.t)
	s.t.Logf("started in the order %v: %s leads, and all are ready, %s after the last one was started", order, leader, time.Since(began).Round(time.Millisecond))
}

// answersEverywhere asks each node for what only the leader knows or does.
func (s *stand) answersEverywhere() {
	s.t.Helper()
	leader := s.leader(s.t)
	for _, id := range trioIDs {
		status, err := s.sites[id].status(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, n := range status.Cluster.Nodes {
			want := "follower"
			if n.ID == leader {
				want = "leader"
			}
			if n.Address != s.sites[n.ID].http || n.Role != want || !n.Reachable || n.Error != "" {
				s.t.Errorf("node %s says %+v, want a %s at %s", id, n, want, s.sites[n.ID].http)
			}
		}
		code, result, said := s.sites[id].post(s.t, "/api/pipelines/trio/drop", `{"dry_run": true}`)
		if code != 200 || result.Done || !strings.Contains(result.Text, "will be stopped") {
			s.t.Errorf("asking node %s to say what a drop does: got %d %s", id, code, said)
		}
		code, _, said = s.sites[id].post(s.t, "/api/pipelines/trio/recover", `{"new_slot": true}`)
		if code != 409 || !strings.Contains(said, "is streaming: there is nothing to recover") {
			s.t.Errorf("asking node %s to recover what needs no recovering: got %d %s", id, code, said)
		}
		out, errs, code := s.sites[id].command(s.t, "status")
		if problem := contains("status", out, "leader "+leader, "streaming"); code != 0 || problem != "" {
			s.t.Errorf("status beside node %s: got exit status %d and %s; %s", id, code, errs, problem)
		}
	}
}

// oneIsAway looks at what is said of a node that does not answer, and what may not be done meanwhile.
func (s *stand) oneIsAway(id string) {
	s.t.Helper()
	out, _, code := s.any().command(s.t, "member", "list")
	if problem := contains("member list", out, "no answer", "node "+id, "it does not answer"); code != 0 || problem != "" {
		s.t.Errorf("got exit status %d; %s", code, problem)
	}
	other := s.follower(s.t)
	out, errs, code := s.any().command(s.t, "member", "remove", other, "--yes")
	if problem := contains("member remove", unfolded(errs), "without node "+other, "no majority"); code != 1 || problem != "" {
		s.t.Errorf("got exit status %d and %s, want it refused; %s", code, out, problem)
	}
}
