package kafka

import (
	"sync"
	"sync/atomic"
)

// recordOverhead is what one record costs in memory besides its own bytes:
// librdkafka's message and headers, its place in a request, and what the
// allocator loses. Measured by BenchmarkRecordOverhead.
const recordOverhead = 1100

// window counts what is on its way to Kafka: Publish adds, the watcher takes away.
type window struct {
	held  atomic.Int64 // bytes in flight
	acked atomic.Int64 // records acknowledged so far
	// wake says that something has changed. It is signalled after the change, so who takes it and then looks misses none.
	wake chan struct{}

	closed atomic.Bool // the watcher is to end

	mu      sync.Mutex
	failed  error // the first record or producer that failed
	trouble error // why Kafka may be silent, by its latest error events
}

func newWindow() *window { return &window{wake: make(chan struct{}, 1)} }

// taken removes reported records from the window and wakes Publish.
func (w *window) taken(records, bytes int64) {
	w.acked.Add(records)
	w.held.Add(-bytes)
	w.signal()
}

// fail keeps the first failure and wakes Publish.
func (w *window) fail(err error) {
	w.mu.Lock()
	if w.failed == nil {
		w.failed = err
	}
	w.mu.Unlock()
	w.signal()
}

func (w *window) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// setTrouble keeps why Kafka is silent; nil forgets it.
func (w *window) setTrouble(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = err
}

func (w *window) troubled() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}

func (w *window) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it has not yet seen the last one
	}
}
