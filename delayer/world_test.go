package delayer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
)

// world is a Kafka, and what the cluster of nodes knows.
type world struct {
	*memory

	t    *testing.T
	logs *lines
	seq  int64

	mu      sync.Mutex
	pairs   []kafkasync.Pair
	changes chan struct{}
}

// story runs a test in a bubble, whose time passes when nobody has anything to do.
func story(t *testing.T, tell func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{memory: newMemory(), t: t, logs: &lines{}, changes: make(chan struct{})}
		t.Cleanup(func() {
			for _, wrong := range w.broken() {
				t.Error(wrong)
			}
		})
		tell(t, w)
	})
}

// topic makes a topic whose messages have these delays.
func (w *world) topic(name string, partitions int, delays ...time.Duration) {
	w.create(name, partitions, false)
	w.use(name, delays...)
}

// use lets the cluster know that a topic's messages have these delays from now on.
func (w *world) use(topic string, delays ...time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, delay := range delays {
		w.pairs = append(w.pairs, w.pair(topic, delay))
	}
	close(w.changes)
	w.changes = make(chan struct{})
}

// release lets a pair leave.
func (w *world) release(topic string, delay time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pairs = slices.DeleteFunc(w.pairs, func(p kafkasync.Pair) bool { return p.Topic == topic && p.Delay == delay })
	close(w.changes)
	w.changes = make(chan struct{})
}

func (w *world) known() ([]kafkasync.Pair, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.pairs), w.changes
}

// message is the next one of the pipeline, about a row.
func (w *world) message(topic string, row int, delay time.Duration) kafkasync.Message {
	w.seq++
	return kafkasync.Message{
		Topic: topic, Key: fmt.Appendf(nil, "%d", row), Value: fmt.Appendf(nil, `{"id":%d}`, row), Op: kafkasync.Updated,
		Pipeline: "shop", Table: "public.products", Seq: w.seq, Committed: time.Now(), Pos: "0/16B3748", Delay: delay,
	}
}

// send publishes the messages of rows from first to last.
func (w *world) send(topic string, first, last int, delay time.Duration) {
	w.t.Helper()
	for row := first; row <= last; row++ {
		w.publish(w.message(topic, row, delay))
	}
}

func (w *world) publish(msgs ...kafkasync.Message) {
	w.t.Helper()
	if _, err := w.write(nil, msgs...); err != nil {
		w.t.Fatal(err)
	}
}

// sleep lets the bubble's time pass.
func (w *world) sleep(d time.Duration) {
	_ = wait(context.Background(), d) // it cannot fail
	synctest.Wait()
}

// node is a process that runs delayers.
type node struct {
	process

	w     *world
	clock *Clock
	sized []int // the number of partitions that each membership was opened for
	seats []*memMember
}

// node starts a process with a clock of its own; nil: a right one.
func (w *world) node(now func() time.Time) *node {
	n := &node{w: w}
	n.now = now
	n.clock = NewClock(n.wall)
	return n
}

// ahead is a clock that is wrong by that much.
func ahead(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

func (n *node) make(delay time.Duration) *Delayer {
	n.w.t.Helper()
	d, err := New(Config{
		Name: "kafkasync", Delay: delay, Pairs: n.w.known, Clock: n.clock, now: n.wall,
		Logger:   slog.New(slog.NewTextHandler(n.w.logs, nil)),
		OpenSink: func(context.Context) (sink.Sink, error) { return n.sink() },
		open:     func(partitions int) (Group, Offsets, func(), error) { return n.open(delay, partitions) },
	})
	if err != nil {
		n.w.t.Fatal(err)
	}
	return d
}

func (n *node) sink() (sink.Sink, error) {
	if err := n.pass("OpenSink"); err != nil {
		return nil, err
	}
	return &memSink{m: n.w.memory, process: &n.process, clock: n.clock}, nil
}

func (n *node) open(delay time.Duration, partitions int) (Group, Offsets, func(), error) {
	if err := n.pass("Open"); err != nil {
		return nil, nil, nil, err
	}
	x, o := n.w.join(&n.process, GroupOf("kafkasync", delay))
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.sized = append(n.sized, partitions)
	n.seats = append(n.seats, x)
	return x, o, x.close, nil
}

// running is a delayer that runs.
type running struct {
	*Delayer

	t    *testing.T
	end  context.CancelFunc
	done chan error
}

// run runs a delayer until the test ends, or stop is called.
func (n *node) run(delay time.Duration) *running {
	ctx, end := context.WithCancel(n.w.t.Context())
	r := &running{Delayer: n.make(delay), t: n.w.t, end: end, done: make(chan error, 1)}
	go func() { r.done <- r.Run(ctx) }()
	n.w.t.Cleanup(func() { r.end() })
	return r
}

// stop ends the run, which must not have failed, and returns how long that took.
func (r *running) stop() time.Duration {
	r.t.Helper()
	began := time.Now()
	r.end()
	if err := <-r.done; !errors.Is(err, context.Canceled) {
		r.t.Errorf("got the error %v from a run that was ended, want that of its context", err)
	}
	return time.Since(began)
}

// counts returns what a delayer knows of a topic.
func (r *running) counts(topic string) Counts {
	r.t.Helper()
	all, _ := r.Status().Snapshot()
	for _, c := range all {
		if c.Topic == topic {
			return c
		}
	}
	r.t.Fatalf("got counts of %d topics, want %s among them", len(all), topic)
	panic("unreachable")
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// find returns the lines with a text.
func (l *lines) find(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// jumped is a time whose wall clock was set meanwhile, and whose monotonic clock, which a bubble's time lacks, was not.
func jumped(t time.Time, by time.Duration) time.Time {
	const both, seconds = 1 << 63, 30 // that a time has both clocks, and where the seconds of the wall begin
	var made time.Time
	inside := (*struct {
		wall uint64 // since 1885
		ext  int64  // the monotonic clock
		loc  *time.Location
	})(unsafe.Pointer(&made))
	since := time.Unix(0, 0).Sub(time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC)) + time.Duration(t.UnixNano()) + by
	inside.wall = both | uint64(since/time.Second)<<seconds | uint64(since%time.Second)
	inside.ext = t.UnixNano()
	return made
}

func TestAJumpOfTheWallClockIsOne(t *testing.T) {
	for _, by := range []time.Duration{0, time.Hour, -time.Hour} {
		now := time.Now()
		then := jumped(now, by)
		if got := then.Round(0).Sub(now.Round(0)); got != by || then.Sub(jumped(now, 0)) != 0 {
			t.Errorf("got a jump by %s of the wall clock and by %s of the other, want %s and 0", got, then.Sub(jumped(now, 0)), by)
		}
	}
}
