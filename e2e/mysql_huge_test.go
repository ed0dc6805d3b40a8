package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// maxMySQLMemory is the promise for a transaction of any size, also one that MySQL has compressed as a whole, in kB as the kernel counts.
const maxMySQLMemory = 150_000_000 / 1024

func TestAHugeTransactionOfMySQLPassesInBoundedMemory(t *testing.T) {
	rows := number(t, "E2E_ROWS", 50_000)
	for _, c := range []struct {
		flavour  string
		compress string // what a writer sets, and may
	}{
		{"mysql", "SET binlog_transaction_compression = ON; "},
		{"mariadb", "SET GLOBAL log_bin_compress = ON; SET GLOBAL log_bin_compress_min_len = 10; "},
	} {
		t.Run(c.flavour, func(t *testing.T) {
			server := ownMySQL(t, c.flavour, map[string]string{"innodb_buffer_pool_size": "1G", "innodb_doublewrite": "OFF"}) // the rows are to be in memory
			h := newHuge(t, server, rows)
			plainly := h.update(t, "")
			h.passes(t)

			compressed := max(h.update(t, c.compress), h.update(t, c.compress)) // two, one behind the other
			h.passes(t)
			if compressed > plainly*2/3 {
				t.Errorf("got %d bytes of log, and %d without being compressed: the test has proved nothing", compressed, plainly)
			}
			// And once more, and the process is killed in the middle: it begins anew, and nothing is missing.
			start := ends(t, h.brokers, h.topic).total()
			h.update(t, c.compress)
			part := start + 1 + rand.Int64N(int64(rows)*9/10)
			eventually(t, 10*time.Minute, func() string {
				if end := ends(t, h.brokers, h.topic).total(); end < part {
					return fmt.Sprintf("the topic ends at %d, want %d", end, part)
				}
				return ""
			})
			h.holds(t)
			h.node.kill(t)
			h.node = h.site.start(t)
			h.passes(t)
		})
	}
}

// huge is a table with many rows, and a node that publishes its changes.
type huge struct {
	server         *devstack.MySQL
	rows           int
	brokers, topic string
	site           *site
	node           *node
	committed      time.Time // the last transaction
	transactions   int       // since the last look
	counted        offsets   // up to then
}

// newHuge makes the table, of which the log says nothing, and starts a node. Half of what a row's filler holds is noise, so
// that it can be compressed, but not to nothing.
func newHuge(t *testing.T, server *devstack.MySQL, rows int) *huge {
	t.Helper()
	h := &huge{server: server, rows: rows, counted: offsets{}, brokers: devtest.Kafka(t).Brokers(), topic: devtest.Topic(t)}
	executeMySQL(t, server, "", "CREATE DATABASE shop")
	executeMySQL(t, server, "shop", `CREATE TABLE big (id BIGINT PRIMARY KEY, n INT NOT NULL DEFAULT 0, filler CHAR(64) CHARACTER SET ascii NOT NULL);
		CREATE TABLE digits (d INT PRIMARY KEY); INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)`)
	executeMySQL(t, server, "shop", fmt.Sprintf(`SET sql_log_bin = 0; INSERT INTO big (id, filler) SELECT id, SHA2(id, 256)
		FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d + 1000000 * g.d AS id
			FROM digits g JOIN digits f JOIN digits e JOIN digits d JOIN digits c JOIN digits b JOIN digits a) AS ids WHERE id <= %d`, rows))
	h.site = newSite(t, plain, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", h.brokers, partitions),
		mysqlPipeline(server, fmt.Sprintf("- {match: shop.big, topic: %s, delay: 1h}", h.topic))) // which the delayer holds, and does not send
	h.node = h.site.start(t)
	h.node.reaches(t, "streaming")
	return h
}

// update changes every row in one transaction, and returns how many bytes of log that took.
func (h *huge) update(t *testing.T, before string) int {
	t.Helper()
	size, began := h.logged(t), time.Now()
	executeMySQL(t, h.server, "shop", before+"UPDATE big SET n = n + 1")
	h.committed = time.Now()
	h.transactions++
	logged := h.logged(t) - size
	t.Logf("the UPDATE of %d rows took %s, and %d bytes of log", h.rows, h.committed.Sub(began).Round(time.Millisecond), logged)
	return logged
}

// logged is the size of the server's log.
func (h *huge) logged(t *testing.T) int {
	t.Helper()
	total := 0
	for _, file := range queryMySQL(t, h.server, "SHOW BINARY LOGS") {
		size, err := strconv.Atoi(file[1])
		if err != nil {
			t.Fatal(err)
		}
		total += size
	}
	return total
}

// passes waits until all is published, looks at the memory that took, and counts. The process ends; the next one begins with nothing.
func (h *huge) passes(t *testing.T) {
	t.Helper()
	drainedMySQLIn(t, 20*time.Minute, h.site, h.server)
	t.Logf("drained %s after the last commit", time.Since(h.committed).Round(time.Millisecond))
	h.holds(t)
	to := ends(t, h.brokers, h.topic)
	found := countKeysBetween(t, h.brokers, h.counted, to, h.rows)
	if len(found) != h.transactions {
		t.Errorf("got messages at %d positions, want %d", len(found), h.transactions)
	}
	h.counted, h.transactions = to, 0
	repeats := 0
	for pos, seen := range found {
		if seen.distinct != h.rows {
			t.Errorf("at %s: got messages about %d rows, want all %d", pos, seen.distinct, h.rows)
		}
		repeats += seen.messages - h.rows
	}
	t.Logf("%d transactions, %d messages came twice", len(found), repeats)
	if code := h.node.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
	h.node = h.site.start(t)
	h.node.reaches(t, "streaming")
}

// holds looks at the most memory that the process has had.
func (h *huge) holds(t *testing.T) {
	t.Helper()
	kb := h.node.memory(t)
	t.Logf("the process had at most %d kB", kb)
	if kb > maxMySQLMemory {
		t.Errorf("the process had %d kB of memory, want at most %d", kb, maxMySQLMemory)
	}
}
