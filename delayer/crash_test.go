package delayer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
)

var errCrash = errors.New("the test has crashed the run")

// mode is how a run is brought down at a point.
type mode string

const (
	failing mode = "failing" // the call fails, the process lives
	ending  mode = "ending"  // the run is ended, the call succeeds
	killing mode = "killing" // from here on nothing that the process does has any effect
)

// crash brings a run down when it passes a point for the n-th time.
type crash struct {
	mode mode
	at   string
	nth  int

	mu   sync.Mutex
	n    int
	hit  bool
	node *node              // the one that is crashed
	end  context.CancelFunc // of its run
}

func (c *crash) point(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name != c.at {
		return nil
	}
	if c.n++; c.n != c.nth {
		return nil
	}
	c.hit = true
	switch c.mode {
	case failing:
		return errCrash
	case killing:
		c.node.kill()
		c.end()
		return errCrash
	default:
		c.end()
		return nil
	}
}

const crashDelay = 400 * time.Millisecond

// scenario is what the application does, from the beginning of the first run on.
func (w *world) scenario() {
	for i := range 6 {
		w.send("products", 1, 4, crashDelay)
		truncate := w.message("products", 0, 0)
		truncate.Op, truncate.Key, truncate.Value = kafkasync.Truncated, nil, []byte(`{"id":null}`)
		if i == 3 {
			w.publish(truncate)
		}
		w.publish(w.message("products", 1, 0), w.message("products", 2, time.Hour))
		w.send("products", 3, 4, crashDelay) // about rows that are in the same batch already
		w.sleep(130 * time.Millisecond)
	}
}

// crashed is a story of runs that are brought down, each followed by another one.
type crashed struct {
	*world

	crash   *crash
	written chan struct{}
	allowed int // repeats
}

// runOnce is one run of a new process. It ends by the crash, or when all is done.
func (w *crashed) runOnce(t *testing.T) error {
	n := w.node(nil)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	if !w.crash.hit {
		n.point, w.crash.node, w.crash.end = w.crash.point, n, end
	}
	d := n.make(crashDelay)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range 200 {
		select {
		case err = <-ended:
			w.allowed += w.uncommitted()
			return err
		case <-tick.C:
			if w.finished() {
				end()
			}
		}
	}
	end()
	return fmt.Errorf("still running after 20 s: %w", <-ended)
}

// uncommitted is how many twins the next run may send again: those of messages at or behind what is committed.
func (w *crashed) uncommitted() (n int) {
	for _, p := range w.audit().promises {
		at := w.at(GroupOf("kafkasync", crashDelay), "products", p.partition)
		if p.Delay == crashDelay && len(p.twins) > 0 && p.offset >= at {
			n++
		}
	}
	return n
}

// finished reports whether all is written, re-sent and committed.
func (w *crashed) finished() bool {
	select {
	case <-w.written:
	default:
		return false
	}
	for p, end := range w.pair("products", crashDelay).Ends {
		if at := w.at(GroupOf("kafkasync", crashDelay), "products", int32(p)); at != end {
			return false
		}
	}
	return true
}

// crashAt crashes at the point, and goes on with new runs until all is re-sent. Beside them another node may be a member that
// nothing happens to. It reports whether the point was passed so often.
func crashAt(t *testing.T, m mode, point string, nth int, accompanied bool) (hit bool) {
	story(t, func(t *testing.T, sw *world) {
		w := &crashed{world: sw, crash: &crash{mode: m, at: point, nth: nth}, written: make(chan struct{})}
		w.session, w.latency = 600*time.Millisecond, 90*time.Millisecond
		w.topic("products", 2, crashDelay)
		w.found(GroupOf("kafkasync", crashDelay))
		var other *running
		if accompanied {
			other = w.node(nil).run(crashDelay)
		}
		go func() {
			defer close(w.written)
			w.scenario()
		}()
		runs := 0
		for ; runs < 3 && !w.finished(); runs++ {
			if err := w.runOnce(t); !errors.Is(err, errCrash) && !errors.Is(err, errDead) && !errors.Is(err, context.Canceled) {
				t.Errorf("run %d: got the error %v, want that of the crash", runs+1, err)
			}
		}
		if other != nil {
			other.stop()
		}
		a := w.audit()
		a.promised(t)
		if !w.finished() || !accompanied && len(a.repeats) > w.allowed {
			t.Errorf("got all done after %d runs: %t, and %d repeats, want no more than the %d that were not committed", runs, w.finished(), len(a.repeats), w.allowed)
		}
		if hit = w.crash.hit; t.Failed() {
			t.Logf("%s at %q, time %d, accompanied: %t", m, point, nth, accompanied)
		}
	})
	return hit
}

// TestCrashPoints brings a member down at each of its calls to the outside, before and after the call has taken
// effect, in three ways (T1, T2). Whatever happens, each message has its twin in the end, none early, in order, and
// what comes again is no more than what was not committed.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	if crashAt(t, failing, "nowhere", 1, false) {
		t.Error("the run without a crash has crashed")
	}
	points := []string{"OpenSink", "Open", "Publish, half"}
	for _, call := range []string{"Subscribe", "Poll", "Assign", "Unassign", "Commit", "Committing", "Take", "Survey", "Publish"} {
		points = append(points, call+", before", call+", after")
	}
	for _, m := range []mode{failing, ending, killing} {
		for _, point := range points {
			for _, accompanied := range []bool{false, true} {
				if often := strings.HasPrefix(point, "Poll") || strings.HasPrefix(point, "Take"); often && accompanied {
					continue // those calls are many, and the group is of no account for them
				}
				nth := 1
				for !t.Failed() && crashAt(t, m, point, nth, accompanied) {
					nth++
				}
				if nth == 1 && !t.Failed() {
					t.Errorf("%s: no run came to %q, want every call to be crashed", m, point)
				}
			}
		}
	}
}
