package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/pipeline"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

// running is one run in the background of a test.
type running struct {
	db      *sourcetest.Memory
	cluster *cluster
	p       *pipeline.Pipeline
	end     context.CancelCauseFunc
	ended   chan error
}

// start runs a pipeline over an empty database of which one row is a batch.
func start(t *testing.T, publish sinkFunc) *running {
	t.Helper()
	r := &running{db: sourcetest.NewMemory(1, nil), cluster: newCluster(nowhere)}
	r.run(t, newPipeline(t, r.db, publish.open))
	synctest.Wait()
	return r
}

func (r *running) run(t *testing.T, p *pipeline.Pipeline) {
	ctx, end := context.WithCancelCause(t.Context())
	r.p, r.end, r.ended = p, end, make(chan error, 1)
	go func() { r.ended <- p.Run(ctx, r.cluster.grant()) }()
}

func (r *running) position() source.Position {
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	return r.cluster.position
}

// stop ends the run and returns how long that took, and its error.
func (r *running) stop() (time.Duration, error) {
	began := time.Now()
	r.end(errDone)
	err := <-r.ended
	return time.Since(began), err
}

func accept(context.Context, []kafkasync.Message) error { return nil }

// held is a sink whose publishes wait to be released.
type held struct {
	release chan error
	mu      sync.Mutex
	began   []string // keys
}

func newHeld() *held { return &held{release: make(chan error)} }

func (h *held) publish(ctx context.Context, msgs []kafkasync.Message) error {
	h.mu.Lock()
	for i := range msgs {
		h.began = append(h.began, string(msgs[i].Key))
	}
	h.mu.Unlock()
	select {
	case err := <-h.release:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *held) keys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.began)
}

func TestReadingGoesOneBatchAheadOfPublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		read := 0
		db := sourcetest.NewMemory(1, func(p sourcetest.Point) error {
			if p == sourcetest.AfterNext {
				read++ // by one goroutine, and looked at only while it rests
			}
			return nil
		})
		r := &running{db: db, cluster: newCluster(nowhere)}
		r.run(t, newPipeline(t, db, sinkFunc(h.publish).open))
		synctest.Wait()
		for id := range int64(5) {
			db.Commit(insert(id))
		}
		synctest.Wait()
		if keys := h.keys(); read != 2 || !slices.Equal(keys, []string{"0"}) {
			t.Fatalf("with a publish in flight: got %d batches read and %q published, want 2 and one", read, keys)
		}
		h.release <- nil
		synctest.Wait()
		if keys := h.keys(); read != 3 || !slices.Equal(keys, []string{"0", "1"}) {
			t.Fatalf("after one publish: got %d batches read and %q published, want 3 and two", read, keys)
		}
		if lag := r.p.Status().Snapshot(time.Now().Add(time.Minute)).LagSeconds; lag != 60 {
			t.Errorf("a minute later: got a lag of %v s, want 60", lag)
		}
		r.end(errDone)
		h.release <- nil // in flight when the lease ended
		if err := <-r.ended; !errors.Is(err, errDone) {
			t.Errorf("got the error %v, want %v", err, errDone)
		}
		if keys := h.keys(); len(keys) != 2 {
			t.Errorf("got %q published, want nothing begun after the lease ended", keys)
		}
		if got := r.position(); got != "memory:2" || db.Confirmed() != got {
			t.Errorf("got %q committed and %q confirmed, want what was in flight, memory:2", got, db.Confirmed())
		}
	})
}

func TestFlightIsGivenUpAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		r := start(t, h.publish)
		head := r.position()
		r.db.Commit(insert(1))
		synctest.Wait()
		took, err := r.stop()
		if !errors.Is(err, errDone) || took != 5*time.Second {
			t.Errorf("got the error %v after %v, want %v after 5s", err, took, errDone)
		}
		if got := r.position(); got != head {
			t.Errorf("got %q committed, want %q: nothing is acknowledged", got, head)
		}
	})
}

func TestIdlePipelineEndsAtOnceAndCommitsOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, accept)
		r.db.Commit(insert(1))
		if err := after(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if r.cluster.commits != 2 { // the head, and one change
			t.Errorf("got %d commits in an hour with one change, want 2", r.cluster.commits)
		}
		snapshot := r.p.Status().Snapshot(time.Now())
		if snapshot.State != pipeline.Streaming || snapshot.LagSeconds != 0 || snapshot.Position != "memory:1" {
			t.Errorf("got %+v, want it streaming at memory:1 without lag", snapshot)
		}
		took, err := r.stop()
		if !errors.Is(err, errDone) || took != 0 {
			t.Errorf("got the error %v after %v, want %v at once", err, took, errDone)
		}
		if s := r.p.Status().Snapshot(time.Now()); s.State != pipeline.Waiting || s.Error != "" {
			t.Errorf("after being told to end: got state %s and error %q, want waiting without one", s.State, s.Error)
		}
	})
}

// A batch without changes must not move the checkpoint past one that is still in flight.
func TestEmptyBatchWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		r := start(t, h.publish)
		head := r.position()
		r.db.Commit(insert(1))
		synctest.Wait()
		r.db.Commit(sourcetest.Tx{{Kind: sourcetest.Other, Row: sourcetest.Item(1, "")}})
		if err := after(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		if got := r.position(); got != head {
			t.Fatalf("got %q committed while the batch before is in flight, want %q", got, head)
		}
		h.release <- nil
		if err := after(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		if got := r.position(); got != r.db.End() || len(h.keys()) != 1 {
			t.Errorf("got %q committed and %q published, want %q and one message", got, h.keys(), r.db.End())
		}
		r.end(errDone)
		<-r.ended
	})
}

func TestNothingIsPublishedOnceTheLeaseIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		published := 0
		r := &running{db: sourcetest.NewMemory(10, nil)}
		r.cluster = newCluster(func(name string) error {
			if name == "Raise, after" {
				r.end(errDone) // lost while the ceiling was raised, between two looks
			}
			return nil
		})
		r.run(t, newPipeline(t, r.db, sinkFunc(func(context.Context, []kafkasync.Message) error {
			published++
			return nil
		}).open))
		synctest.Wait()
		r.db.Commit(insert(1))
		if err := <-r.ended; !errors.Is(err, errDone) || published != 0 {
			t.Errorf("got %d publishes and the error %v, want none and %v", published, err, errDone)
		}
	})
}

func TestRunEndsWithItsFirstCause(t *testing.T) {
	refused := errors.New("the broker refuses it")
	for name, tt := range map[string]struct {
		publish sinkFunc
		router  router
		disturb func(*running)
		want    error
	}{
		"publish": {
			publish: func(context.Context, []kafkasync.Message) error { return refused },
			want:    refused,
		},
		"route":  {publish: accept, router: router{refuse: "m2"}, want: errRefused},
		"fenced": {publish: accept, disturb: func(r *running) { r.cluster.grant() }},
		"source": {publish: accept, disturb: func(r *running) { r.db.Disconnect() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &running{db: sourcetest.NewMemory(10, nil), cluster: newCluster(nowhere)}
				closed := 0
				p, err := pipeline.New(pipeline.Config{
					Name: "shop", Source: r.db, Router: tt.router, Logger: quiet(),
					OpenSink: func(context.Context) (sink.Sink, error) { return &counted{tt.publish, &closed}, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				r.run(t, p)
				synctest.Wait()
				if tt.disturb != nil {
					tt.disturb(r)
				}
				r.db.Commit(insert(1))
				synctest.Wait()
				r.db.Commit(insert(2))
				got := <-r.ended
				if got == nil || errors.Is(got, context.Canceled) || tt.want != nil && !errors.Is(got, tt.want) {
					t.Errorf("got the error %v, want %v", got, tt.want)
				}
				if closed != 1 {
					t.Errorf("the sink was closed %d times, want once", closed)
				}
				if s := p.Status().Snapshot(time.Now()); s.State != pipeline.Waiting || s.Error != got.Error() {
					t.Errorf("got state %s and error %q, want waiting and %q", s.State, s.Error, got)
				}
				// What was acknowledged before the cause is committed all the same.
				if name == "route" && r.position() != "memory:1" {
					t.Errorf("got %q committed, want memory:1", r.position())
				}
			})
		})
	}
}

// counted is a sink that counts how often it is closed.
type counted struct {
	sinkFunc
	closed *int
}

func (c *counted) Close() error {
	*c.closed++
	return nil
}

func TestSinkIsOpenedBeforeTheServerIsPrepared(t *testing.T) {
	away := errors.New("kafka is away")
	db, c := sourcetest.NewMemory(1, nil), newCluster(nowhere)
	p := newPipeline(t, db, func(context.Context) (sink.Sink, error) { return nil, away })
	if err := p.Run(t.Context(), c.grant()); !errors.Is(err, away) {
		t.Fatalf("got the error %v, want %v", err, away)
	}
	if db.Confirmed() != "" || c.declared {
		t.Error("a Kafka that is away has left a slot behind, which holds the database's log")
	}
}

func TestCauseOfTheContextIsReturnedAlsoWhileOpening(t *testing.T) {
	lost := errors.New("the lease is lost")
	ctx, end := context.WithCancelCause(t.Context())
	end(lost)
	p := newPipeline(t, sourcetest.NewMemory(1, nil), func(ctx context.Context) (sink.Sink, error) { return nil, ctx.Err() })
	if err := p.Run(ctx, newCluster(nowhere).grant()); !errors.Is(err, lost) {
		t.Errorf("got the error %v, want %v", err, lost)
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	whole := pipeline.Config{
		Name: "shop", Source: sourcetest.NewMemory(1, nil), OpenSink: sinkFunc(accept).open, Router: router{}, Logger: quiet(),
	}
	if _, err := pipeline.New(whole); err != nil {
		t.Fatalf("got the error %v, want none", err)
	}
	for name, spoil := range map[string]func(*pipeline.Config){
		"name":     func(c *pipeline.Config) { c.Name = "" },
		"source":   func(c *pipeline.Config) { c.Source = nil },
		"sink":     func(c *pipeline.Config) { c.OpenSink = nil },
		"router":   func(c *pipeline.Config) { c.Router = nil },
		"logger":   func(c *pipeline.Config) { c.Logger = nil },
		"interval": func(c *pipeline.Config) { c.CommitEvery = -1 },
	} {
		cfg := whole
		spoil(&cfg)
		if _, err := pipeline.New(cfg); err == nil {
			t.Errorf("a spoiled %s: got no error", name)
		}
	}
}

// A source without a memory of its own (a binlog) would start at another "now" after a crash.
func TestFirstPositionIsCommittedBeforeTheSourceIsOpened(t *testing.T) {
	c := newCluster(nowhere)
	var opened source.Position
	db := sourcetest.NewMemory(1, func(p sourcetest.Point) error {
		if p == sourcetest.BeforeOpen {
			opened = c.grant().Position()
			return errRefused
		}
		return nil
	})
	p := newPipeline(t, db, sinkFunc(accept).open)
	if err := p.Run(t.Context(), c.grant()); !errors.Is(err, errRefused) {
		t.Fatalf("got the error %v, want %v", err, errRefused)
	}
	if opened != "memory:0" || !c.declared {
		t.Errorf("got %q committed when the source was opened, declared %t, want memory:0 and true", opened, c.declared)
	}
}

// The node that took over has a clock behind that of the one before.
func TestSequenceStartsAtTheFloorOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int64
		r := &running{db: sourcetest.NewMemory(10, nil), cluster: newCluster(nowhere)}
		floor := time.Now().Add(time.Hour).UnixMicro()
		r.cluster.ceiling = floor
		r.run(t, newPipeline(t, r.db, sinkFunc(func(_ context.Context, msgs []kafkasync.Message) error {
			for i := range msgs {
				got = append(got, msgs[i].Seq)
			}
			return nil
		}).open))
		synctest.Wait()
		r.db.Commit(sourcetest.Tx{{Kind: sourcetest.Fill, Row: sourcetest.Item(1, "many"), Count: 3}})
		synctest.Wait()
		r.end(errDone)
		<-r.ended
		if !slices.Equal(got, []int64{floor, floor + 1, floor + 2}) {
			t.Errorf("got seq %d, want three from %d on", got, floor)
		}
	})
}
