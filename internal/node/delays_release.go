package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/raftstate"
)

const (
	releaseEvery = 10 * time.Second
	// unnamedFor is how long nobody's rules must have named a pair before it may leave: whoever published
	// by the rules before has long ended, and what was in flight is in Kafka.
	unnamedFor = time.Minute
)

// named is a pair by its name.
type named struct {
	topic string
	delay time.Duration
}

// release lets pairs leave that no node's rules name any more, once nothing of them waits. All nodes
// do it; on one that does not lead it fails, and nobody minds.
func (d *delays) release(ctx context.Context) {
	since := map[named]time.Time{} // since when no rule names a pair, and nothing of it waits
	tick := time.NewTicker(releaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		d.releaseNow(ctx, since, time.Now())
	}
}

func (d *delays) releaseNow(ctx context.Context, since map[named]time.Time, now time.Time) {
	unnamed, revision := d.registry.Unnamed()
	seen := map[named]bool{}
	for _, p := range unnamed {
		key := named{p.Topic, p.Delay}
		seen[key] = true
		// Empty at every look since: that a broker does not know a topic may be a moment's ignorance.
		if _, ok := since[key]; !ok || !d.empty(p) {
			since[key] = now
		}
		if now.Sub(since[key]) < unnamedFor {
			continue
		}
		err := d.registry.Release(ctx, p.Topic, p.Delay, revision)
		switch {
		case err == nil:
			d.log.InfoContext(ctx, "a delay is not used any more on a topic, and nothing waits there", "topic", p.Topic, "delay", p.Delay.String())
			return // the others the next time: the revision is another one now
		case errors.Is(err, raftstate.ErrChanged), errors.Is(err, raftstate.ErrLeadershipLost), errors.Is(err, raftstate.ErrStopped):
		default:
			d.log.WarnContext(ctx, "releasing a delay", "topic", p.Topic, "delay", p.Delay.String(), "err", err)
		}
	}
	maps.DeleteFunc(since, func(key named, _ time.Time) bool { return !seen[key] })
}

// empty reports whether it is known that nothing of the pair waits.
func (d *delays) empty(p kafkasync.Pair) bool {
	d.mu.Lock()
	one := d.running[p.Delay]
	d.mu.Unlock()
	if one == nil {
		return false
	}
	counts, problem := one.delayer.Status().Snapshot()
	at := slices.IndexFunc(counts, func(c delayer.Counts) bool { return c.Topic == p.Topic })
	return problem == "" && at >= 0 && counts[at].Settled
}
