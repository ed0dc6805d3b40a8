package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// maxMemory is the promise for a transaction of any size, in kB as the kernel counts: 100 MB, and 30 MB
// of messages that the delayer of the same process holds and fetches ahead meanwhile.
const maxMemory = 130_000_000 / 1024

func TestAHugeTransactionPassesInBoundedMemory(t *testing.T) {
	rows := number(t, "E2E_ROWS", 500_000)
	brokers, url, topic := devtest.Kafka(t).Brokers(), devtest.Database(t), devtest.Topic(t)
	execute(t, url,
		"CREATE TABLE big (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0, filler text NOT NULL) WITH (fillfactor = 50)",
		fmt.Sprintf("INSERT INTO big SELECT i, 0, repeat('x', 100) FROM generate_series(1, %d) i", rows))
	s := newSite(t, plain, fmt.Sprintf("brokers: [%s]", brokers),
		pipelineText("huge", url, fmt.Sprintf("- {match: public.big, topic: %s}", topic)))
	n := s.start(t)
	n.reaches(t, "streaming")

	began := time.Now()
	execute(t, url, "UPDATE big SET n = n + 1")
	updated := time.Now()
	drained(t, url, "kafkasync_huge")
	first := n.memory(t)
	t.Logf("the UPDATE of %d rows took %s, the rest %s; the process had at most %d kB", rows, updated.Sub(began).Round(time.Millisecond), time.Since(updated).Round(time.Millisecond), first)
	found := countKeys(t, brokers, topic, rows)
	if len(found) != 1 {
		t.Fatalf("got messages at %d positions, want those of one transaction", len(found))
	}
	for pos, seen := range found {
		if seen.messages != rows || seen.distinct != rows {
			t.Errorf("at %s: got %d messages about %d rows, want each of %d rows once", pos, seen.messages, seen.distinct, rows)
		}
		delete(found, pos)
	}

	// The same again, and the process is killed in the middle: it begins anew, and nothing is missing.
	start := ends(t, brokers, topic).total()
	execute(t, url, "UPDATE big SET n = n + 1")
	part := start + 1 + rand.Int64N(int64(rows)*9/10)
	eventually(t, 10*time.Minute, func() string {
		if end := ends(t, brokers, topic).total(); end < part {
			return fmt.Sprintf("the topic ends at %d, want %d", end, part)
		}
		return ""
	})
	killed := n.memory(t)
	n.kill(t)
	n = s.start(t)
	drained(t, url, "kafkasync_huge")
	second := n.memory(t)
	t.Logf("killed after %d of %d messages; the processes had at most %d kB and %d kB", ends(t, brokers, topic).total()-start-int64(rows), rows, killed, second)
	again := 0
	for pos, seen := range countKeys(t, brokers, topic, rows) {
		if seen.distinct != rows {
			t.Errorf("at %s: got messages about %d rows, want all %d", pos, seen.distinct, rows)
		}
		again++
	}
	if again != 2 {
		t.Errorf("got messages at %d positions, want 2", again)
	}
	for what, kb := range map[string]int{"the first process": first, "the one that was killed": killed, "the one after it": second} {
		if kb > maxMemory {
			t.Errorf("%s had %d kB of memory, want at most %d", what, kb, maxMemory)
		}
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// keys counts the messages of one transaction.
type keys struct {
	messages, distinct int
	seen               []bool // by id
}

// countKeys reads the topic, whose keys are 1 to rows, and counts by position what is no delay message.
func countKeys(t testing.TB, brokers, topic string, rows int) map[string]*keys {
	t.Helper()
	return countKeysBetween(t, brokers, offsets{}, ends(t, brokers, topic), rows)
}

func countKeysBetween(t testing.TB, brokers string, from, to offsets, rows int) map[string]*keys {
	t.Helper()
	found := map[string]*keys{}
	readBetween(t, brokers, from, to, func(r *kgo.Record) {
		m := parse(t, r)
		if m.Delayed > 0 {
			return
		}
		id, err := strconv.Atoi(string(m.Key))
		if err != nil || id < 1 || id > rows || m.Op != kafkasync.Updated || string(m.Value) != fmt.Sprintf(`{"id":%d}`, id) {
			t.Fatalf("%s: got %c %q %q, want the update of a row", where(&m), m.Op, m.Key, m.Value)
		}
		k := found[m.Pos]
		if k == nil {
			k = &keys{seen: make([]bool, rows+1)}
			found[m.Pos] = k
		}
		k.messages++
		if !k.seen[id] {
			k.seen[id] = true
			k.distinct++
		}
	})
	return found
}
