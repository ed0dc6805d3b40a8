package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// primary is a database as someone sees it who has committed and wants to know that a consumer has it.
type primary struct {
	pipeline string // in the file
	execute  func(sql string)
	place    func() string // how far the log is
}

func TestABarrierIsForAPlaceInTheLog(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		url, topic := devtest.Database(t), devtest.Topic(t)
		passesAt(t, topic, primary{
			pipelineText("shop", url, fmt.Sprintf("- {match: public.items, topic: %s, delay: 0}", topic)),
			func(sql string) { execute(t, url, sql) },
			func() string { return query[string](t, url, "SELECT (pg_current_wal_insert_lsn() - 1)::text") },
		})
	})
	onMySQLs(t, func(t *testing.T, server *devstack.MySQL) {
		database, topic := devtest.DatabaseOnMySQL(t, server), devtest.Topic(t)
		variable := map[string]string{"mysql": "gtid_executed", "mariadb": "gtid_binlog_pos"}[server.Flavour()]
		passesAt(t, topic, primary{
			mysqlPipeline(server, fmt.Sprintf("- {match: %s.items, topic: %s, delay: 0}", database, topic)),
			func(sql string) { executeMySQL(t, server, database, sql) },
			func() string { return queryMySQL(t, server, "SELECT @@GLOBAL."+variable)[0][0] },
		})
	})
}

// onMySQLs runs a test on a MySQL and on a MariaDB.
func onMySQLs(t *testing.T, test func(t *testing.T, server *devstack.MySQL)) {
	t.Helper()
	for _, server := range []func(testing.TB) *devstack.MySQL{devtest.MySQL, devtest.MariaDB} {
		m := server(t)
		t.Run(m.Flavour(), func(t *testing.T) { test(t, m) })
	}
}

// passesAt commits something while the node is away: for Kafka alone nothing is left to do then.
func passesAt(t *testing.T, topic string, p primary) {
	t.Helper()
	p.execute("CREATE TABLE items (id int PRIMARY KEY)")
	brokers := devtest.Kafka(t).Brokers()
	site := newSite(t, raced, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", brokers, partitions), p.pipeline)
	n := site.start(t)
	n.reaches(t, "streaming")
	cfg := consumer.Config{Brokers: []string{brokers}, Topics: []string{topic}, Name: topic}
	from := consumer.Publisher{Nodes: []string{site.http}, Pipeline: "shop"}
	passes := func(pos string, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return consumer.BarrierAt(ctx, cfg, from, pos)
	}
	var handled sync.Map // keys
	release := make(chan struct{})
	consumes(t, cfg, func(batch []kafkasync.Message) {
		for _, m := range batch {
			if string(m.Key) == "2" {
				<-release
			}
			handled.Store(string(m.Key), true)
		}
	})
	p.execute("INSERT INTO items VALUES (1)")
	err := passes(p.place(), time.Minute)
	if _, is := handled.Load("1"); err != nil || !is {
		t.Fatalf("got %v, row 1 handled: %t, want to pass when it is", err, is)
	}

	n.kill(t)
	p.execute("INSERT INTO items VALUES (2)")
	pos := p.place()
	if err := consumer.Barrier(t.Context(), cfg); err != nil {
		t.Errorf("got %v of the barrier for what is in Kafka, want it to be open", err)
	}
	if err := passes(pos, time.Second); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "until everything up to") {
		t.Errorf("got %v while the node is away, want that the time is over", err)
	}
	n = site.start(t)
	n.reaches(t, "streaming")
	if err := from.Await(t.Context(), pos); err != nil {
		t.Errorf("got %v, want that it is published", err)
	}
	if err := passes(pos, time.Second); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has not passed offset") {
		t.Errorf("got %v while the handler is busy, want that the time is over", err)
	}
	close(release)
	err = passes(pos, time.Minute)
	if _, is := handled.Load("2"); err != nil || !is {
		t.Errorf("got %v, row 2 handled: %t, want to pass when it is", err, is)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

// consumes runs a consumer until the end of the test.
func consumes(t *testing.T, cfg consumer.Config, handle func([]kafkasync.Message)) {
	t.Helper()
	c, err := consumer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, consumer.HandlerFunc(func(_ context.Context, batch []kafkasync.Message) error {
			handle(batch)
			return nil
		}))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the consumer ended: %v", err)
		}
	})
}
