package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// bare is a bare loop with its settings.
type bare struct {
	reader          string
	linger, backoff int
}

// bares are the loops in the order of a round. Both linger.ms are tried because
// either may be the faster. With a full queue librdkafka by itself asks for more
// only after a second, in which the loop stands still: the upper bound does not
// wait that long.
func bares(round int) []bare {
	all := []bare{{bareDefaults, 0, 0}, {bareLoop, 0, 10}, {bareDefaults, 5, 0}, {bareLoop, 5, 10}}
	if round%2 == 1 {
		slices.Reverse(all)
	}
	return all
}

// resendBare runs the loops, and returns the faster sample of each reader.
func (b *bench) resendBare(ctx context.Context, q backlog, o offsets, round int) (map[string]sample, error) {
	best := map[string]sample{}
	for _, loop := range bares(round) {
		if err := b.rest(ctx); err != nil {
			return nil, err
		}
		m, err := b.relay(ctx, q, o, loop)
		if err != nil {
			return nil, fmt.Errorf("%s with linger.ms %d: %w", loop.reader, loop.linger, err)
		}
		b.say("round %d: %s, linger.ms %d: %s; %s", round+1, loop.reader, loop.linger, m, m.outage)
		if before, ok := best[loop.reader]; !ok || m.rate() > before.rate() {
			best[loop.reader] = m
		}
	}
	return best, nil
}

// relay runs the bare loop in a process of its own, so that it can be measured as a node is.
func (b *bench) relay(ctx context.Context, q backlog, o offsets, loop bare) (m sample, err error) {
	to := fmt.Sprintf("%s-bare-%d-%d", q.topic, loop.linger, loop.backoff)
	if err := o.create(ctx, to); err != nil {
		return m, err
	}
	order, err := json.Marshal(relayOrder{
		Brokers: b.kafka.Brokers(), From: q.topic, To: to, Linger: loop.linger, Backoff: loop.backoff, Ends: q.ends,
	})
	if err != nil {
		return m, fmt.Errorf("writing the order: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return m, fmt.Errorf("looking for this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, relayWord, string(order))
	hold, err := cmd.StdinPipe()
	if err != nil {
		return m, fmt.Errorf("starting the loop: %w", err)
	}
	started := time.Now()
	c, err := launch("the loop", cmd, filepath.Join(b.dir, to+".log"))
	if err != nil {
		return m, fmt.Errorf("starting the loop: %w", err)
	}
	s := &sending{child: c, offsets: o, topic: to, from: make([]int64, partitions), received: b.newReceived(c.pid())}
	m, err = s.follow(ctx, q.due.records)
	if err != nil {
		return m, errors.Join(err, c.kill())
	}
	m.outage.linger = &loop.linger
	if err := errors.Join(hold.Close(), c.await()); err != nil { // the end of its input is that of its wait
		return m, err
	}
	err = b.readBack(ctx, &m, s, q, started)
	return m, err
}
