package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// chaos is an arena in which faults happen, round after round. After each round everything is healed, the load rests,
// and all that is in Kafka since the last one is held against what the load remembers.
type chaos struct {
	*arena

	dice    *rand.Rand
	bulks   *bulks
	hurt    map[string]bool // nodes that something is being done to
	servers int             // that are away
	cuts    int             // of the lines, that last
	lost    bool            // what is on one of the disks, until all nodes are well again
	file    int             // version that was rolled out last
	cards   []fault         // whose turn comes next
	auditor *auditor
	tally   *tally
}

// The rows of the large transaction, and the writers beside it.
const (
	chaosRows    = 1_000_000
	shortRows    = 150_000
	fewRows      = 40_000
	chaosWriters = 7
)

// Variables of the environment for TestChaos.
const (
	chaosMinutes = "E2E_CHAOS_MINUTES" // how long it goes on, at random
	plantedBug   = "E2E_PLANTED_BUG"   // the build tag of a bug that the nodes have
)

// TestChaos takes every fault once, in a fixed order, unless it is told to go on: see `make chaos`.
func TestChaos(t *testing.T) {
	minutes := number(t, chaosMinutes, 0)
	if minutes == 0 {
		f := chaoticRaced
		if bug := os.Getenv(plantedBug); bug != "" {
			f = chaotic.with(bug)
		}
		c := newChaos(t, f, sourceOfChaos(), shortRows)
		c.once(faults())
		c.end()
		return
	}
	c := newChaos(t, chaotic, sourceOfChaos(), chaosRows)
	c.load.pace = chaosWriters
	c.goOn(minutes)
	c.end()
	c.tally.valid(t, minutes)
}

// A MySQL and a MariaDB take the faults that have most to do with their log. E2E_CHAOS_SOURCE lets TestChaos have all of them.
func TestChaosOfMySQLAndMariaDB(t *testing.T) {
	for _, source := range []string{"mysql", "mariadb"} {
		t.Run(source, func(t *testing.T) {
			c := newChaos(t, chaoticRaced, source, fewRows)
			c.once(faultsOf(t, "kill -9 of the leader", "the database restarts, as in a crash", "SIGSTOP of the leader", "two nodes are down"))
			c.end()
		})
	}
}

// newChaos starts the cluster. The large table is filled before anybody looks.
func newChaos(t testing.TB, f flavour, source string, rows int) *chaos {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers, and -short starts none")
	}
	c := &chaos{hurt: map[string]bool{}, tally: &tally{rows: rows}}
	c.arena = newArena(t, f, startDatabase(t, source, rows))
	c.dice = rand.New(rand.NewPCG(c.load.seed, 1))
	c.bulks = newBulks(c.load.topic("big"), rows)
	c.start(t, trioIDs...)
	c.whole(t)
	c.samples, c.seen = watchCluster(t, c.db.place, c.db.forgotten(), c.sites["a"], c.sites["b"], c.sites["c"])
	c.auditor = newAuditor(c)
	return c
}

// once has each of these faults once, and is over soon.
func (c *chaos) once(all []fault) {
	c.t.Helper()
	for i := range all {
		all[i].least, all[i].most = 300*time.Millisecond, 1500*time.Millisecond
	}
	const inARound = 6
	for n, round := range slices.Collect(slices.Chunk(all, inARound)) {
		c.round(round, n == 0, false)
	}
}

// goOn draws faults until the time is over, and every kind of them has come as often as it has to.
func (c *chaos) goOn(minutes int) {
	c.t.Helper()
	for until := time.Now().Add(time.Duration(minutes) * time.Minute); time.Now().Before(until) || minutes >= countsFrom && len(c.tally.rare()) > 0; {
		c.round(c.draw(3+c.dice.IntN(3)), c.dice.IntN(2) == 0, true)
	}
}

// draw takes faults like cards, so that each kind has its turn.
func (c *chaos) draw(n int) (cards []fault) {
	for len(c.cards) < n {
		more := faults()
		c.dice.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
		c.cards = append(c.cards, more...)
	}
	cards, c.cards = c.cards[:n:n], c.cards[n:]
	return cards
}

// round lets the load in, does the faults, heals everything and judges.
func (c *chaos) round(cards []fault, bulk, overlapping bool) {
	c.t.Helper()
	c.tally.rounds++
	c.load.start(c.t)
	began := time.Now()
	c.load.goesOn(c.t)
	if bulk {
		c.sweep()
	}
	for len(cards) > 0 {
		first, inner := cards[0], 0
		cards = cards[1:]
		switch {
		case !overlapping:
		case first.server:
			inner = min(len(cards), 1+c.dice.IntN(2))
		case c.dice.IntN(3) == 0:
			inner = min(len(cards), 1)
		}
		c.inflict(first, cards[:inner]...)
		cards = cards[inner:]
		if !overlapping || c.dice.IntN(3) > 0 { // else the next one comes while the cluster still recovers
			c.complete()
		}
	}
	c.complete()
	c.load.finish(c.t)
	c.tally.loaded += time.Since(began)
	c.flows()
	c.auditor.audit()
}

// complete waits until all nodes are well and have everything.
func (c *chaos) complete() {
	c.t.Helper()
	c.whole(c.t)
	c.lost = false
}

// flows waits until all that was written until now is published, unless the pipeline has stopped.
func (c *chaos) flows() {
	c.t.Helper()
	end := c.db.written(c.t)
	eventually(c.t, 2*time.Minute, func() string {
		ids := c.unhurt()
		if len(ids) == 0 {
			return "there is nobody to ask"
		}
		p, err := c.sites[ids[0]].pipeline(c.t.Context())
		switch {
		case err != nil:
			return err.Error()
		case p.State == "stopped":
			c.t.Fatalf("the pipeline has stopped: %s", p.Error)
		}
		if at, err := c.db.place(p.Position); err != nil || at < end {
			return fmt.Sprintf("the pipeline is %s at %s (%v), want it to be %d places further: %s", p.State, p.Position, err, end-at, p.Error)
		}
		return ""
	})
}

// inflict does something, and others while it lasts.
func (c *chaos) inflict(f fault, meanwhile ...fault) {
	c.t.Helper()
	alone := c.calm() && !c.lost && len(meanwhile) == 0 // who has lost his data is no help until he has it again
	e := &incident{kind: f.kind, at: time.Now(), alone: alone}
	who, undo := f.does(c)
	if who == "" {
		c.t.Logf("%s: there is nobody to do it to, its turn comes later", f.kind)
		c.cards = append(c.cards, f)
		return
	}
	e.who = who
	c.tally.incidents = append(c.tally.incidents, e)
	c.t.Logf("%s  %s: %s", e.at.Format("15:04:05.000"), f.kind, who)
	if undo == nil {
		return
	}
	for _, m := range meanwhile {
		moment(c.t, upTo(c.dice, time.Second))
		c.inflict(m)
	}
	moment(c.t, f.least+upTo(c.dice, f.most-f.least))
	if alone && f.bearable {
		c.flows() // the others go on without it
	}
	undo()
	c.t.Logf("%s  %s: %s: that is over", time.Now().Format("15:04:05.000"), f.kind, who)
}

// sweep updates every row of the large table, and returns when a part of that is in Kafka.
func (c *chaos) sweep() {
	c.t.Helper()
	before := ends(c.t, c.brokers, c.bulks.topic).total()
	for committed := false; !committed; {
		var err error
		committed, err = c.db.sweep(c.t.Context(), c.dice, func(tx int64) { c.bulks.began[tx] = true })
		c.must(err)
	}
	part := before + 1 + c.dice.Int64N(int64(c.bulks.rows)/2)
	eventually(c.t, 2*time.Minute, func() string {
		if end := ends(c.t, c.brokers, c.bulks.topic).total(); end < part {
			return fmt.Sprintf("%s ends at %d, want %d", c.bulks.topic, end, part)
		}
		return ""
	})
}

// end lets all delay messages come, and reports.
func (c *chaos) end() {
	c.t.Helper()
	c.auditor.healed()
	c.samples.end()
	c.t.Log(c.tally.report(c.auditor.twins))
	c.warnings(c.t)
	for _, id := range trioIDs {
		c.terminate(c.t, id)
	}
}

// leads is who leads now, as one of the nodes says that nothing is done to; "" if none knows.
func (c *chaos) leads() string {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	for _, id := range c.unhurt() {
		if status, err := c.sites[id].status(ctx); err == nil && status.Cluster.Leader != "" {
			return status.Cluster.Leader
		}
	}
	return ""
}

// unhurt are the nodes that nothing is done to.
func (c *chaos) unhurt() (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if !c.hurt[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// leading picks the leader, or any node if nobody can say who that is; "" if something is done to all of them.
func (c *chaos) leading() string {
	leader, ids := c.leads(), c.unhurt()
	switch {
	case slices.Contains(ids, leader):
		return leader
	case len(ids) == 0:
		return ""
	default:
		return ids[c.dice.IntN(len(ids))]
	}
}

// following picks a node that does not lead.
func (c *chaos) following() string {
	leader := c.leads()
	ids := slices.DeleteFunc(c.unhurt(), func(id string) bool { return id == leader })
	if len(ids) == 0 {
		return ""
	}
	return ids[c.dice.IntN(len(ids))]
}

// either picks the leader or another one.
func (c *chaos) either() string {
	if c.dice.IntN(2) == 0 {
		return c.leading()
	}
	return c.following()
}
