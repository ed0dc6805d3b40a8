package delayer

import (
	"math/rand/v2"
	"testing"
	"time"
)

// clocks are this node's and the brokers'.
type clocks struct {
	true   time.Time
	node   time.Duration // ahead of the truth
	broker time.Duration
	clock  *Clock
}

func newClocks(node, broker time.Duration) *clocks {
	c := &clocks{true: time.UnixMilli(1_700_000_000_000), node: node, broker: broker}
	c.clock = NewClock(func() time.Time { return c.true.Add(c.node) })
	return c
}

// acknowledge lets a record be written now, and be heard of some time later.
func (c *clocks) acknowledge(after time.Duration) {
	written := c.true.Add(c.broker)
	c.true = c.true.Add(after)
	c.clock.Appended(written)
}

// behind is how much less the clock says than the brokers would.
func (c *clocks) behind() time.Duration {
	return c.true.Add(c.broker).Sub(time.UnixMilli(c.clock.read().broker))
}

func TestBeforeTheFirstObservationTheClockIsTheNodesOwn(t *testing.T) {
	c := newClocks(10*time.Minute, 0)
	c.true = c.true.Add(time.Hour)
	if now := c.clock.read(); now.known || now.node != now.broker || now.node != c.true.Add(c.node).UnixMilli() {
		t.Errorf("got %+v, want the node's own time", now)
	}
}

func TestTheClockIsNeverLaterThanTheBrokersWouldSay(t *testing.T) {
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		random := rand.New(rand.NewPCG(1, uint64(skew))) //nolint:gosec // not for secrets
		c := newClocks(skew, time.Second)
		for range 10_000 {
			c.acknowledge(time.Duration(random.Int64N(int64(3 * time.Second))))
			c.true = c.true.Add(time.Duration(random.Int64N(int64(10 * time.Second))))
			if now := c.clock.read(); c.behind() < 0 || c.behind() > 3*time.Second || !now.known {
				t.Fatalf("a node %s ahead: got a clock %s behind the brokers', want a little and never less", skew, c.behind())
			}
		}
	}
}

func TestTheBestOfSeveralObservationsCounts(t *testing.T) {
	c := newClocks(-10*time.Minute, 0)
	for _, step := range []struct{ after, want time.Duration }{
		{4 * time.Second, 4 * time.Second},
		{time.Second, time.Second},
		{5 * time.Second, time.Second},
		{20 * time.Millisecond, 20 * time.Millisecond},
		{9 * time.Second, 20 * time.Millisecond},
	} {
		c.acknowledge(step.after)
		if got := c.behind(); got != step.want {
			t.Errorf("after %s: got %s behind, want %s", step.after, got, step.want)
		}
	}
	for range 3 { // the good one still counts in the next window, and not for ever
		c.true = c.true.Add(5 * time.Second)
		c.acknowledge(time.Second)
	}
	if got := c.behind(); got != 20*time.Millisecond {
		t.Errorf("in the next window: got %s behind, want 20ms", got)
	}
	c.true = c.true.Add(window)
	c.acknowledge(time.Second)
	if got := c.behind(); got != time.Second {
		t.Errorf("a window later: got %s behind, want 1s", got)
	}
}

func TestAClockThatWasSetIsFollowedWithinTwoWindows(t *testing.T) {
	tests := []struct {
		name  string
		by    time.Duration
		every time.Duration
		after time.Duration // by then it is followed
	}{
		{"ahead", time.Hour, time.Second, 0},
		{"back", -time.Hour, time.Second, 2*window + 2*time.Second},
		{"back, and hardly anything is written", -time.Hour, 50 * time.Second, 100 * time.Second},
		{"back, and nothing was written for long", -time.Hour, time.Hour, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClocks(0, 0)
			c.acknowledge(0)
			c.broker = tt.by
			for waited := time.Duration(0); ; waited += tt.every {
				c.true = c.true.Add(tt.every)
				c.acknowledge(0)
				if c.behind() == 0 {
					return
				}
				if waited >= tt.after {
					t.Fatalf("after %s: got %s behind, want that it is followed", waited, c.behind())
				}
			}
		})
	}
}

func TestWhoSetATimestampDecidesByWhichClockItCounts(t *testing.T) {
	for _, tt := range []struct {
		node, broker, appended, created int64
	}{
		{100, 200, 200, 100},
		{200, 100, 100, 100},
	} {
		r := reading{node: tt.node, broker: tt.broker, known: true}
		if r.counts(true) != tt.appended || r.counts(false) != tt.created {
			t.Errorf("node %d, brokers %d: got %d and %d, want %d and %d", tt.node, tt.broker, r.counts(true), r.counts(false), tt.appended, tt.created)
		}
	}
}
