package node

import (
	"maps"
	"slices"
	"time"

	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/internal/web"
)

// snapshot is what a delayer knows.
type snapshot struct {
	delay   time.Duration
	counts  []delayer.Counts
	problem string
}

// snapshots returns what each delayer knows, by delay.
func (d *delays) snapshots() (found []snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, delay := range slices.Sorted(maps.Keys(d.running)) {
		one := snapshot{delay: delay}
		one.counts, one.problem = d.running[delay].delayer.Status().Snapshot()
		found = append(found, one)
	}
	return found
}

// status is what is shown of the delays.
func (d *delays) status() (all []web.Delay) {
	for _, s := range d.snapshots() {
		for _, c := range s.counts {
			one := web.Delay{
				Topic: c.Topic, DelayMS: s.delay.Milliseconds(), Waiting: c.Waiting, Lost: int64(c.Lost), Error: s.problem,
			}
			if !c.NextDue.IsZero() {
				due := c.NextDue.UTC()
				one.NextDue, one.LateSeconds = &due, c.Overdue.Seconds()
			}
			all = append(all, one)
		}
	}
	return all
}

// metrics is what is measured of the delays.
func (d *delays) metrics() (all []web.Delayed) {
	for _, s := range d.snapshots() {
		for _, c := range s.counts {
			all = append(all, web.Delayed{
				Topic: c.Topic, Delay: s.delay, Resent: c.Resent, Collapsed: c.Collapsed, Lost: c.Lost, Late: c.Late, Waiting: c.Waiting,
			})
		}
	}
	return all
}
