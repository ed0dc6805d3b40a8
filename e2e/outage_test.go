package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// outage is a node under load between servers of its own.
type outage struct {
	postgres *devstack.Postgres
	kafka    *devstack.Kafka
	name     string
	load     *load
	site     *site
}

func TestNothingIsLostWhileAServerIsAway(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs real servers, and -short starts none")
	}
	devtest.Postgres(t) // they install what is needed
	devtest.Kafka(t)
	o := &outage{}
	var err error
	o.postgres, err = devstack.StartPostgres(t.Context(), devstack.PostgresConfig{
		Settings: map[string]string{"wal_sender_timeout": "15s", "max_connections": "50"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, o.postgres.Close()) })
	o.kafka, err = devstack.StartKafka(t.Context(), devstack.KafkaConfig{
		Java: []string{"-XX:TieredStopAtLevel=1"},
		// A broker that was killed may come back when the controller has given up the one before it.
		Settings: map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, o.kafka.Close()) })

	t.Run("Kafka", o.kafkaAway)
	t.Run("Postgres", o.postgresAway)
	t.Run("and confirming too early is seen", o.confirmingTooEarly)
}

func closed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// begin prepares a database and a file.
func (o *outage) begin(t *testing.T, name string, f flavour) {
	t.Helper()
	o.name = name
	if err := o.postgres.CreateDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	o.load = newLoad(o.postgres.URL(name), devtest.Topic(t), seeded(t))
	execute(t, o.load.url, schema)
	o.site = newSite(t, f, fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", o.kafka.Brokers(), partitions),
		pipelineText(name, o.load.url, o.load.tables()))
}

// end lets everything come to rest, compares and wants nothing to be wrong.
func (o *outage) end(t *testing.T, n *node, w *watcher) {
	t.Helper()
	report(t, o.judge(t, n, w))
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}

func (o *outage) judge(t *testing.T, n *node, w *watcher) []string {
	t.Helper()
	n.reaches(t, "streaming")
	o.load.finish(t)
	drained(t, o.load.url, "kafkasync_"+o.name)
	restarts := o.site.restarts(t)
	t.Logf("%d runs of the pipeline ended by themselves", restarts)
	_, problems := judge(t, o.load, o.kafka.Brokers(), o.site.gaps(t), w.end(), 1+restarts)
	return problems
}

func (o *outage) kafkaAway(t *testing.T) {
	o.begin(t, "kafka_away", raced)
	unreachable := "Kafka at " + o.kafka.Brokers() + " is unreachable"

	// It is not there yet.
	o.stop(t, o.kafka.Stop)
	out, _, code := o.site.command(t, "check")
	if problem := contains("check", out, "K01", unreachable); problem != "" || code != 1 {
		t.Errorf("check without Kafka: got exit status %d, want 1; %s", code, problem)
	}
	n := o.site.start(t)
	n.reaches(t, "waiting", unreachable)
	if slots := query[int](t, o.load.url, "SELECT count(*)::int FROM pg_replication_slots"); slots != 0 {
		t.Errorf("got %d slots before Kafka was ever there, want none that holds the log", slots)
	}
	o.startKafka(t)
	n.reaches(t, "streaming")
	w := watch(t, o.load.url, "kafkasync_kafka_away", o.site)
	o.load.start(t)
	o.load.goesOn(t)

	// It goes for a while, in order.
	o.stop(t, o.kafka.Stop)
	n.reaches(t, "waiting", unreachable)
	away := 4 * time.Second
	if os.Getenv("E2E_SOAK") != "" {
		away = 20 * time.Second // longer than Postgres tolerates silence
	}
	moment(t, away)
	n.reaches(t, "waiting", unreachable)
	o.startKafka(t)
	n.reaches(t, "streaming")
	o.load.goesOn(t)

	// And as in a power cut, with requests under way.
	o.stop(t, o.kafka.Kill)
	n.reaches(t, "waiting", unreachable)
	o.startKafka(t)
	o.end(t, n, w)
}

func (o *outage) stop(t *testing.T, how func() error) {
	t.Helper()
	if err := how(); err != nil {
		t.Fatal(err)
	}
}

func (o *outage) startKafka(t *testing.T) {
	t.Helper()
	if err := o.kafka.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (o *outage) postgresAway(t *testing.T) {
	o.begin(t, "postgres_away", raced)
	n := o.site.start(t)
	n.reaches(t, "streaming")
	w := watch(t, o.load.url, "kafkasync_postgres_away", o.site)
	o.load.start(t)
	for _, how := range []devstack.Shutdown{devstack.Fast, devstack.Immediate, devstack.Immediate, devstack.Fast} {
		o.load.goesOn(t)
		before := o.site.restarts(t)
		if err := o.postgres.Restart(t.Context(), how); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() string { return o.site.restarted(t, before+1) })
		n.reaches(t, "streaming")
	}
	o.load.goesOn(t)
	o.end(t, n, w)
}

// The binary of this test confirms what it has read and not yet published, as a
// careless change might. If that were not seen, the tests above would prove nothing.
func (o *outage) confirmingTooEarly(t *testing.T) {
	o.begin(t, "confirming", confirming)
	n := o.site.start(t)
	n.reaches(t, "streaming")
	w := watch(t, o.load.url, "kafkasync_confirming", o.site)
	o.load.start(t)
	o.load.goesOn(t)
	o.stop(t, o.kafka.Stop)
	n.reaches(t, "waiting", "is unreachable") // by then it has committed what it had read
	n.kill(t)
	o.startKafka(t)
	n = o.site.start(t)
	problems := strings.Join(o.judge(t, n, w), "\n")
	if !strings.Contains(problems, "EARLY") && !strings.Contains(problems, "LOST") {
		t.Errorf("got %q, want that log was given up too early, or messages lost", problems)
	}
}
