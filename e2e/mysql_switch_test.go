package e2e_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/gtid"
)

// mysqlPair are a primary and a semi-synchronous replica that becomes the primary, under load.
type mysqlPair struct {
	primary, replica *devstack.MySQL
	load             *mysqlLoad
	promoted         atomic.Bool
}

func newMySQLPair(t *testing.T, flavour string) *mysqlPair {
	t.Helper()
	w := &mysqlPair{primary: ownMySQL(t, flavour, nil)}
	var err error
	if w.replica, err = w.primary.Replica(t.Context(), devstack.MySQLConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, w.replica.Close()) })
	if err := w.primary.SemiSync(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	executeMySQL(t, w.primary, "", "CREATE DATABASE shop")
	executeMySQL(t, w.primary, "shop", mysqlSchema)
	w.load = newMySQLLoad(w.primary, "shop", devtest.Topic(t), seeded(t))
	after := &mysqlLoad{crew: w.load.crew, server: w.replica, database: "shop"}
	w.load.open = func(ctx context.Context, writer int) (session, error) {
		if w.promoted.Load() {
			return after.join(ctx, writer)
		}
		return w.load.join(ctx, writer)
	}
	return w
}

// ownMySQL starts a server that is the test's alone.
func ownMySQL(t testing.TB, flavour string, settings map[string]string) *devstack.MySQL {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real server, and -short starts none")
	}
	start, component := devstack.StartMySQL, devstack.ComponentMySQL
	if flavour == "mariadb" {
		start, component = devstack.StartMariaDB, devstack.ComponentMariaDB
	}
	if err := devstack.Install(t.Context(), os.Stderr, component); err != nil {
		t.Fatal(err)
	}
	server, err := start(t.Context(), devstack.MySQLConfig{Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, server.Close()) })
	return server
}

func (w *mysqlPair) url() string {
	return strings.Replace(w.primary.URL(""), w.primary.Addr(), w.primary.Addr()+","+w.replica.Addr(), 1)
}

// fail ends the primary as a power cut would, makes the replica the primary, and sends the writers there.
func (w *mysqlPair) fail(t *testing.T) {
	t.Helper()
	if err := w.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := w.replica.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.promoted.Store(true)
}

// starve lets the replica receive nothing more, and returns when every writer waits for it and Kafka has what one of them waits
// with: the server sends its log to us as well as to the replica.
func (w *mysqlPair) starve(t *testing.T, brokers string) {
	t.Helper()
	executeMySQL(t, w.replica, "", "STOP "+map[string]string{"mysql": "REPLICA", "mariadb": "SLAVE"}[w.primary.Flavour()]+" IO_THREAD")
	size, still := -1, 0
	eventually(t, time.Minute, func() string {
		const enough = 25 // times that nothing moves
		if now := w.load.ledger.size(); now != size {
			size, still = now, 0
		}
		if still++; still < enough {
			return "transactions are still being committed"
		}
		problem := "Kafka has nothing that waits for the replica"
		readTo(t, brokers, ends(t, brokers, w.load.topic("ledger")), func(r *kgo.Record) {
			if w.load.ledger.of(string(r.Key)) == unknown {
				problem = ""
			}
		})
		return problem
	})
}

// of is how a transaction ended, by its row in the ledger.
func (l *ledger) of(row string) outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, err := strconv.ParseInt(row, 10, 64)
	how, known := l.outcome[id]
	if err != nil || !known {
		return rolledBack
	}
	return how
}

// A primary that is promoted lacks what its predecessor had written, sent to us, and not acknowledged to anybody: messages of
// transactions that have never been. They must not be in the way.
func TestASwitchOfTheSemiSynchronousPrimaryLosesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, flavour string
		starved       bool
	}{
		{"MySQL", "mysql", false},
		{"MySQL, with what no replica has", "mysql", true},
		{"MariaDB, with what no replica has", "mariadb", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, brokers := newMySQLPair(t, c.flavour), devtest.Kafka(t).Brokers()
			s := newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", brokers, partitions),
				mysqlPipelineAt("shop", c.flavour, w.url(), fmt.Sprintf("- {match: shop.*, topic: '%s-{table}', delay: 0}", w.load.topics)))
			n := s.start(t)
			n.reaches(t, "streaming")
			w.load.start(t)
			w.load.goesOn(t)
			if c.starved {
				w.starve(t, brokers)
			}
			w.fail(t)
			w.load.goesOn(t)
			w.load.finish(t)
			drainedMySQL(t, s, w.replica)
			n.reaches(t, "streaming")

			phantoms, problems := w.judge(t, brokers, 1+s.restarts(t))
			report(t, problems)
			if c.starved && phantoms == 0 {
				t.Error("got no message of a transaction that the new primary lacks: the test has proved nothing")
			}
			if gaps, stopped := s.gaps(t), linesWith(n.log.String(), "level=ERROR"); len(gaps) != 0 || len(stopped) != 0 {
				t.Errorf("got the gaps %v and the errors %q, want none: nothing was to be done", gaps, stopped)
			}
			if code := n.terminate(t); code != 0 {
				t.Errorf("got exit status %d after SIGTERM, want 0", code)
			}
		})
	}
}

// judge returns how many transactions are in Kafka that the new primary lacks, and what contradicts the guarantees.
func (w *mysqlPair) judge(t *testing.T, brokers string, runs int) (phantoms int, problems []string) {
	t.Helper()
	e := &evidence{ledgerTopic: w.load.topic("ledger"), runs: runs, lsn: w.order(t)}
	e.committed, problems = w.load.ledger.settle(heldBy(t, w.replica, "shop", 0))
	readTo(t, brokers, ends(t, brokers, w.load.topicNames()...), func(r *kgo.Record) { e.messages = append(e.messages, parse(t, r)) })
	all, lacks := len(e.messages), w.lacks(t)
	gone := map[string]bool{}
	e.messages = slices.DeleteFunc(e.messages, func(m message) bool {
		if !lacks(m.Pos) {
			return false
		}
		gone[m.Pos] = true
		if m.Topic == e.ledgerTopic && w.load.ledger.of(string(m.Key)) != unknown {
			problems = append(problems, fmt.Sprintf("%s: transaction %s is of a place that the new primary lacks, and was acknowledged", where(&m), m.Key))
		}
		return true
	})
	t.Logf("%d transactions committed and %d not, %d messages in Kafka, %d of them of %d transactions that have never been",
		len(e.committed), w.load.ledger.size()-len(e.committed), all, all-len(e.messages), len(gone))
	return len(gone), append(problems, e.verdict()...)
}

// order is that of the places on the two servers.
func (w *mysqlPair) order(t *testing.T) func(pos string) (uint64, error) {
	t.Helper()
	who := map[string]string{"mysql": "SELECT CONCAT(@@server_uuid, ':')", "mariadb": "SELECT CONCAT('0-', @@server_id, '-')"}[w.replica.Flavour()]
	prefix := queryMySQL(t, w.replica, who)[0][0]
	return func(pos string) (uint64, error) {
		number, err := numberOf(pos)
		if strings.HasPrefix(pos, prefix) {
			number += 1 << 40
		}
		return number, err
	}
}

// lacks knows the places that are not in the new primary's log.
func (w *mysqlPair) lacks(t *testing.T) func(pos string) bool {
	t.Helper()
	if w.replica.Flavour() == "mysql" {
		executed, err := w.replica.Executed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		has, err := gtid.ParseSet(executed)
		if err != nil {
			t.Fatal(err)
		}
		return func(pos string) bool {
			one, err := gtid.ParseSet(pos)
			if err != nil {
				t.Fatal(err)
			}
			return !has.Contains(one)
		}
	}
	has, err := gtid.ParseMariaHistory(queryMySQL(t, w.replica, "SELECT @@global.gtid_binlog_state")[0][0])
	if err != nil {
		t.Fatal(err)
	}
	return func(pos string) bool {
		one, err := gtid.ParseMariaPosition(pos)
		if err != nil {
			t.Fatal(err)
		}
		return len(has.Lacks(one)) > 0
	}
}
