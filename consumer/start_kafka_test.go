package consumer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

func TestANewNameStartsWhereItIsTold(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 3)
	s.publish(t, 1, 0, 2)
	<-time.After(50 * time.Millisecond) // between the timestamps of the records
	middle := time.Now()
	<-time.After(50 * time.Millisecond)
	s.publish(t, 0, 3, 2)

	tests := []struct {
		name  string
		start consumer.Start
		first []int64 // of each partition
	}{
		{"earliest", consumer.Earliest(), []int64{0, 0}},
		{"latest", consumer.Latest(), []int64{5, 2}},
		{"a time", consumer.At(middle), []int64{3, 2}},
		{"a time in the future", consumer.At(time.Now().Add(time.Hour)), []int64{5, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := s.config()
			cfg.Name, cfg.Start = s.topic+"-"+strings.ReplaceAll(tt.name, " ", "-"), tt.start
			view := *s
			view.topic = cfg.Name // whose offsets are asked for
			var r recorder
			c := run(t, cfg, &r)
			eventually(t, "both partitions are read", func() bool { return slices.Equal(view.committedOf(t, s.topic, 2), []int64{5, 2}) })
			_ = c.end(t)
			for p, first := range tt.first {
				if got, want := r.offsets(int32(p)), upTo([]int64{5, 2}[p])[first:]; !slices.Equal(got, want) {
					t.Errorf("partition %d: got offsets %v, want %v", p, got, want)
				}
			}
		})
	}
}

func TestAPartitionThatIsAddedIsReadFromItsBeginning(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 1)
	cfg := s.config()
	cfg.Start = consumer.Latest()
	var r recorder
	run(t, cfg, &r)
	eventually(t, "it has begun", func() bool { return s.committed(t, 1)[0] == 1 })
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10_000
	more := kmsg.NewCreatePartitionsRequestTopic()
	more.Topic, more.Count = s.topic, 2
	req.Topics = append(req.Topics, more)
	if err := kerr.ErrorForCode(request[*kmsg.CreatePartitionsResponse](t, s, req).Topics[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
	s.connect(t)          // it knows only one partition
	s.publish(t, 1, 0, 4) // most likely before anybody reads it
	eventually(t, "all of it is handed over", func() bool { return slices.Equal(r.offsets(1), upTo(4)) })
	if got := r.offsets(0); len(got) > 0 {
		t.Errorf("got offsets %v of the first partition, want none", got)
	}
}

// deleteBefore deletes what lies before an offset.
func (s *stage) deleteBefore(t testing.TB, partition int32, offset int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	one := kmsg.NewDeleteRecordsRequestTopic()
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Topic, p.Partition, p.Offset = s.topic, partition, offset
	one.Partitions = append(one.Partitions, p)
	req.Topics = append(req.Topics, one)
	resp := request[*kmsg.DeleteRecordsResponse](t, s, req)
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// T8: what was committed lies before what is there.
func TestOutOfRangeIsAnErrorThatSaysHowMuchIsLost(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 10)
	var r recorder
	c := run(t, s.config(), &r)
	eventually(t, "all is handed over", func() bool { return s.committed(t, 1)[0] == 10 })
	_ = c.end(t)
	s.publish(t, 0, 10, 30)
	s.deleteBefore(t, 0, 25)

	err := run(t, s.config(), &r).wait(t)
	var fault *kafkasync.Fault
	if !errors.As(err, &fault) || fault.Class != kafkasync.Stop || !strings.Contains(fault.Risk, "15 messages") ||
		!strings.Contains(fault.What, "at offset 10") || !strings.Contains(fault.Fix, "--reset-offsets") {
		t.Fatalf("got %v, want an error that says that 15 messages from offset 10 on are lost", err)
	}
	if got := s.committed(t, 1)[0]; got != 10 {
		t.Errorf("got offset %d committed, want 10: nothing was skipped", got)
	}
	// And an application that knows what to do about it goes on.
	var gaps []consumer.Gap
	cfg := s.config()
	cfg.OnGap = func(_ context.Context, g consumer.Gap) error {
		gaps = append(gaps, g)
		return nil
	}
	var later recorder
	c = run(t, cfg, &later)
	eventually(t, "it goes on", func() bool { return s.committed(t, 1)[0] == 40 })
	_ = c.end(t)
	if got := later.offsets(0); len(got) != 15 || got[0] != 25 {
		t.Errorf("got offsets %v, want 25 to 39", got)
	}
	if len(gaps) != 1 || gaps[0].From != 10 || gaps[0].To != 25 || gaps[0].Topic != s.topic {
		t.Errorf("got gaps %+v, want the one from 10 to 25", gaps)
	}
}

// What is deleted while a handler is at work on what lies before it shows when it goes on.
func TestOutOfRangeWhileReadingIsAnErrorToo(t *testing.T) {
	s := newStage(t, 1)
	big := s.change(1)
	big.Value = make([]byte, 600<<10)
	_, _ = rand.Read(big.Value) // else it would be compressed to nothing
	for range 10 {              // more than is fetched ahead
		s.put(t, 0, big)
	}
	cfg := s.config()
	cfg.Memory, cfg.BatchSize = 1<<20, 1
	inside, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	c := run(t, cfg, consumer.HandlerFunc(func(context.Context, []kafkasync.Message) error {
		if calls.Add(1) == 1 {
			close(inside)
			<-release
		}
		return nil
	}))
	<-inside
	s.deleteBefore(t, 0, 10)
	close(release)
	err := c.wait(t)
	if err == nil || !strings.Contains(err.Error(), "deleted by the topic's retention") {
		t.Fatalf("got %v, want an error that says that messages were deleted", err)
	}
	if got := s.committed(t, 1)[0]; got != int64(calls.Load()) {
		t.Errorf("got offset %d committed after %d messages", got, calls.Load())
	}
}

func TestATopicThatWasCreatedAgainIsNoticed(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 3)
	c := run(t, s.config(), &recorder{})
	eventually(t, "all is handed over", func() bool { return s.committed(t, 1)[0] == 3 })
	_ = c.end(t)
	note := s.note(t)

	del := kmsg.NewPtrDeleteTopicsRequest()
	del.TimeoutMillis = 10_000
	del.TopicNames = []string{s.topic}
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &s.topic
	del.Topics = append(del.Topics, one)
	request[*kmsg.DeleteTopicsResponse](t, s, del)
	eventually(t, "the topic is gone", func() bool {
		return s.lookUp(t, s.topic).ErrorCode == kerr.UnknownTopicOrPartition.Code && s.committed(t, 1)[0] < 0
	})
	s.create(t, s.topic, 1)
	s.connect(t)
	s.publish(t, 0, 0, 5)
	// Brokers forget a topic's offsets with it. Those that were stored elsewhere and put back are those of another topic.
	s.commit(t, 3, note)
	err := run(t, s.config(), &recorder{}).wait(t)
	if err == nil || !strings.Contains(err.Error(), "deleted and created again") || !strings.Contains(err.Error(), "unknown number") {
		t.Fatalf("got %v, want an error that says that it is another topic", err)
	}
}

// note is what is committed beside the offset of partition 0.
func (s *stage) note(t testing.TB) string {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = s.topic
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = s.topic
	req.Groups = append(req.Groups, group)
	resp := request[*kmsg.OffsetFetchResponse](t, s, req)
	return *resp.Groups[0].Topics[0].Partitions[0].Metadata
}

// commit stores an offset of partition 0 as another tool does.
func (s *stage) commit(t testing.TB, offset int64, note string) {
	t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = s.topic, -1
	one := kmsg.NewOffsetCommitRequestTopic()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	one.Topic, one.TopicID, p.Partition, p.Offset, p.Metadata = s.topic, s.lookUp(t, s.topic).TopicID, 0, offset, &note
	one.Partitions = append(one.Partitions, p)
	req.Topics = append(req.Topics, one)
	resp := request[*kmsg.OffsetCommitResponse](t, s, req)
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}
