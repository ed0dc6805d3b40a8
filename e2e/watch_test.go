package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/web"
)

// watcher takes samples of how much log has been given up, until it is stopped.
type watcher struct {
	stop    func()
	wait    sync.WaitGroup
	mu      sync.Mutex
	samples []sample
}

// watch looks at the slot, and at the checkpoint of the node, as fast as it can
// without being a load of its own. Both may be away for a while.
func watch(t testing.TB, url, slot string, s *site) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{stop: cancel}
	w.every(ctx, 10*time.Millisecond, "the slot", confirmed(url, slot))
	w.every(ctx, 30*time.Millisecond, "the checkpoint", func(ctx context.Context) (uint64, error) {
		p, err := s.pipeline(ctx)
		if err != nil || p.Position == "" {
			return 0, err
		}
		return parseLSN(p.Position[strings.LastIndexByte(p.Position, ':')+1:])
	})
	return w
}

func (w *watcher) every(ctx context.Context, d time.Duration, what string, look func(context.Context) (uint64, error)) {
	w.wait.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		last := uint64(0)
		for {
			// The time is taken after the look: what was seen was so by then.
			if lsn, err := look(ctx); err == nil && lsn != last {
				w.mu.Lock()
				w.samples = append(w.samples, sample{what, lsn, time.Now()})
				w.mu.Unlock()
				last = lsn
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

func (w *watcher) end() []sample {
	w.stop()
	w.wait.Wait()
	return w.take()
}

// take returns the samples since the last call.
func (w *watcher) take() []sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	samples := w.samples
	w.samples = nil
	return samples
}

// confirmed asks the server for what the slot has given up, over one connection as long as it lasts.
func confirmed(url, slot string) func(context.Context) (uint64, error) {
	var conn *pgx.Conn
	return func(ctx context.Context) (uint64, error) {
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(ctx, url); err != nil {
				return 0, err
			}
		}
		if ctx.Err() != nil {
			return 0, conn.Close(context.WithoutCancel(ctx))
		}
		var text string
		err := conn.QueryRow(ctx, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&text)
		if err != nil {
			return 0, err
		}
		return parseLSN(text)
	}
}

// drained waits until the slot has confirmed all that was committed before the call.
func drained(t testing.TB, url, slot string) {
	t.Helper()
	drains(t, url, slot, func() {})
}

// drains is drained, and looks at something else as well each time that there is more to wait for.
func drains(t testing.TB, url, slot string, look func()) {
	t.Helper()
	connected(t, url, func(conn *pgx.Conn) {
		var end, at string
		if err := conn.QueryRow(t.Context(), "SELECT pg_current_wal_lsn()::text").Scan(&end); err != nil {
			t.Fatal(err)
		}
		eventually(t, 2*time.Minute, func() string {
			done := false
			err := conn.QueryRow(t.Context(), "SELECT confirmed_flush_lsn::text, confirmed_flush_lsn >= $1::pg_lsn FROM pg_replication_slots WHERE slot_name = $2", end, slot).Scan(&at, &done)
			if err != nil {
				t.Fatalf("looking at slot %s: %v", slot, err)
			}
			if done {
				return ""
			}
			look()
			return fmt.Sprintf("slot %s has confirmed %s, want %s", slot, at, end)
		})
	})
}

// judge reads all of Kafka and returns what contradicts the guarantees. runs is how often
// the log was begun anew, by another process or after an error.
func judge(t testing.TB, l *load, brokers string, gaps []web.Gap, samples []sample, runs int) (proved, []string) {
	t.Helper()
	held := queryAll[int64](t, l.url, "SELECT id FROM ledger")
	e := &evidence{ledgerTopic: l.topic("ledger"), samples: samples, runs: runs}
	var problems, wrong []string
	e.excused, problems = l.excuses(gaps)
	e.committed, wrong = l.ledger.settle(held)
	problems = append(problems, wrong...)
	readTo(t, brokers, ends(t, brokers, l.topicNames()...), func(r *kgo.Record) { e.messages = append(e.messages, parse(t, r)) })
	problems = append(problems, e.verdict()...)
	due := 0
	for _, did := range e.committed {
		for _, n := range did {
			due += n
		}
	}
	seen := map[string]int{}
	for _, s := range samples {
		seen[s.what]++
	}
	t.Logf("%d transactions committed and %d not, %d changes, %d of them in %d gaps and %d of those missing, %d messages in Kafka; places seen to be given up: %v",
		len(e.committed), l.ledger.size()-len(e.committed), due, e.spared, len(gaps), e.missing, len(e.messages), seen)
	if len(e.committed) == 0 || len(samples) == 0 {
		problems = append(problems, "the run has proved nothing: no transaction committed, or nothing was ever confirmed")
	}
	return e.proved, problems
}

// report fails the test with the problems, if there are any.
func report(t testing.TB, problems []string) {
	t.Helper()
	const most = 20
	for i, problem := range problems {
		if i == most {
			t.Errorf("and %d more", len(problems)-most)
			return
		}
		t.Error(problem)
	}
}

// connected hands use a connection that ends with it.
func connected(t testing.TB, url string, use func(*pgx.Conn)) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	use(conn)
}

func execute(t testing.TB, url string, statements ...string) {
	t.Helper()
	connected(t, url, func(conn *pgx.Conn) {
		for _, sql := range statements {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	})
}

func queryAll[T any](t testing.TB, url, sql string) (all []T) {
	t.Helper()
	connected(t, url, func(conn *pgx.Conn) {
		rows, err := conn.Query(t.Context(), sql)
		if err == nil {
			all, err = pgx.CollectRows(rows, pgx.RowTo[T])
		}
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	})
	return all
}

func query[T any](t testing.TB, url, sql string) T {
	t.Helper()
	all := queryAll[T](t, url, sql)
	if len(all) != 1 {
		t.Fatalf("%s: got %d rows, want 1", sql, len(all))
	}
	return all[0]
}
