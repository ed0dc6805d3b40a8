package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/source"
	"github.com/kafkasync/kafkasync/source/sourcetest"
)

var (
	errCrash = errors.New("the test has crashed the run")
	errDone  = errors.New("the test is content")
)

// mode is how a run is brought down at a point.
type mode string

const (
	failing mode = "failing" // the call fails, the process lives
	ending  mode = "ending"  // the lease ends, the call succeeds
	killing mode = "killing" // from here on nothing that the process does has any effect
)

// crash brings a run down when it passes a point for the n-th time. Counting
// every point by itself keeps a crash where it is, however goroutines interleave.
type crash struct {
	mode mode
	at   string
	nth  int

	mu   sync.Mutex
	n    int
	hit  bool
	dead bool
	end  context.CancelCauseFunc // of the present run
}

func (c *crash) point(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errCrash
	}
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
		c.dead = true
		c.end(errCrash)
		return errCrash
	default:
		c.end(errCrash)
		return nil
	}
}

func (c *crash) begin(end context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead, c.end = false, end
}

func scenario() []sourcetest.Tx {
	step := func(kind sourcetest.Kind, id int64) sourcetest.Step {
		return sourcetest.Step{Kind: kind, Row: sourcetest.Item(id, "text")}
	}
	return []sourcetest.Tx{
		{step(sourcetest.Insert, 1)},
		{step(sourcetest.Insert, 2), step(sourcetest.Update, 1)},
		{step(sourcetest.Delete, 1)},
		{{Kind: sourcetest.Other, Row: sourcetest.Item(1, "")}},
		{{Kind: sourcetest.Fill, Row: sourcetest.Item(100, "many"), Count: 8}}, // larger than a batch
		{step(sourcetest.Update, 2), step(sourcetest.Insert, 1)},
		{{Kind: sourcetest.Other, Row: sourcetest.Item(2, "")}},
		{step(sourcetest.Delete, 2), step(sourcetest.Delete, 1)},
		{step(sourcetest.Insert, 3)},
	}
}

// crashWorld is everything outside the process.
type crashWorld struct {
	crash   *crash
	db      *sourcetest.Memory
	cluster *cluster
	ledger  *ledger
	written chan struct{} // closed when all of the scenario is committed
}

func newCrashWorld(t *testing.T, c *crash) *crashWorld {
	txs := scenario()
	w := &crashWorld{crash: c, ledger: newLedger(t, txs), cluster: newCluster(c.point), written: make(chan struct{})}
	var first sync.Once
	w.db = sourcetest.NewMemory(3, func(p sourcetest.Point) error {
		switch p {
		case sourcetest.AfterHead:
			// The first transactions come between Head and the first checkpoint, whoever survives.
			first.Do(func() { go w.write(t.Context(), txs) })
			synctest.Wait()
		case sourcetest.AfterConfirm:
			w.ledger.covers("confirming", w.db, w.db.Confirmed())
			w.ahead()
		default: // nothing to see there
		}
		return c.point(string(p))
	})
	w.cluster.onCommits = func(p source.Position) { w.ledger.covers("committing", w.db, p) }
	return w
}

// write is the application.
func (w *crashWorld) write(ctx context.Context, txs []sourcetest.Tx) {
	defer close(w.written)
	for i, tx := range txs {
		w.db.Commit(tx)
		if i >= 2 && after(ctx, 90*time.Millisecond) != nil {
			return
		}
	}
}

// ahead checks that nothing is confirmed that the cluster has not committed.
func (w *crashWorld) ahead() {
	w.cluster.mu.Lock()
	committed := w.cluster.position
	w.cluster.mu.Unlock()
	confirmed := w.db.Confirmed()
	have, err := w.db.Changes(committed)
	want, err2 := w.db.Changes(confirmed)
	if err != nil || err2 != nil || want > have {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		w.ledger.fault("confirmed %q while only %q is committed", confirmed, committed)
	}
}

func (w *crashWorld) openSink(context.Context) (sink.Sink, error) {
	if err := w.crash.point("Opening the sink, before"); err != nil {
		return nil, err
	}
	if err := w.crash.point("Opening the sink, after"); err != nil {
		return nil, err
	}
	return &ledgerSink{
		ledger:  w.ledger,
		ceiling: (&lease{c: w.cluster}).Ceiling,
		knows:   w.cluster.knows,
		point:   w.crash.point,
		latency: func(ctx context.Context) error { return after(ctx, 70*time.Millisecond) },
	}, nil
}

// finished reports whether everything is written, published, committed and confirmed.
func (w *crashWorld) finished() bool {
	select {
	case <-w.written:
		return w.ledger.complete() && w.db.Confirmed() == w.db.End()
	default:
		return false
	}
}

// runOnce is one run under one lease; it ends by the crash, or when all is finished.
func (w *crashWorld) runOnce(t *testing.T) error {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.crash.begin(cancel)
	w.db.Disconnect() // what a killed process held
	p := newPipeline(t, w.db, w.openSink)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, w.cluster.grant()) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 { // 20 s in the bubble
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			if w.finished() {
				cancel(errDone)
			}
		}
	}
	cancel(errDone)
	return fmt.Errorf("still running after 20 s: %w", <-ended)
}

// crashAt crashes at the point, and goes on with new runs until all is
// published. It reports whether the point was passed so often.
func crashAt(t *testing.T, m mode, point string, nth int) (hit bool) {
	synctest.Test(t, func(t *testing.T) {
		c := &crash{mode: m, at: point, nth: nth}
		w := newCrashWorld(t, c)
		var err error
		for runs := 0; runs < 3 && !w.finished(); runs++ {
			if err = w.runOnce(t); !errors.Is(err, errCrash) && !errors.Is(err, errDone) {
				t.Errorf("run %d: got the error %v, want that of the crash", runs+1, err)
			}
		}
		if verdict := w.ledger.verdict(); verdict != "" {
			t.Errorf("%s at %q, time %d: %s", m, point, nth, verdict)
		} else if !w.finished() {
			t.Errorf("%s at %q, time %d: got %q confirmed and the last error %v, want all up to %q",
				m, point, nth, w.db.Confirmed(), err, w.db.End())
		}
		hit = c.hit
	})
	return hit
}

// TestCrashPoints brings a run down at each of its calls to the outside, before
// and after the call has taken effect, in three ways. Whatever happens, all
// changes are published in the end, in order, and no position is ever ahead of Kafka.
func TestCrashPoints(t *testing.T) {
	if crashAt(t, failing, "nowhere", 1) {
		t.Error("the run without a crash has crashed")
	}
	points := []string{"Publish, half"}
	for _, call := range []string{
		"Opening the sink", "Declare", "Cover", "Head", "Commit", "Open", "Next", "Use", "Raise", "Publish", "Confirm",
	} {
		points = append(points, call+", before", call+", after")
	}
	for _, m := range []mode{failing, ending, killing} {
		for _, point := range points {
			nth := 1
			for !t.Failed() && crashAt(t, m, point, nth) {
				nth++
			}
			if nth == 1 && !t.Failed() {
				t.Errorf("%s: no run came to %q, want every call to be crashed", m, point)
			}
		}
	}
}

// TestPlantedBugIsCaught builds the loop with a committer that runs ahead of
// Kafka, then with a run that passes over what it reads first, and wants the crash points to fail: a test that cannot fail
// shows nothing.
func TestPlantedBugIsCaught(t *testing.T) {
	for tag, want := range map[string]string{
		"planted_confirm_before_ack": "ledger: committing",
		"planted_skip_first_batch":   "was published before",
	} {
		out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", tag,
			"-run", "^TestCrashPoints$", "-count", "1", ".").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Errorf("go test -tags %s: got the error %v, want failing tests\n%s", tag, err, out)
			continue
		}
		if !strings.Contains(string(out), "--- FAIL: TestCrashPoints") || !strings.Contains(string(out), want) {
			t.Errorf("go test -tags %s: got\n%s\nwant TestCrashPoints to fail with %q", tag, out, want)
		}
	}
}
