package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/internal/route"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// after waits in the bubble's time.
func after(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pointFunc is called before and after whatever takes effect outside the process.
type pointFunc func(name string) error

func nowhere(string) error { return nil }

// cluster is what Raft remembers of one pipeline. It survives runs.
type cluster struct {
	mu        sync.Mutex
	epoch     uint64
	position  source.Position
	intact    source.Position
	declared  bool
	covered   []source.Coverage
	ceiling   int64
	commits   int
	pairs     []kafkasync.Pair
	point     pointFunc
	onCommits func(source.Position) // called with what is about to be committed
}

func newCluster(point pointFunc) *cluster {
	return &cluster{point: point, onCommits: func(source.Position) {}}
}

// grant ends the lease before.
func (c *cluster) grant() *lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	return &lease{c: c, epoch: c.epoch, floor: max(c.ceiling, time.Now().UnixMicro()), intact: c.intact}
}

type lease struct {
	c     *cluster
	epoch uint64
	floor int64

	mu     sync.Mutex
	intact source.Position
}

// apply changes the cluster's memory, if the lease is the newest one.
func (l *lease) apply(ctx context.Context, name string, change func()) error {
	if err := l.c.point(name + ", before"); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.c.mu.Lock()
	fenced := l.epoch != l.c.epoch
	if !fenced {
		change()
	}
	l.c.mu.Unlock()
	if fenced {
		return errors.New("another lease has been granted")
	}
	return l.c.point(name + ", after")
}

func (l *lease) read() (c cluster) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return cluster{position: l.c.position, declared: l.c.declared, ceiling: l.c.ceiling, covered: l.c.covered, commits: l.c.commits}
}

func (l *lease) Position() source.Position { return l.read().position }
func (l *lease) Declared() bool            { return l.read().declared }
func (l *lease) Ceiling() int64            { return l.read().ceiling }
func (l *lease) Epoch() uint64             { return l.epoch }
func (l *lease) Floor() int64              { return l.floor }
func (l *lease) Cluster() string           { return "world" }
func (l *lease) Covered() []source.Coverage {
	return l.read().covered
}

func (l *lease) Cover(ctx context.Context, covered []source.Coverage, _ []source.Gap) error {
	return l.apply(ctx, "Cover", func() { l.c.covered = covered })
}

func (l *lease) Intact() source.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.intact
}

func (l *lease) SetIntact(p source.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intact = p
}

func (l *lease) Verify(ctx context.Context) error { return l.apply(ctx, "Verify", func() {}) }

func (l *lease) Commit(ctx context.Context, p source.Position) error {
	l.c.onCommits(p)
	intact := l.Intact()
	return l.apply(ctx, "Commit", func() { l.c.position, l.c.intact, l.c.commits = p, intact, l.c.commits+1 })
}

func (l *lease) Declare(ctx context.Context) error {
	return l.apply(ctx, "Declare", func() { l.c.declared = true })
}

func (l *lease) Raise(ctx context.Context, ceiling int64) error {
	return l.apply(ctx, "Raise", func() { l.c.ceiling = max(l.c.ceiling, ceiling) })
}

func (l *lease) Use(ctx context.Context, pair kafkasync.Pair) error {
	return l.apply(ctx, "Use", func() { l.c.pairs = append(l.c.pairs, pair) })
}

// knows reports whether the cluster knows the pair of a message that carries a delay.
func (c *cluster) knows(m *kafkasync.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.Delay == 0 || slices.ContainsFunc(c.pairs, func(p kafkasync.Pair) bool { return p.Topic == m.Topic && p.Delay == m.Delay })
}

// router makes one message of a change, and a tombstone more of a delete.
type router struct {
	refuse string // the place of a change that it fails on
}

func (r router) Append(dst []kafkasync.Message, _ *route.Buffer, c *source.Change) ([]kafkasync.Message, error) {
	if r.refuse != "" && c.Place == r.refuse {
		return dst, errRefused
	}
	row := c.New
	if row == nil {
		row = c.Old
	}
	m := kafkasync.Message{Topic: c.Table.Name, Op: c.Op, Table: c.Table.Name, Committed: c.Committed, Pos: c.Place, Delay: time.Minute}
	if row != nil {
		m.Key, m.Value = row[0].Bytes, row[0].Bytes
	}
	dst = append(dst, m)
	if c.Op == kafkasync.Deleted {
		m.Value = nil
		dst = append(dst, m)
	}
	return dst, nil
}

var errRefused = errors.New("this change has no key")

// sinkFunc is a sink that is all Publish.
type sinkFunc func(context.Context, []kafkasync.Message) error

func (f sinkFunc) Publish(ctx context.Context, msgs []kafkasync.Message) error { return f(ctx, msgs) }
func (f sinkFunc) Close() error                                                { return nil }

func (f sinkFunc) open(context.Context) (sink.Sink, error) { return f, nil }

func newPipeline(t testing.TB, src source.Source, open func(context.Context) (sink.Sink, error)) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.New(pipeline.Config{Name: "shop", Source: src, OpenSink: open, Router: router{}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func insert(id int64) sourcetest.Tx {
	return sourcetest.Tx{{Kind: sourcetest.Insert, Row: sourcetest.Item(id, fmt.Sprint("item ", id))}}
}
