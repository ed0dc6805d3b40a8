package node

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

// book is a registry of pairs in memory.
type book struct {
	mu       sync.Mutex
	pairs    []kafkasync.Pair
	changed  chan struct{}
	unnamed  bool // all of them
	revision uint64
	refuse   error // what Release answers
}

func (b *book) Pairs() ([]kafkasync.Pair, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pairs, b.changed
}

func (b *book) set(pairs ...kafkasync.Pair) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs = pairs
	b.revision++
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *book) Unnamed() ([]kafkasync.Pair, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.unnamed {
		return nil, b.revision
	}
	return b.pairs, b.revision
}

func (b *book) Release(_ context.Context, topic string, delay time.Duration, revision uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	if revision != b.revision {
		return raftstate.ErrChanged
	}
	for i, p := range b.pairs {
		if p.Topic == topic && p.Delay == delay {
			b.pairs = append(b.pairs[:i:i], b.pairs[i+1:]...)
			b.revision++
			close(b.changed)
			b.changed = make(chan struct{})
			return nil
		}
	}
	return fmt.Errorf("there is no pair %s %s", topic, delay)
}

// delaysWorld is a Kafka in this process and the delayers of a node.
type delaysWorld struct {
	t      *testing.T
	cfg    kafka.Config
	book   *book
	delays *delays
	out    sink.Sink
	seq    int64
}

func newDelaysWorld(t *testing.T) *delaysWorld {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &delaysWorld{t: t, book: &book{changed: make(chan struct{})}}
	w.cfg = kafka.Config{Brokers: []string{strings.Join(cluster.ListenAddrs(), ",")}, Topics: kafka.Topics{Create: true, Partitions: 2}}
	log, clock := slog.New(slog.DiscardHandler), delayer.NewClock(time.Now)
	open := func(ctx context.Context) (sink.Sink, error) {
		return kafka.Open(ctx, w.cfg, kafka.Options{Appended: clock.Appended})
	}
	if w.out, err = open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.out.Close(); err != nil {
			t.Error(err)
		}
	})
	w.delays = &delays{registry: w.book, log: log, running: map[time.Duration]*delayed{}, open: func(delay time.Duration) (*delayer.Delayer, error) {
		return delayer.New(delayer.Config{
			Name: "test", Delay: delay, Brokers: w.cfg.Brokers, Pairs: w.book.Pairs, Clock: clock, Logger: log, OpenSink: open,
		})
	}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.delays.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return w
}

// pair makes the topic.
func (w *delaysWorld) pair(topic string, delay time.Duration) kafkasync.Pair {
	w.t.Helper()
	pair, err := w.out.(sink.Locator).Locate(w.t.Context(), topic, delay)
	if err != nil {
		w.t.Fatal(err)
	}
	return pair
}

func (w *delaysWorld) publish(topic string, delay time.Duration) {
	w.t.Helper()
	w.seq++
	m := kafkasync.Message{
		Topic: topic, Key: []byte("1"), Value: []byte(`{"id":1}`), Op: kafkasync.Updated, Pipeline: "shop", Table: "public.t",
		Seq: w.seq, Committed: time.Now(), Delay: delay,
	}
	if err := w.out.Publish(w.t.Context(), []kafkasync.Message{m}); err != nil {
		w.t.Fatal(err)
	}
}

// shows waits until the status of a pair is as wanted.
func (w *delaysWorld) shows(topic string, delay time.Duration, what string, is func(web.Delay) bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		for _, d := range w.delays.status() {
			if d.Topic == topic && d.DelayMS == delay.Milliseconds() && is(d) {
				return
			}
		}
		<-tick.C
	}
	w.t.Fatalf("got %+v, want %s with %s: %s", w.delays.status(), topic, delay, what)
}

// runs waits until only the delayer of that delay is left.
func (w *delaysWorld) runs(delay time.Duration) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if left := w.delays.snapshots(); len(left) == 1 && left[0].delay == delay {
			return
		}
		<-tick.C
	}
	w.t.Errorf("got %+v, want the delayer of %s alone", w.delays.snapshots(), delay)
}

// settles waits until it is known that nothing of the pair waits.
func (w *delaysWorld) settles(p kafkasync.Pair) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !w.delays.empty(p) {
		if time.Now().After(deadline) {
			w.t.Fatalf("got %+v, want nothing of %+v to wait", w.delays.snapshots(), p)
		}
		<-tick.C
	}
}

func nothingWaits(d web.Delay) bool { return d.Waiting == 0 && d.NextDue == nil && d.Error == "" }

func TestAPairLeavesOnceNobodyNamesItAndNothingOfItWaits(t *testing.T) {
	w := newDelaysWorld(t)
	w.book.set(w.pair("done", time.Second), w.pair("waits", time.Hour))
	w.publish("done", time.Second)
	w.publish("waits", time.Hour)
	w.shows("done", time.Second, "nothing waits", func(d web.Delay) bool {
		for _, m := range w.delays.metrics() {
			if m.Topic == "done" && m.Resent == 1 {
				return nothingWaits(d)
			}
		}
		return false
	})
	w.shows("waits", time.Hour, "one waits", func(d web.Delay) bool { return d.Waiting == 1 && d.NextDue != nil })

	w.settles(kafkasync.Pair{Topic: "done", Delay: time.Second})

	since, now := map[named]time.Time{}, time.Now()
	look := func(after time.Duration) []kafkasync.Pair {
		w.delays.releaseNow(t.Context(), since, now.Add(after))
		pairs, _ := w.book.Pairs()
		return pairs
	}
	if got := look(0); len(got) != 2 {
		t.Fatalf("got %d pairs while the rules name both, want 2", len(got))
	}
	w.book.mu.Lock()
	w.book.unnamed = true
	w.book.mu.Unlock()
	if got := look(time.Hour); len(got) != 2 {
		t.Errorf("got %d pairs when nobody has named them only just, want 2", len(got))
	}
	w.book.mu.Lock()
	w.book.refuse = raftstate.ErrChanged
	w.book.mu.Unlock()
	if got := look(2 * time.Hour); len(got) != 2 {
		t.Errorf("got %d pairs after a release that was refused, want 2", len(got))
	}
	w.book.mu.Lock()
	w.book.refuse = nil
	w.book.mu.Unlock()
	if got := look(3 * time.Hour); len(got) != 1 || got[0].Topic != "waits" {
		t.Errorf("got %+v, want only the pair of which a message waits", got)
	}
	w.shows("waits", time.Hour, "still seen to", func(d web.Delay) bool { return d.Waiting == 1 })
	w.runs(time.Hour)
}

func TestATopicThatIsGoneKeepsNoPair(t *testing.T) {
	w := newDelaysWorld(t)
	w.book.set(kafkasync.Pair{Topic: "gone", Delay: time.Second, ID: "x", Ends: []int64{5}})
	w.book.unnamed = true
	w.settles(kafkasync.Pair{Topic: "gone", Delay: time.Second})
	since := map[named]time.Time{{"gone", time.Second}: time.Now().Add(-time.Hour)}
	w.delays.releaseNow(t.Context(), since, time.Now())
	if pairs, _ := w.book.Pairs(); len(pairs) != 0 {
		t.Errorf("got %+v, want none", pairs)
	}
}

func TestADelayThatBecomesKnownIsSeenToAndOneThatLeavesIsNot(t *testing.T) {
	w := newDelaysWorld(t)
	if got := w.delays.status(); len(got) != 0 {
		t.Fatalf("got %+v before anything is known, want nothing", got)
	}
	one := w.pair("t", time.Second)
	w.book.set(one)
	w.publish("t", time.Second)
	w.shows("t", time.Second, "re-sent", func(web.Delay) bool {
		all := w.delays.metrics()
		return len(all) == 1 && all[0].Resent == 1
	})
	w.book.set(one, w.pair("t", 2*time.Second))
	w.publish("t", 2*time.Second)
	w.shows("t", 2*time.Second, "re-sent", func(web.Delay) bool {
		all := w.delays.metrics()
		return len(all) == 2 && all[1].Resent == 1
	})
	w.book.set(w.pair("t", 2*time.Second))
	w.runs(2 * time.Second)
}
