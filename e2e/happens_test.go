package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"
)

// Chaos that only seems to happen would prove nothing.
func TestWhatTheChaosDoesHappens(t *testing.T) {
	a := newArena(t, "happens", chaoticRaced, "")
	a.start(t, trioIDs...)
	a.begin()
	a.isolatesTheLeader()
	a.strandsTheLeader()
	for _, leads := range []bool{false, true} {
		a.spoils("a full disk", leads, (*disk).fill, (*disk).free, "no space left on device")
		a.spoils("a broken disk", leads, (*disk).breakLog, (*disk).mendLog, "input/output error")
	}
	a.wipes()
	report(t, overtaken(t, a.judge()))
}

// isolatesTheLeader wants another node to lead, while this one can still write to Kafka, and does not.
func (a *arena) isolatesTheLeader() {
	a.t.Helper()
	leader := a.leader(a.t)
	a.now("the leader does not hear the others", "%s", leader)
	a.lines.isolate(leader)
	n := a.nodes[leader]
	delete(a.nodes, leader) // of those that are to agree
	next := a.leader(a.t)
	eventually(a.t, time.Minute, func() string {
		code, body, err := a.sites[leader].get(a.t.Context(), "/readyz")
		if err != nil || code != http.StatusServiceUnavailable {
			return fmt.Sprintf("got %d %s (%v), want node %s not to be ready", code, body, err, leader)
		}
		return contains("/readyz", string(body), "no leader is known")
	})
	if open := a.lines.count(leader, toKafka); open == 0 {
		a.t.Errorf("node %s has no connection with Kafka, want it to be cut off from the other nodes only", leader)
	}
	if problem := a.says(leader, "waiting", "no leader is known"); problem != "" {
		a.t.Error(problem)
	}
	drained(a.t, a.load.url, a.slot)
	a.lines.heal()
	began := time.Now()
	a.nodes[leader] = n
	a.whole(a.t)
	a.t.Logf("all is well %s after node %s hears the others again", time.Since(began).Round(time.Millisecond), leader)
	if got := a.leader(a.t); got == leader {
		a.t.Errorf("node %s leads again, want it to follow %s", leader, next)
	}
}

// says asks a node about the pipeline.
func (a *arena) says(id, state string, parts ...string) string {
	p, err := a.sites[id].pipeline(a.t.Context())
	if err != nil || p.State != state {
		return fmt.Sprintf("node %s: the pipeline is %s (%v): %s; want %s", id, p.State, err, p.Error, state)
	}
	return contains("the pipeline's error", p.Error, parts...)
}

// strandsTheLeader wants that nothing is published any more, while the others still hear the leader.
func (a *arena) strandsTheLeader() {
	a.t.Helper()
	leader := a.leader(a.t)
	a.now("the leader does not hear the servers", "%s", leader)
	a.lines.strand(leader)
	eventually(a.t, time.Minute, func() string {
		before := ends(a.t, a.brokers, a.load.topicNames()...).total()
		a.load.goesOn(a.t)
		if after := ends(a.t, a.brokers, a.load.topicNames()...).total(); after != before {
			return fmt.Sprintf("%d messages were published by a node that cannot reach Kafka", after-before)
		}
		return ""
	})
	eventually(a.t, time.Minute, func() string {
		for _, id := range trioIDs {
			if status, err := a.sites[id].status(a.t.Context()); err != nil || status.Cluster.Leader != leader {
				return fmt.Sprintf("node %s says that %q leads (%v), want %s: they hear it", id, status.Cluster.Leader, err, leader)
			}
		}
		return ""
	})
	a.lines.heal()
	a.rest()
}

// spoils does something to the disk of a node, which then ends, and says why. The others go on.
func (a *arena) spoils(how string, leads bool, begin, end func(*disk) error, says string) {
	a.t.Helper()
	id := a.follower(a.t)
	if leads {
		id = a.leader(a.t)
	}
	n := a.nodes[id]
	a.now(how, "of %s, which leads: %t", id, leads)
	if err := begin(a.disks[id]); err != nil {
		a.t.Fatal(err)
	}
	if code := n.exit(a.t); code != 1 {
		a.t.Errorf("node %s: got exit status %d, want 1", id, code)
	}
	if problem := contains("the log of node "+id, unfolded(n.log.tail(3)), "the Raft log in the data folder", "cannot be written", says, "to fix: free space, or see to the disk, and start this node again"); problem != "" {
		a.t.Error(problem)
	}
	delete(a.nodes, id)
	a.leader(a.t)
	if err := end(a.disks[id]); err != nil {
		a.t.Fatal(err)
	}
	a.start(a.t, id)
	a.rest()
}

// wipes takes everything away from a node, which comes back all the same.
func (a *arena) wipes() {
	a.t.Helper()
	id := a.follower(a.t)
	a.now("a data folder is lost", "that of %s", id)
	a.kill(a.t, id)
	if err := a.disks[id].wipe(); err != nil {
		a.t.Fatal(err)
	}
	if left, err := os.ReadDir(a.disks[id].dir); err != nil || len(left) != 0 {
		a.t.Errorf("got %v (%v) on the disk of %s, want nothing", left, err, id)
	}
	a.start(a.t, id)
	a.rest()
}
