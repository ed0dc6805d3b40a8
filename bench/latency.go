package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/tail"
)

// writers is how many connections write while the latency is measured.
const writers = 8

// latency is the time from the moment that a writer knew of its commit until a
// consumer had the message.
type latency struct {
	rate          float64 // transactions a second that were reached
	messages      int
	p50, p99, max time.Duration
	cpu           float64 // of one processor, by kafkasync
	peak          int64
}

func (l latency) String() string {
	return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms at %.0f transactions/s", milliseconds(l.p50), milliseconds(l.p99), l.rate)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// trip is when each row was committed and seen, in nanoseconds since 1970, by
// id. The two are written by goroutines that do not know each other.
type trip struct {
	committed, seen []atomic.Int64
	arrived         atomic.Int64
}

// measureLatency writes at a steady pace and reads the topic meanwhile. Each
// row changes once, so that a message says which commit it is of.
func (b *bench) measureLatency(ctx context.Context) (l latency, err error) {
	n := b.o.updates()
	t := &trip{committed: make([]atomic.Int64, n+1), seen: make([]atomic.Int64, n+1)}
	run, err := b.start(ctx, b.program)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	if _, err := b.awaitReader(ctx, databaseName, run.alive); err != nil {
		return l, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	read, warm := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		failed := b.consume(ctx, t, warm)
		stop(failed) // nobody is to wait for messages any more
		read <- failed
	}()
	defer func() {
		stop(nil)
		if failed := <-read; err == nil && !errors.Is(failed, context.Canceled) {
			err = failed
		}
	}()
	if err := b.warmUp(ctx, warm); err != nil {
		return l, err
	}
	before, err := cpuTime(run.pid())
	if err != nil {
		return l, err
	}
	took, err := b.writeSteadily(ctx, t)
	if err != nil {
		return l, err
	}
	after, err := cpuTime(run.pid())
	if err != nil {
		return l, err
	}
	if err := t.await(ctx); err != nil {
		return l, err
	}
	l = t.summary()
	l.rate, l.cpu = float64(n)/took.Seconds(), (after-before).Seconds()/took.Seconds()
	l.peak, err = peakMemory(run.pid())
	return l, err
}

// consume notes when each message arrives.
func (b *bench) consume(ctx context.Context, t *trip, warm chan<- struct{}) error {
	return tail.Run(ctx, tail.Options{Brokers: []string{b.kafka.Brokers()}, Topic: topic}, func(m kafkasync.Message) error {
		now := time.Now().UnixNano()
		id, err := strconv.Atoi(string(m.Key))
		if err != nil {
			return fmt.Errorf("reading key %q: %w", m.Key, err)
		}
		if id >= len(t.seen) {
			select {
			case warm <- struct{}{}:
			default:
			}
			return nil
		}
		if t.seen[id].CompareAndSwap(0, now) {
			t.arrived.Add(1)
		}
		return nil
	})
}

// warmUp changes the last row until the consumer sees it: then everything is connected.
func (b *bench) warmUp(ctx context.Context, warm <-chan struct{}) error {
	return every(ctx, 100*time.Millisecond, func() (bool, error) {
		select {
		case <-warm:
			return true, nil
		default:
		}
		return false, b.db.exec(ctx, touchOne(int64(b.o.rows)))
	})
}

// writeSteadily changes one row after the other, each at its own moment,
// whether or not those before it took longer than they should. It returns how
// long that took in all.
func (b *bench) writeSteadily(ctx context.Context, t *trip) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var conns []session
	defer func() {
		for _, conn := range conns {
			_ = conn.close(ctx) // all its statements were answered
		}
	}()
	for range writers {
		conn, err := b.db.connect(ctx)
		if err != nil {
			return 0, fmt.Errorf("connecting a writer: %w", err)
		}
		conns = append(conns, conn)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for _, conn := range conns {
		all.Go(func() {
			for id := next.Add(1); id < int64(len(t.committed)); id = next.Add(1) {
				at := began.Add(time.Duration(id) * time.Second / time.Duration(b.o.rate))
				if err := writeAt(ctx, conn, at, id); err != nil {
					cancel(err)
					return
				}
				t.committed[id].Store(time.Now().UnixNano())
			}
		})
	}
	all.Wait()
	return time.Since(began), context.Cause(ctx)
}

func writeAt(ctx context.Context, conn session, at time.Time, id int64) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := conn.exec(ctx, touchOne(id)); err != nil {
		return fmt.Errorf("changing row %d: %w", id, err)
	}
	return nil
}

// await returns once every change has been seen.
func (t *trip) await(ctx context.Context) error {
	want := int64(len(t.seen) - 1)
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("no more messages for 30 s"))
	defer cancel()
	err := every(ctx, 10*time.Millisecond, func() (bool, error) { return t.arrived.Load() >= want, nil })
	if err != nil {
		return fmt.Errorf("waiting for the last of %d messages, of which %d came: %w", want, t.arrived.Load(), err)
	}
	return nil
}

func (t *trip) summary() latency {
	took := make([]time.Duration, 0, len(t.seen))
	for id := 1; id < len(t.seen); id++ {
		took = append(took, time.Duration(t.seen[id].Load()-t.committed[id].Load()))
	}
	slices.Sort(took)
	return latency{
		messages: len(took), p50: percentile(took, 50), p99: percentile(took, 99), max: took[len(took)-1],
	}
}

// percentile returns the smallest of the sorted values that p percent of them do not exceed.
func percentile[T any](sorted []T, p int) T {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
