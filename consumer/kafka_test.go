package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

func TestEveryMessageIsHandedOverAndARestartGoesOn(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 2500)
	s.publish(t, 1, 0, 10)
	want := s.change(1)
	want.Op, want.Delay, want.Extra = kafkasync.Created, 5*time.Minute, []kafkasync.Header{{Key: "trace", Value: []byte("x")}}
	s.put(t, 1, want)

	var r recorder
	c := run(t, s.config(), &r)
	eventually(t, "all is handed over", func() bool { return len(r.all()) == 2500+10 })
	if err := c.end(t); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if got := r.offsets(0); !slices.Equal(got, upTo(2500)) {
		t.Errorf("partition 0: got %d offsets, want 0 to 2499 in order", len(got))
	}
	// Rows 1 of partition 1 were two messages in one batch: the newer one stays.
	want.Partition, want.Offset = 1, 10
	all := r.all()
	at := slices.IndexFunc(all, func(m kafkasync.Message) bool { return m.Partition == 1 && m.Offset == 10 })
	if at < 0 || all[at].Seq != want.Seq || all[at].Op != want.Op || all[at].Delay != want.Delay || all[at].Committed != want.Committed ||
		string(all[at].Key) != "1" || len(all[at].Extra) != 1 || all[at].Pos != want.Pos {
		t.Errorf("got %+v, want %+v", all, want)
	}
	if slices.Contains(r.offsets(1), 1) {
		t.Error("the older message of the row was handed over beside the newer one")
	}
	if got := s.committed(t, 2); !slices.Equal(got, []int64{2500, 11}) {
		t.Errorf("got %v committed, want all", got)
	}

	s.publish(t, 0, 0, 3)
	var second recorder
	run(t, s.config(), &second)
	eventually(t, "what is new is handed over", func() bool { return len(second.all()) >= 3 })
	if got := second.offsets(0); len(second.all()) != 3 || !slices.Equal(got, []int64{2500, 2501, 2502}) {
		t.Errorf("got %v, want only what is new", second.all())
	}
}

func TestABatchThatFailsHoldsUpItsPartitionAlone(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 5)
	var failing atomic.Bool
	failing.Store(true)
	var tries atomic.Int32
	var r recorder
	broken := errors.New("the index is read-only")
	c := run(t, s.config(), consumer.HandlerFunc(func(ctx context.Context, batch []kafkasync.Message) error {
		if batch[0].Partition == 0 && failing.Load() {
			if tries.Add(1); len(batch) != 5 || batch[0].Offset != 0 {
				t.Errorf("got %d messages from offset %d on, want the same 5 again", len(batch), batch[0].Offset)
			}
			return broken
		}
		return r.Handle(ctx, batch)
	}))
	eventually(t, "it was tried again", func() bool { return tries.Load() >= 3 })
	s.publish(t, 1, 0, 100)
	eventually(t, "the other partition goes on", func() bool { return len(r.offsets(1)) == 100 && s.committed(t, 2)[1] == 100 })
	eventually(t, "it shows", func() bool {
		p := c.Status().Partitions
		return len(p) == 2 && errors.Is(p[0].Failing, broken) && p[0].Attempts >= 3 && p[1].Failing == nil && p[1].Done == 100
	})
	if got := s.committed(t, 2)[0]; got > 0 {
		t.Errorf("got offset %d committed, want nothing of what failed", got)
	}
	failing.Store(false)
	eventually(t, "it goes on", func() bool { return s.committed(t, 2)[0] == 5 })
	if got := r.offsets(0); !slices.Equal(got, upTo(5)) {
		t.Errorf("got %v, want each once more", got)
	}
	if p := c.Status().Partitions[0]; p.Failing != nil || p.Attempts != 0 {
		t.Errorf("got %+v, want no failure any more", p)
	}
}

// A session lasts 6 s, and a handler takes longer.
func TestASlowHandlerStopsNoHeartbeat(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 1)
	var r recorder
	began := time.Now()
	var calls atomic.Int32
	run(t, s.config(), consumer.HandlerFunc(func(ctx context.Context, batch []kafkasync.Message) error {
		if batch[0].Partition == 0 && batch[0].Offset == 0 {
			calls.Add(1)
			select {
			case <-time.After(9 * time.Second):
			case <-ctx.Done():
				t.Errorf("the partition was taken away after %s: %v", time.Since(began), context.Cause(ctx))
			}
		}
		return r.Handle(ctx, batch)
	}))
	for n := 1; time.Since(began) < 8*time.Second; n++ {
		s.publish(t, 1, 0, 1)
		eventually(t, "the other partition goes on", func() bool { return len(r.offsets(1)) == n })
	}
	eventually(t, "the slow one ends and is committed", func() bool { return s.committed(t, 2)[0] == 1 })
	if calls.Load() != 1 {
		t.Errorf("it was handed over %d times, want once", calls.Load())
	}
}

func TestARevokedPartitionIsFinishedFirst(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 1)
	s.publish(t, 1, 0, 1)
	var first, second recorder
	inside, release := make(chan struct{}, 2), make(chan struct{})
	run(t, s.config(), consumer.HandlerFunc(func(ctx context.Context, batch []kafkasync.Message) error {
		inside <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
			t.Errorf("the handler was told to stop: %v", context.Cause(ctx))
		}
		return first.Handle(ctx, batch)
	}))
	<-inside
	<-inside
	joined := run(t, s.config(), &second)
	// The group wants to move a partition once the second one is in it.
	eventually(t, "the group waits for the first member", func() bool { return s.groupState(t) == "PreparingRebalance" })
	if len(second.all()) > 0 {
		t.Errorf("got %v, want nothing before the first member has finished", second.all())
	}
	close(release)
	eventually(t, "the second one has a partition", func() bool { return len(joined.Status().Partitions) == 1 })
	s.publish(t, 0, 1, 1)
	s.publish(t, 1, 1, 1)
	eventually(t, "both are done by both", func() bool {
		return slices.Equal(s.committed(t, 2), []int64{2, 2}) && len(second.all()) > 0
	})
	if n := len(first.all()) + len(second.all()); n != 4 {
		t.Errorf("got %d messages handed over, want each of 4 once: %v and %v", n, first.all(), second.all())
	}
}

func (s *stage) describe(t testing.TB) kmsg.DescribeGroupsResponseGroup {
	t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{s.topic}
	return request[*kmsg.DescribeGroupsResponse](t, s, req).Groups[0]
}

func (s *stage) groupState(t testing.TB) string { return s.describe(t).State }

// expel takes all members out of the group, as if their sessions had ended.
func (s *stage) expel(t testing.TB) {
	t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = s.topic
	for _, m := range s.describe(t).Members {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID, one.InstanceID = m.MemberID, m.InstanceID
		req.Members = append(req.Members, one)
	}
	request[*kmsg.LeaveGroupResponse](t, s, req)
}

// T13: in the middle of a batch the partition is somebody else's.
func TestALostPartitionIsNotCommittedAndItsHandlerKnows(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 3)
	inside := make(chan context.Context, 1)
	var calls, written atomic.Int32
	run(t, s.config(), consumer.HandlerFunc(func(ctx context.Context, _ []kafkasync.Message) error {
		if calls.Add(1) == 1 {
			inside <- ctx
			<-ctx.Done() // where a transaction would be rolled back
			return context.Cause(ctx)
		}
		written.Add(1)
		return nil
	}))
	ctx := <-inside
	s.expel(t)
	eventually(t, "the handler knows", func() bool { return errors.Is(context.Cause(ctx), consumer.ErrRevoked) })
	eventually(t, "whoever has it now does all of it", func() bool { return s.committed(t, 1)[0] == 3 })
	if written.Load() != 1 {
		t.Errorf("it was written %d times, want once", written.Load())
	}
}

// T14: a process that is restarted under its instance finds its partitions, and the others notice nothing.
func TestAStaticMemberComesBackUnnoticed(t *testing.T) {
	s := newStage(t, 2)
	one, two := s.config(), s.config()
	one.Instance, two.Instance = "one", "two"
	one.Kafka["session.timeout.ms"], two.Kafka["session.timeout.ms"] = "30000", "30000"
	var a, b, again recorder
	first := run(t, one, &a)
	second := run(t, two, &b)
	eventually(t, "each has one partition", func() bool {
		return len(first.Status().Partitions) == 1 && len(second.Status().Partitions) == 1
	})
	generation := s.generation(t)
	mine := first.Status().Partitions[0].Partition
	s.publish(t, mine, 0, 10)
	eventually(t, "it is handed over", func() bool { return len(a.all()) == 10 })
	_ = first.end(t)
	s.publish(t, mine, 10, 5)
	third := run(t, one, &again)
	eventually(t, "it goes on", func() bool { return len(again.all()) >= 5 })
	if got := again.offsets(mine); !slices.Equal(got, []int64{10, 11, 12, 13, 14}) {
		t.Errorf("got %v, want only what is new of partition %d", again.all(), mine)
	}
	if after := s.generation(t); after != generation {
		t.Errorf("got generation %d, want the same %d: the group was rebalanced", after, generation)
	}
	if p := second.Status().Partitions; len(p) != 1 || p[0].Partition == mine {
		t.Errorf("the other one has %v, want its own partition", p)
	}
	_ = third.end(t)
}

// generation is the group's, as its offsets topic has it: what describes a group does not show it, so a
// member of a generation that is surely over is asked what it may do.
func (s *stage) generation(t testing.TB) int32 {
	t.Helper()
	for _, m := range s.describe(t).Members {
		for generation := int32(1); generation < 100; generation++ {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.Generation, req.MemberID, req.InstanceID = s.topic, generation, m.MemberID, m.InstanceID
			if request[*kmsg.HeartbeatResponse](t, s, req).ErrorCode == 0 {
				return generation
			}
		}
	}
	t.Fatal("nobody is in the group")
	return 0
}

func TestADrainHasALimit(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 1)
	cfg := s.config()
	cfg.Drain = 50 * time.Millisecond
	inside, told, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c := run(t, cfg, consumer.HandlerFunc(func(ctx context.Context, _ []kafkasync.Message) error {
		close(inside)
		<-ctx.Done()
		close(told)
		<-release // it does not listen
		return nil
	}))
	<-inside
	if err := c.end(t); !errors.Is(err, consumer.ErrDrain) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrDrain and the context's error", err)
	}
	<-told
	close(release)
	if got := s.committed(t, 1)[0]; got > 0 {
		t.Errorf("got offset %d committed, want nothing of what did not end", got)
	}
}
