package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// fault is something that is done to the arena.
type fault struct {
	kind string
	// does begins it. undo ends it; nil: it is over. who is "" if there is nobody to do it to.
	does        func(*chaos) (who string, undo func())
	least, most time.Duration // that it lasts
	bearable    bool          // by itself: the others go on
	server      bool          // it is done to a server of all nodes
}

// faults are one of each kind.
func faults() []fault {
	const ms = time.Millisecond
	return []fault{
		{"kill -9 of the leader", (*chaos).killLeader, 0, 3000 * ms, true, false},
		{"kill -9 of a follower", (*chaos).killFollower, 0, 3000 * ms, true, false},
		{"SIGTERM of the leader", (*chaos).terminateLeader, 0, 2000 * ms, true, false},
		{"SIGSTOP of the leader", (*chaos).freezeLeader, 1000 * ms, 8000 * ms, true, false},
		{"SIGSTOP of a follower", (*chaos).freezeFollower, 1000 * ms, 8000 * ms, true, false},
		{"the leader does not hear the others", (*chaos).isolateLeader, 1000 * ms, 8000 * ms, true, false},
		{"a follower does not hear the others", (*chaos).isolateFollower, 1000 * ms, 8000 * ms, true, false},
		{"the leader does not reach database and Kafka", (*chaos).strandLeader, 1000 * ms, 8000 * ms, true, false},
		{"two nodes are down", (*chaos).killTwo, 0, 5000 * ms, false, false},
		{"a log store fails", (*chaos).breakLog, 500 * ms, 4000 * ms, true, false},
		{"a disk is full", (*chaos).fillDisk, 500 * ms, 4000 * ms, true, false},
		{"a data folder is lost", (*chaos).loseData, 0, 3000 * ms, true, false},
		{"the database restarts, in order", (*chaos).restartDatabase, 0, 0, false, true},
		{"the database restarts, as in a crash", (*chaos).crashDatabase, 0, 0, false, true},
		{"rolling restart", (*chaos).rollRestart, 0, 0, false, false},
		{"rolling change of the file", (*chaos).rollFile, 0, 0, false, false},
		{"Kafka is stopped", (*chaos).stopKafka, 60_000 * ms, 110_000 * ms, false, true},
	}
}

// faultsOf are one of each of these kinds.
func faultsOf(t testing.TB, kinds ...string) (some []fault) {
	t.Helper()
	all := faults()
	for _, kind := range kinds {
		i := slices.IndexFunc(all, func(f fault) bool { return f.kind == kind })
		if i < 0 {
			t.Fatalf("there is no fault %q", kind)
		}
		some = append(some, all[i])
	}
	return some
}

func (c *chaos) killLeader() (string, func()) { return c.killOne(c.leading()) }

func (c *chaos) killFollower() (string, func()) { return c.killOne(c.following()) }

func (c *chaos) killOne(id string) (string, func()) {
	if id == "" {
		return "", nil
	}
	heal := c.harm(id)
	c.kill(c.t, id)
	return id, func() {
		c.start(c.t, id)
		heal()
	}
}

func (c *chaos) killTwo() (string, func()) {
	one, undo := c.killLeader()
	other, undoOther := c.killFollower()
	switch {
	case one == "":
		return "", nil
	case other == "":
		return one, undo
	}
	return one + " and " + other, func() { undo(); undoOther() }
}

func (c *chaos) terminateLeader() (string, func()) {
	id := c.leading()
	if id == "" {
		return "", nil
	}
	heal := c.harm(id)
	c.terminate(c.t, id)
	return id, func() {
		c.start(c.t, id)
		heal()
	}
}

func (c *chaos) isolateLeader() (string, func()) {
	alone := c.calm()
	id, undo := c.cut(c.leading(), c.lines.isolate)
	if undo == nil || !alone {
		return id, undo
	}
	return id, func() {
		// It could still write to Kafka, and knows that it may not.
		eventually(c.t, time.Minute, func() string { return c.says(id, "waiting", "no leader is known") })
		if open := c.lines.count(id, toKafka); open == 0 {
			c.t.Errorf("node %s has no connection with Kafka, want it to be cut off from the other nodes only", id)
		}
		undo()
	}
}

func (c *chaos) isolateFollower() (string, func()) { return c.cut(c.following(), c.lines.isolate) }

// strandLeader cuts the leader off from what it reads and writes. What it had in flight may arrive when that is over,
// behind what another node has published meanwhile.
func (c *chaos) strandLeader() (string, func()) {
	id, undo := c.cut(c.leading(), c.lines.strand)
	if undo == nil {
		return id, nil
	}
	return id, func() {
		c.auditor.order.wakes(time.Now().Truncate(time.Millisecond))
		undo()
	}
}

// says asks a node about the pipeline.
func (c *chaos) says(id, state string, parts ...string) string {
	p, err := c.sites[id].pipeline(c.t.Context())
	if err != nil || p.State != state {
		return fmt.Sprintf("node %s: the pipeline is %s (%v): %s; want %s", id, p.State, err, p.Error, state)
	}
	return contains("the pipeline's error", p.Error, parts...)
}

// cut cuts lines, all of which heal when the last cut ends.
func (c *chaos) cut(id string, how func(string)) (string, func()) {
	if id == "" {
		return "", nil
	}
	heal := c.harm(id)
	how(id)
	c.cuts++
	return id, func() {
		if c.cuts--; c.cuts == 0 {
			c.lines.heal()
		}
		heal()
	}
}

func (c *chaos) breakLog() (string, func()) {
	return c.spoil((*disk).breakLog, (*disk).mendLog, "input/output error")
}

func (c *chaos) fillDisk() (string, func()) {
	return c.spoil((*disk).fill, (*disk).free, "no space left on device")
}

// spoil does something to a disk, at which a node ends as soon as it has something to write, and says why. It is
// started again when that is over.
func (c *chaos) spoil(begin, end func(*disk) error, says string) (string, func()) {
	alone, id := c.calm(), c.either()
	if id == "" {
		return "", nil
	}
	heal := c.harm(id)
	c.must(begin(c.disks[id]))
	n := c.nodes[id]
	delete(c.nodes, id)
	return id, func() {
		if alone && !c.lost {
			if code := n.exit(c.t); code != 1 {
				c.t.Errorf("node %s: got exit status %d, want 1", id, code)
			}
			if problem := contains("the log of node "+id, unfolded(n.log.tail(3)), "the Raft log in the data folder", "cannot be written", says, "start this node again"); problem != "" {
				c.t.Error(problem)
			}
		}
		n.kill(c.t) // without a majority there is nothing to write
		c.must(end(c.disks[id]))
		c.start(c.t, id)
		heal()
	}
}

func (c *chaos) loseData() (string, func()) {
	if c.calm() {
		c.complete()
	}
	id := c.either()
	if id == "" || c.lost { // a majority of the disks is not lost, which takes an operator
		return "", nil
	}
	heal := c.harm(id)
	c.kill(c.t, id)
	c.must(c.disks[id].wipe())
	c.lost = true
	return id, func() {
		c.start(c.t, id)
		heal()
	}
}

func (c *chaos) restartDatabase() (string, func()) {
	c.must(c.db.restart(c.t.Context(), false))
	return "the database", nil
}

func (c *chaos) crashDatabase() (string, func()) {
	c.must(c.db.restart(c.t.Context(), true))
	return "the database", nil
}

func (c *chaos) stopKafka() (string, func()) {
	how, who := c.kafka.Stop, "in order"
	if c.dice.IntN(2) == 0 {
		how, who = c.kafka.Kill, "as in a power cut"
	}
	c.must(how())
	c.servers++
	return who, func() {
		c.must(c.kafka.Start(c.t.Context()))
		c.servers--
	}
}

func (c *chaos) rollRestart() (string, func()) {
	return c.roll(func(string) {})
}

// rollFile gives each node a file in which some tables have another delay.
func (c *chaos) rollFile() (string, func()) {
	c.file++
	return c.roll(func(id string) { c.rule(id, c.file) })
}

// roll stops and starts one node after the other, as an operator would: the next one once the last one is back.
func (c *chaos) roll(between func(id string)) (string, func()) {
	if len(c.hurt) > 0 {
		return "", nil // an operator waits until that is over
	}
	for _, id := range trioIDs {
		c.terminate(c.t, id)
		between(id)
		c.start(c.t, id)
		if c.servers == 0 {
			c.whole(c.t)
			continue
		}
		eventually(c.t, time.Minute, func() string {
			if code, body, err := c.sites[id].get(c.t.Context(), "/readyz"); err != nil || code != 200 {
				return fmt.Sprintf("node %s: got %d %s (%v), want it to be ready", id, code, body, err)
			}
			return ""
		})
	}
	return strings.Join(trioIDs, ", "), nil
}

// calm reports whether nothing is being done to anybody.
func (c *chaos) calm() bool { return len(c.hurt) == 0 && c.servers == 0 }

// harm notes that something is done to a node.
func (c *chaos) harm(id string) (heal func()) {
	c.hurt[id] = true
	return func() { delete(c.hurt, id) }
}

func (c *chaos) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
