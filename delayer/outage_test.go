package delayer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/kafkasync/kafkasync/internal/devstack"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

func TestWhatWasDueWhileKafkaWasAwayIsSentWhenItIsBack(t *testing.T) {
	t.Parallel()
	devtest.Kafka(t) // installs it, or skips under -short
	server, err := devstack.StartKafka(t.Context(), devstack.KafkaConfig{
		Java: []string{"-XX:TieredStopAtLevel=1"},
		// A broker that was killed may come back when the controller has given up the one before it.
		Settings: map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, server.Close()) })
	s := newStage(t, server.Brokers(), 3, 3*time.Second)
	r := s.run(t, s.locate(t))
	s.publish(t, 0, 10)
	s.drained(t)
	var holes []hole
	for n, stop := range []func() error{server.Stop, server.Kill} {
		s.publish(t, 1000*(n+1), 500)
		written := time.Now()
		s.waiting(t)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		// When the server is back, the member has lost its session with it: the one batch that was
		// handed over when it became due is written, not committed, and comes once more.
		holes = append(holes, hole{written.Add(s.delay), []int32{0, 1, 2}})
		eventually(t, time.Minute, func() string {
			if _, problem := r.Status().Snapshot(); !strings.Contains(problem, "Kafka at "+server.Brokers()+" is unreachable") {
				return fmt.Sprintf("got the problem %q, want that Kafka is unreachable", problem)
			}
			return ""
		})
		passes(t, written.Add(s.delay+time.Second)) // all is due
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.drained(t)
		eventually(t, time.Minute, func() string {
			_, problem := r.Status().Snapshot()
			return problem
		})
	}
	v := judge(s.read(t), s.delay, holes...)
	report(t, v)
	if v.instants != 1010 {
		t.Errorf("got %d messages, want 1010", v.instants)
	}

	// A run that is ended while Kafka is away does not wait for it: what it could not commit comes again.
	s.publish(t, 5000, 100)
	s.waiting(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	began, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		r.end()
	}()
	select {
	case <-ended:
		t.Logf("the run ended in %s", time.Since(began).Round(time.Millisecond))
	case <-time.After(time.Minute):
		t.Fatal("the run goes on, want it to end without Kafka")
	}
	if problem := says(r.log, "the last offsets of partitions were not committed"); problem != "" {
		t.Error(problem)
	}
}

// cut deletes the records of a partition before an offset, as retention does.
func (s *stage) cut(t testing.TB, partition int32, before int64) {
	t.Helper()
	place := ck.TopicPartition{Topic: &s.topic, Partition: partition, Offset: ck.Offset(before)}
	answer := ask(t, func(ctx context.Context) (ck.DeleteRecordsResults, error) {
		return s.admin.DeleteRecords(ctx, []ck.TopicPartition{place})
	})
	if err := answer.DeleteRecordsResults[0].TopicPartition.Error; err != nil {
		t.Fatal(err)
	}
}

// missing counts the messages of those that are there whose twins are not.
func missing(v *verdict) (n int) {
	for _, problem := range v.problems {
		if strings.HasSuffix(problem, "LOST") {
			n++
		}
	}
	return n
}

func TestRecordsThatWereDeletedBeforeTheirTimeAreCountedAndTheRestIsSent(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 1, time.Second)
	pair := s.locate(t)
	r := s.run(t, pair)
	s.publish(t, 0, 100)
	s.drained(t)
	r.end()
	committed := s.committed(t)
	s.publish(t, 100, 100)
	s.cut(t, 0, committed[0]+80)
	r = s.run(t, pair)
	s.drained(t)
	v := judge(s.read(t), s.delay) // of what is left
	report(t, v)
	if v.instants != 20 {
		t.Errorf("got %d messages on the topic, want the 20 that were not deleted", v.instants)
	}
	if lost := r.counts(s).Lost; lost != 80 {
		t.Errorf("got %d counted as lost, want 80", lost)
	}
	if problem := says(r.log, "records were deleted before their delay messages were sent", "delay_messages_lost_at_most=80", s.topic); problem != "" {
		t.Error(problem)
	}
}

// says is "", or what of the wanted is in no line of the log.
func says(log *text, wanted ...string) string {
	for line := range strings.Lines(log.String()) {
		all := true
		for _, w := range wanted {
			all = all && strings.Contains(line, w)
		}
		if all {
			return ""
		}
	}
	return fmt.Sprintf("the log has no line with %q:\n%s", wanted, log)
}

func TestRecordsThatAreDeletedUnderTheReaderAreCountedAndTheRestIsSent(t *testing.T) {
	t.Parallel()
	const messages, left = 60_000, 5_000 // many more than are fetched ahead
	s := newStage(t, devtest.Kafka(t).Brokers(), 1, 5*time.Second)
	r := s.run(t, s.locate(t))
	s.held(t, "here")
	s.publish(t, 0, messages)
	s.waiting(t)
	s.cut(t, 0, messages-left)
	s.drained(t)
	all := s.read(t)
	resent := twins(all)
	v := judge(all, s.delay)
	if v.instants != left || missing(v) != 0 {
		t.Errorf("got %d messages on the topic and %d without a twin, want %d that were not deleted, and all twins", v.instants, missing(v), left)
	}
	gone := messages - resent // each is of another row, so none has collapsed
	lost := int(r.counts(s).Lost)
	t.Logf("%d of %d were re-sent, %d were counted as lost", resent, messages, lost)
	if gone <= 0 || gone >= messages-left {
		t.Errorf("got %d twins, want those of what had been fetched before, and of what is left", resent)
	}
	if lost < gone || lost > messages-left {
		t.Errorf("got %d counted as lost, want all %d that are, and no more than the %d that were deleted", lost, gone, messages-left)
	}
	if problem := says(r.log, "records were deleted", fmt.Sprintf("delay_messages_lost_at_most=%d", lost)); problem != "" {
		t.Error(problem)
	}
}

// drop deletes the topic.
func (s *stage) drop(t testing.TB) {
	t.Helper()
	s.dropped = s.ends(t)
	answer := ask(t, func(ctx context.Context) ([]ck.TopicResult, error) {
		return s.admin.DeleteTopics(ctx, []string{s.topic})
	})
	if answer[0].Error.Code() != ck.ErrNoError {
		t.Fatal(answer[0].Error)
	}
}

// create creates the topic again, as soon as that can be. The broker knows the new one a moment before it lets go of
// the old one, and until then it takes what is written, and loses it.
func (s *stage) create(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		answer := ask(t, func(ctx context.Context) ([]ck.TopicResult, error) {
			return s.admin.CreateTopics(ctx, []ck.TopicSpecification{{
				Topic: s.topic, NumPartitions: s.partitions, ReplicationFactor: 1, Config: map[string]string{"message.timestamp.type": "LogAppendTime"},
			}})
		})
		if answer[0].Error.Code() != ck.ErrNoError {
			return answer[0].Error.String()
		}
		return ""
	})
	eventually(t, time.Minute, func() string {
		ends, err := s.endsNow(t.Context())
		if err != nil || len(ends) != len(s.dropped) {
			return fmt.Sprintf("the topic has the ends %v (%v)", ends, err)
		}
		for p, end := range s.dropped {
			if end > 0 && ends[p] >= end {
				return fmt.Sprintf("partition %d ends at %d, as it did before", p, end)
			}
		}
		return ""
	})
	s.reopen(t)
	s.locate(t)
}

func TestATopicThatIsCreatedAgainIsReadFromItsBeginning(t *testing.T) {
	const old, next = 300, 2000
	tests := []struct {
		name    string
		between func(t *testing.T, s *stage, r *running) *running // while the topic is not there
		least   uint64                                            // counted as lost
		most    uint64
	}{
		// librdkafka may not notice, and the offset that it wants to read next is there again: what it
		// reads there may be counted with the old ones.
		{"at once", func(_ *testing.T, _ *stage, r *running) *running { return r }, old, old + next},
		{"after the group has noticed", func(t *testing.T, s *stage, r *running) *running {
			t.Helper()
			eventually(t, time.Minute, func() string {
				if held := s.holders(t); len(held) > 0 {
					return fmt.Sprintf("the group still has %v", held)
				}
				return ""
			})
			return r
		}, old, old},
		// The brokers have forgotten what was committed, and nobody knows how many waited.
		{"while nobody reads it", func(t *testing.T, _ *stage, r *running) *running {
			t.Helper()
			r.end()
			return nil
		}, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, devtest.Kafka(t).Brokers(), 1, 3*time.Second)
			pair := s.locate(t)
			r := s.run(t, pair)
			s.publish(t, 0, 100)
			s.drained(t)
			s.publish(t, 100, old)
			s.waiting(t)
			s.drop(t)
			left := test.between(t, s, r)
			s.create(t)
			s.publish(t, 1000, next)
			if left == nil {
				left = s.run(t, pair) // of the old topic: nobody has told the cluster yet
			}
			eventually(t, time.Minute, func() string { return says(left.log, "the topic was deleted and created again", s.topic) })
			s.drained(t)
			v := judge(s.read(t), s.delay)
			for _, problem := range v.problems {
				if !strings.Contains(problem, "is no message's twin") && !strings.Contains(problem, "AGAIN") { // the old topic's, which were in flight
					t.Error(problem)
				}
			}
			lost := left.counts(s).Lost
			t.Logf("%d messages of the new topic, %d twins, %d again; %d of the old one counted as lost; late at most %s", v.instants, v.twins, v.repeats, lost, v.percentile(100))
			if v.instants != next {
				t.Errorf("got %d messages in the new topic, want %d", v.instants, next)
			}
			if lost < test.least || lost > test.most {
				t.Errorf("got %d counted as lost, want %d to %d", lost, test.least, test.most)
			}
		})
	}
}

func TestWithoutItsOffsetsAGroupBeginsWhereThePairBecameKnown(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 2, time.Second)
	s.publish(t, 0, 100) // before anybody promised a twin
	pair := s.locate(t)
	r := s.run(t, pair)
	s.publish(t, 1000, 50)
	s.drained(t)
	r.end()
	first := twins(s.read(t))
	eventually(t, time.Minute, func() string { // the member has left
		answer := ask(t, func(ctx context.Context) (ck.DeleteConsumerGroupsResult, error) {
			return s.admin.DeleteConsumerGroups(ctx, []string{s.group()})
		})
		if err := answer.ConsumerGroupResults[0].Error; err.Code() != ck.ErrNoError {
			return err.String()
		}
		return ""
	})
	s.publish(t, 2000, 20)
	r = s.run(t, pair)
	s.drained(t)
	if total := twins(s.read(t)); first != 50 || total != 50+50+20 {
		t.Errorf("got %d twins before and %d in all, want 50, and then these again and 20 more", first, total)
	}
	if lost := r.counts(s).Lost; lost != 0 {
		t.Errorf("got %d counted as lost, want none", lost)
	}
}

func TestPartitionsThatAreAddedAreReadFromTheirBeginning(t *testing.T) {
	t.Parallel()
	s := newStage(t, devtest.Kafka(t).Brokers(), 1, time.Second)
	s.run(t, s.locate(t))
	s.publish(t, 0, 100)
	s.drained(t)
	answer := ask(t, func(ctx context.Context) ([]ck.TopicResult, error) {
		return s.admin.CreatePartitions(ctx, []ck.PartitionsSpecification{{Topic: s.topic, IncreaseTo: 4}})
	})
	if answer[0].Error.Code() != ck.ErrNoError {
		t.Fatal(answer[0].Error)
	}
	eventually(t, time.Minute, func() string {
		if ends, _, _, err := s.look(t); err != nil || len(ends) != 4 {
			return fmt.Sprintf("got the ends %v, error %v, want those of 4 partitions", ends, err)
		}
		return ""
	})
	s.reopen(t) // so that it knows of them: the delayer's group does not yet
	s.publish(t, 1000, 300)
	s.drained(t)
	written, sent := map[int64]time.Time{}, map[int64]int{}
	for _, e := range s.read(t) { // the delayer's producer may not know the new partitions yet, so a twin may be on another one
		switch {
		case e.Delay != 0:
			written[e.Seq] = e.at
		case e.at.Before(written[e.Seq].Add(s.delay)) && !written[e.Seq].IsZero():
			t.Errorf("%s came EARLY", show(&e))
		default:
			sent[e.Seq]++
		}
	}
	for seq := range written {
		if sent[seq] != 1 {
			t.Errorf("got %d twins with seq %d, want 1", sent[seq], seq)
		}
	}
	if len(written) != 400 {
		t.Errorf("got %d messages, want 400", len(written))
	}
}
