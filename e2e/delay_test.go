package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/web"
)

// delays are two tables that share a topic, each with a rule of its own.
type delays struct {
	t       *testing.T
	url     string
	brokers string
	topic   string
	site    *site
}

func newDelays(t *testing.T, a, b string) *delays {
	t.Helper()
	d := &delays{t: t, url: devtest.Database(t), brokers: devtest.Kafka(t).Brokers(), topic: devtest.Topic(t)}
	execute(t, d.url, "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)")
	d.site = newSite(t, raced, d.kafka(), d.pipeline(a, b))
	return d
}

func (d *delays) kafka() string {
	return fmt.Sprintf("brokers: [%s]\ntopics: {partitions: %d}", d.brokers, partitions)
}

func (d *delays) pipeline(a, b string) string {
	return pipelineText("delayed", d.url, fmt.Sprintf("- {match: public.a, topic: %[1]s, delay: %[2]s}\n- {match: public.b, topic: %[1]s, delay: %[3]s}", d.topic, a, b))
}

// change restarts the node with other delays.
func (d *delays) change(n *node, a, b string) *node {
	d.t.Helper()
	if code := n.terminate(d.t); code != 0 {
		d.t.Fatalf("got exit status %d after SIGTERM, want 0", code)
	}
	d.site.rewrite(d.t, d.kafka(), d.pipeline(a, b))
	n = d.site.start(d.t)
	n.reaches(d.t, "streaming")
	return n
}

// write inserts rows of a table, from an id on.
func (d *delays) write(table string, from, rows int) {
	d.t.Helper()
	execute(d.t, d.url, fmt.Sprintf("INSERT INTO %s SELECT generate_series(%d, %d)", table, from, from+rows-1))
}

// messages are those of a table with a delay, by seq: the instant ones, or their twins.
func (d *delays) messages(table string, delay time.Duration, twins bool) map[int64]message {
	d.t.Helper()
	found := map[int64]message{}
	readTo(d.t, d.brokers, ends(d.t, d.brokers, d.topic), func(r *kgo.Record) {
		m := parse(d.t, r)
		if m.Table != "public."+table || m.Delay+m.Delayed != delay || (m.Delayed != 0) != twins {
			return
		}
		if again, ok := found[m.Seq]; ok {
			d.t.Errorf("%s: seq %d is there already at %s", where(&m), m.Seq, where(&again))
		}
		found[m.Seq] = m
	})
	return found
}

// resent waits for the twins of all rows that were written with a delay, and looks at each. late is how late one may be.
func (d *delays) resent(table string, delay time.Duration, rows int, late time.Duration) {
	d.t.Helper()
	var twins map[int64]message
	eventually(d.t, time.Minute, func() string {
		if twins = d.messages(table, delay, true); len(twins) < rows {
			return fmt.Sprintf("%d of %d rows of %s have their twin after %s", len(twins), rows, table, delay)
		}
		return ""
	})
	first := d.messages(table, delay, false)
	if len(first) != rows || len(twins) != rows {
		d.t.Errorf("got %d messages of %s and %d twins with the delay %s, want %d of each", len(first), table, len(twins), delay, rows)
	}
	for seq, twin := range twins {
		m, ok := first[seq]
		switch after := twin.appended.Sub(m.appended); {
		case !ok:
			d.t.Errorf("%s: a twin of nothing", where(&twin))
		case after < delay || after > delay+late:
			d.t.Errorf("%s: came %s after its message, want %s, and at most %s later", where(&twin), after, delay, late)
		case string(twin.Key) != string(m.Key) || string(twin.Value) != string(m.Value) || twin.Op != m.Op ||
			twin.Pipeline != m.Pipeline || twin.Pos != m.Pos || !twin.Committed.Equal(m.Committed) || twin.Partition != m.Partition:
			d.t.Errorf("got the twin %+v, want what its message is: %+v", twin, m)
		}
	}
}

// shown returns what the node says of the topic's delays.
func (d *delays) shown() (all []web.Delay) {
	d.t.Helper()
	status, err := d.site.status(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, one := range status.Delays {
		if one.Topic == d.topic {
			all = append(all, one)
		}
	}
	return all
}

const aSecond = time.Second

func TestTwoRulesWithDifferentDelaysOnOneTopicAreEachOnTime(t *testing.T) {
	d := newDelays(t, "2s", "3s")
	n := d.site.start(t)
	n.reaches(t, "streaming")
	d.write("a", 1, 1)
	d.write("b", 1, 1)
	d.resent("a", 2*time.Second, 1, time.Minute) // the groups have formed
	d.resent("b", 3*time.Second, 1, time.Minute)

	d.write("a", 100, 500)
	d.write("b", 100, 500)
	eventually(t, time.Minute, func() string {
		for _, one := range d.shown() {
			if one.Waiting > 0 && one.NextDue != nil {
				return ""
			}
		}
		return fmt.Sprintf("nothing is shown to wait: %+v", d.shown())
	})
	d.resent("a", 2*time.Second, 501, 20*aSecond) // the first of each came late, if its group was still forming
	d.resent("b", 3*time.Second, 501, 20*aSecond)
	for table, delay := range map[string]time.Duration{"a": 2 * time.Second, "b": 3 * time.Second} {
		first, twins := d.messages(table, delay, false), d.messages(table, delay, true)
		late := 0
		for seq, twin := range twins {
			if string(twin.Key) != "1" && twin.appended.Sub(first[seq].appended) > delay+aSecond {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of %d twins of %s came more than a second late", late, len(twins), table)
		}
	}
	eventually(t, time.Minute, func() string {
		for _, one := range d.shown() {
			if one.Waiting != 0 || one.NextDue != nil || one.Lost != 0 || one.Error != "" {
				return fmt.Sprintf("got %+v, want nothing that waits", one)
			}
		}
		return ""
	})
	out, _, _ := d.site.command(t, "status")
	if problem := contains("status", out, "DELAYED TOPIC", d.topic, "2s", "3s"); problem != "" {
		t.Error(problem)
	}
	_, metrics, err := d.site.get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	labels := fmt.Sprintf(`{delay="2000",topic="%s"}`, d.topic)
	if problem := contains("metrics", string(metrics), "kafkasync_delayer_resent_total"+labels+" 501", "kafkasync_delayer_waiting"+labels+" 0",
		"kafkasync_delayer_lost_total"+labels+" 0", "kafkasync_delayer_late_seconds_count"+labels+" 501"); problem != "" {
		t.Error(strings.Join(linesWith(string(metrics), "kafkasync_delayer"), "\n"), problem)
	}
}

func TestWhatWaitsIsDeliveredWhateverBecomesOfItsRule(t *testing.T) {
	d := newDelays(t, "4s", "5s")
	n := d.site.start(t)
	n.reaches(t, "streaming")
	d.write("a", 1, 200)
	d.write("b", 1, 200)
	drained(t, d.url, "kafkasync_delayed")

	// One delay is switched off, the other becomes shorter, while messages wait.
	n = d.change(n, "0", "2s")
	d.write("a", 1000, 100)
	d.write("b", 1000, 100)
	// A killed node's delayer is not missed for longer than its session.
	drained(t, d.url, "kafkasync_delayed")
	n.kill(t)
	n = d.site.start(t)
	n.reaches(t, "streaming")

	d.resent("a", 4*time.Second, 200, time.Minute)
	d.resent("b", 5*time.Second, 200, time.Minute)
	d.resent("b", 2*time.Second, 100, time.Minute)
	if got := len(d.messages("a", 0, false)); got != 100 {
		t.Errorf("got %d messages of a without a delay, want 100", got)
	}
	var known []int64
	for _, one := range d.shown() {
		known = append(known, one.DelayMS)
	}
	slices.Sort(known)
	if want := []int64{2000, 4000, 5000}; !slices.Equal(known, want) {
		t.Errorf("got the delays %v shown, want %v: what may still wait is shown", known, want)
	}
	if code := n.terminate(t); code != 0 {
		t.Errorf("got exit status %d after SIGTERM, want 0", code)
	}
}
