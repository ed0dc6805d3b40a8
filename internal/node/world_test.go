package node

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/internal/web"
	"github.com/kafkasync/kafkasync/raftstate"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/sinktest"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

const patience = 20 * time.Second

// testLog is the Memory of a world, with what a database has beside it.
type testLog struct {
	*sourcetest.Memory

	left []string // what Dismantle may not do
	back bool     // Seek says that nothing is skipped

	unreached func() error // nil: it can be reached
}

func (l *testLog) Reach(context.Context) error {
	if l.unreached == nil {
		return nil
	}
	return l.unreached()
}

func (l *testLog) RetainedBytes() int64         { return 4096 }
func (l *testLog) Withdraw(table string) string { return "ALTER PUBLICATION p DROP TABLE " + table }

func (l *testLog) Dismantle(ctx context.Context) ([]string, error) {
	_, err := l.Memory.Dismantle(ctx)
	return l.left, err
}

func (l *testLog) Seek(ctx context.Context, from, to source.Position) (bool, error) {
	skips, err := l.Memory.Seek(ctx, from, to)
	return skips && !l.back, err
}

// broken is what the next calls of Next fail with.
type broken struct {
	fault atomic.Pointer[kafkasync.Fault]
}

func (b *broken) hook(p sourcetest.Point) error {
	if fault := b.fault.Load(); fault != nil && p == sourcetest.BeforeNext {
		return fault
	}
	return nil
}

// world is a node with one pipeline, "shop", from a log in memory to a sink in memory.
type world struct {
	*operator

	raft     *raftstate.Node
	log      *testLog
	broken   broken
	sink     sinktest.Memory
	captured atomic.Bool // by the rules
	dir      string
	stop     func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), stop: func() {}}
	w.log = &testLog{Memory: sourcetest.NewMemory(100, w.broken.hook)}
	w.captured.Store(true)
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs the node, also again after stop.
func (w *world) start(t *testing.T) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	raft, err := raftstate.New(raftstate.Config{ID: "a", Dir: w.dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := pipeline.New(pipeline.Config{
		Name: "shop", Source: w.log, Router: idOnly{}, Logger: quiet, CommitEvery: time.Millisecond,
		OpenSink: func(ctx context.Context) (sink.Sink, error) { return w.sink.Open(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor{name: "shop", hold: raft.Hold, run: pipe.Run, status: pipe.Status(), log: quiet, orders: newOrders()}
	w.raft = raft
	w.operator = &operator{peers: raft, membership: raft, log: quiet, members: []member{{
		name: "shop", status: pipe.Status(), source: w.log, supervisor: s,
		captures: func(string) bool { return w.captured.Load() }, mentions: func(string) bool { return w.captured.Load() },
	}}}
	late, closeRaft := context.WithCancel(context.WithoutCancel(t.Context()))
	ctx, cancel := context.WithCancel(late)
	var pipelines, state sync.WaitGroup
	state.Go(func() {
		if err := raft.Run(late); err != nil {
			t.Errorf("keeping the state: %v", err)
		}
	})
	pipelines.Go(func() { s.supervise(ctx) })
	w.stop = sync.OnceFunc(func() {
		cancel()
		pipelines.Wait()
		closeRaft()
		state.Wait()
	})
}

// report is what the node says of itself.
func (w *world) report() *report {
	return &report{peers: w.raft, ready: w.raft.Ready, delays: &delays{}, members: w.members}
}

// until waits for a state of the pipeline.
func (w *world) until(t *testing.T, want pipeline.State) {
	t.Helper()
	w.eventually(t, "the pipeline to be "+string(want), func() bool { return w.members[0].status.Snapshot(time.Now()).State == want })
}

func (w *world) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain for %s; the pipeline is %+v", patience, what, w.members[0].status.Snapshot(time.Now()))
		}
	}
}

// write commits an item and, unless the pipeline does not run, waits until its position is past it.
func (w *world) write(t *testing.T, id int64, runs bool) {
	t.Helper()
	w.log.Commit(sourcetest.Tx{{Kind: sourcetest.Insert, Row: sourcetest.Item(id, "an item")}})
	if runs {
		w.eventually(t, "the position to move", func() bool { return w.state("shop").Position == w.log.End() })
	}
}

// lose takes the slot away, behind the pipeline's back, and waits until it has noticed.
func (w *world) lose(t *testing.T) {
	t.Helper()
	w.log.Disconnect()
	if err := w.log.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until(t, pipeline.Stopped)
}

// breakDown makes the pipeline stop, and any further run, and returns its position.
func (w *world) breakDown(t *testing.T, what string) source.Position {
	t.Helper()
	w.broken.fault.Store(&kafkasync.Fault{Class: kafkasync.Stop, What: what, Risk: "it", Fix: "skip it"})
	w.write(t, 100, false) // ends the call that waits; the next one fails
	w.until(t, pipeline.Stopped)
	return w.state("shop").Position // it may have got past that, or not
}

func (w *world) published() (ids []string) {
	for _, m := range w.sink.Records() {
		ids = append(ids, string(m.Key))
	}
	return ids
}

// order carries one out that must succeed.
func (w *world) order(t *testing.T, o web.Order) web.Result {
	t.Helper()
	result, err := w.Operate(t.Context(), o)
	if err != nil {
		t.Fatalf("%#v: %v", o, err)
	}
	return result
}

// refused carries one out that must be refused, and returns the refusal.
func (w *world) refused(t *testing.T, o web.Order) *web.Refusal {
	t.Helper()
	_, err := w.Operate(t.Context(), o)
	var refusal *web.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%#v: got %v, want a refusal", o, err)
	}
	return refusal
}

// idOnly makes one message of a change, whose key is the row's number.
type idOnly struct{}

func (idOnly) Append(dst []kafkasync.Message, _ *route.Buffer, c *source.Change) ([]kafkasync.Message, error) {
	id, err := strconv.Atoi(string(c.New[0].Bytes))
	return append(dst, kafkasync.Message{Topic: c.Table.Name, Op: c.Op, Table: c.Table.Name, Key: strconv.AppendInt(nil, int64(id), 10)}), err
}
