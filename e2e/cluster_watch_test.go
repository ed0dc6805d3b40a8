package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// observer looks at the checkpoint of a cluster all the time, from whichever node answers.
type observer struct {
	sites []*site
	place func(position string) (uint64, error)

	mu    sync.Mutex
	epoch uint64
	most  uint64 // position
	said  string // who said so, and when
	back  []string
}

// lookTime is how long the observer waits for a node: one that is frozen would hold it up.
const lookTime = time.Second

func (o *observer) look(ctx context.Context) (uint64, error) {
	var errs []error
	for _, s := range o.sites {
		lsn, err := o.lookAt(ctx, s)
		if err == nil {
			return lsn, nil
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}

// lookAt notes when the position has gone back. Until the node that leads has taken the lease, it may not have applied
// everything yet, and show what was; the lease comes after all that.
func (o *observer) lookAt(ctx context.Context, s *site) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	status, err := s.status(ctx)
	switch {
	case err != nil:
		return 0, err
	case status.Cluster.Leader == "" || status.Pipelines[0].Position == "":
		return 0, errors.New("nobody leads, or nothing is committed")
	}
	p := status.Pipelines[0]
	if p.Holder != status.Cluster.Leader {
		return 0, errors.New("nobody has the lease")
	}
	lsn, err := o.place(p.Position)
	if err != nil {
		return 0, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	said := fmt.Sprintf("epoch %d, held by %s, as %s says that leads, at %s", p.Epoch, p.Holder, status.Cluster.Leader, time.Now().Format(time.StampMilli))
	switch {
	case p.Epoch < o.epoch:
		return 0, errors.New("it does not know the newest lease yet")
	case lsn < o.most:
		o.back = append(o.back, fmt.Sprintf("the position was %s (%s), and went back to %s (%s)", formatLSN(o.most), o.said, formatLSN(lsn), said))
	default:
		o.most, o.said = lsn, said
	}
	o.epoch = p.Epoch
	return lsn, nil
}

func (o *observer) problems() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.back)
}

// watchCluster is watch for a cluster. Without a slot there is only the checkpoint.
func watchCluster(t testing.TB, place func(string) (uint64, error), slot func(context.Context) (uint64, error), sites ...*site) (*watcher, *observer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w, o := &watcher{stop: cancel}, &observer{sites: sites, place: place}
	if slot != nil {
		w.every(ctx, 10*time.Millisecond, "the slot", slot)
	}
	w.every(ctx, 50*time.Millisecond, "the checkpoint", o.look)
	return w, o
}

// event is something that was done to a cluster.
type event struct {
	what, which string
	at          time.Time
}

// outages logs, for each event, the longest time in which nothing was published after it: what a consumer saw of it.
func outages(t testing.TB, brokers, topic string, events []event) {
	t.Helper()
	var at []time.Time
	readTo(t, brokers, ends(t, brokers, topic), func(r *kgo.Record) { at = append(at, r.Timestamp) })
	slices.SortFunc(at, time.Time.Compare)
	all := map[string][]time.Duration{}
	for i, e := range events {
		until := e.at.Add(20 * time.Second)
		if i+1 < len(events) && events[i+1].at.Before(until) {
			until = events[i+1].at
		}
		last, longest := e.at, time.Duration(0)
		for _, when := range at {
			if !when.After(e.at) {
				continue
			}
			if when.After(until) && last != e.at { // what began before the next event, and lasted, is that one's
				break
			}
			longest, last = max(longest, when.Sub(last)), when
		}
		all[e.what] = append(all[e.what], longest)
		t.Logf("%s %-50s %5d ms without a message", e.at.Format(time.StampMilli), e.what+" "+e.which, longest.Milliseconds())
	}
	for what, times := range all {
		if slices.Sort(times); len(times) > 1 {
			t.Logf("%d x %s: %s to %s, median %s", len(times), what, times[0].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond), times[len(times)/2].Round(time.Millisecond))
		}
	}
}
