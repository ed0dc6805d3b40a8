package consumer_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestKafkaMayBeAwayForAWhile(t *testing.T) {
	devtest.Kafka(t) // installs it
	k, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{Java: []string{"-XX:TieredStopAtLevel=1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	s := newStageOn(t, k.Brokers(), 2)
	s.publish(t, 0, 0, 5)
	inside, release := make(chan struct{}), make(chan struct{})
	var r recorder
	first := true
	c := run(t, s.config(), consumer.HandlerFunc(func(ctx context.Context, batch []kafkasync.Message) error {
		if first { // there is one partition with messages
			first = false
			close(inside)
			<-release
		}
		return r.Handle(ctx, batch)
	}))
	<-inside
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so", func() bool {
		err := c.Status().Err
		return err != nil && strings.Contains(err.Error(), "unreachable")
	})
	close(release)
	eventually(t, "the handler has ended meanwhile", func() bool { return len(r.all()) == 5 })
	// Longer than the session: the group has forgotten the member when it comes back.
	<-time.After(7 * time.Second)
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.connect(t)
	s.publish(t, 1, 0, 5)
	s.publish(t, 0, 5, 5)
	eventually(t, "all is done and committed", func() bool {
		got := s.committed(t, 2)
		return got[0] == 10 && got[1] == 5
	})
	eventually(t, "and nothing is wrong any more", func() bool { return c.Status().Err == nil })
	select {
	case <-c.done:
		t.Errorf("Run ended: %v", c.err)
	default:
	}
}

// Commits are under way when Kafka goes, and the sessions end before it is back. At times one of twenty members did not come back, when librdkafka was
// not made to connect (rdkafka.Consumer.seek); four restarts in a row were enough to see it.
func TestEveryMemberComesBackWhenKafkaDoes(t *testing.T) {
	devtest.Kafka(t) // installs it
	k, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{Java: []string{"-XX:TieredStopAtLevel=1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	s := newStageOn(t, k.Brokers(), 6)
	var all []*running
	for group := range 10 {
		for range 2 {
			cfg := s.config()
			cfg.Name += strconv.Itoa(group)
			all = append(all, run(t, cfg, consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error {
				<-time.After(20 * time.Millisecond)
				return nil
			})))
		}
	}
	shared := func() bool {
		return !slices.ContainsFunc(all, func(c *running) bool { return len(held(c)) != 3 })
	}
	eventually(t, "all have three partitions each", shared)
	for p := range int32(6) {
		for range 20 {
			s.publish(t, p, 0, 20)
		}
	}
	if err := k.Stop(); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second)
	if err := k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have three partitions each again", shared)
}

// A handler that does nothing else than wait lets librdkafka fetch as much as it may.
func TestWhatIsReadAndNotDoneIsBounded(t *testing.T) {
	const partitions, records = 4, 150_000
	s := newStage(t, partitions)
	for p := range int32(partitions) {
		for range 10 {
			s.publish(t, p, 0, records/10)
		}
	}
	p := s.process(t, spec{Brokers: s.brokers, Topic: s.topic, Hold: true, Memory: 8 << 20})
	eventually(t, "every partition has a handler that waits", func() bool {
		said, _ := p.Stdout.(*text)
		return strings.Count(said.String(), "holding") == partitions
	})
	// What was fetched ahead shows when it grows no more.
	var most, same int
	eventually(t, "it grows no more", func() bool {
		now := highWater(t, p.Process.Pid)
		if same++; now > most {
			most, same = now, 0
		}
		return same > 200
	})
	t.Logf("%d MB at the most, with %d messages in the topic", most>>20, partitions*records)
	if most > 90<<20 {
		t.Errorf("the process took %d MB, want less than 90 with Memory at 8 MB", most>>20)
	}
}

// highWater is the most memory that a process ever had, in bytes.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
