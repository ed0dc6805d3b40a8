package delayer

import (
	"sync"
	"time"
)

// window is how long an observation of the brokers' clock counts: long enough that one
// comes along that was hardly delayed, short enough that a clock that was set is followed.
const window = 30 * time.Second

// Clock is the time of the brokers as this node can know it: its own, corrected
// by what the acknowledgements of its own records show. One serves all of a node.
//
// Its own time is that of its start plus what has passed since then by the monotonic clock: a wall
// clock that is set meanwhile changes nothing.
type Clock struct {
	now  func() time.Time
	base time.Time

	mu       sync.Mutex
	known    bool
	began    time.Duration // of the present window, since base
	newest   time.Duration // the brokers' clock is ahead of ours by this much at least, by the present window
	previous time.Duration // and by the one before
}

// NewClock returns a clock that runs by now, which is time.Now but in tests.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now, base: now()} }

// Appended takes the broker's time of a record of ours that was acknowledged just now.
func (c *Clock) Appended(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.now().Sub(c.base) // under the lock: in the order in which they are compared
	// The broker wrote the record before we heard of it, so its clock is ahead by this
	// much or more. Of several such bounds the largest is the best.
	ahead := at.Sub(c.base.Add(since))
	switch {
	case !c.known:
		c.known, c.began, c.newest, c.previous = true, since, ahead, ahead
	case since-c.began > 2*window: // what was seen before is too old to count
		c.began, c.previous, c.newest = since, ahead, ahead
	case since-c.began > window:
		c.began, c.previous, c.newest = since, c.newest, ahead
	default:
		c.newest = max(c.newest, ahead)
	}
}

// reading is one look at the clock, in milliseconds since 1970.
type reading struct {
	node   int64 // by this node alone
	broker int64 // by the brokers, never later than they would say
	known  bool  // the brokers' time has been observed
}

func (c *Clock) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.base.Add(c.now().Sub(c.base))
	return reading{node: node.UnixMilli(), broker: node.Add(max(c.newest, c.previous)).UnixMilli(), known: c.known}
}

// counts is the time by which a record's timestamp counts. Who set it decides: the broker,
// or (CreateTime) another node, whose clock we know nothing of; there the later of
// the brokers' and our own says when the delay has passed.
func (r reading) counts(appended bool) int64 {
	if appended {
		return r.broker
	}
	return min(r.node, r.broker)
}
