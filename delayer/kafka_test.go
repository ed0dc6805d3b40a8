package delayer_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/delayer"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/sink"
	"github.com/kafkasync/kafkasync/sink/kafka"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(processVariable); text != "" {
		os.Exit(runProcess(text))
	}
	devtest.Main(m)
}

// stage is a topic on a Kafka, and who writes messages with a delay to it.
type stage struct {
	brokers    string
	topic      string // and the name of who re-sends
	delay      time.Duration
	partitions int
	admin      *ck.AdminClient
	client     *kgo.Client
	dropped    places // the ends of the topic when it was deleted

	mu   sync.Mutex // seq and sink
	sink *kafka.Sink
	seq  int64
}

// newStage makes a topic. It is written to from here only.
func newStage(t testing.TB, brokers string, partitions int, delay time.Duration) *stage {
	t.Helper()
	s := &stage{brokers: brokers, topic: devtest.Topic(t), delay: delay, partitions: partitions}
	var err error
	s.admin, err = ck.NewAdminClient(&ck.ConfigMap{"bootstrap.servers": brokers, "allow.auto.create.topics": false, "log_level": 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.admin.Close)
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(brokers)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.reopen(t)
	t.Cleanup(func() { closed(t, s.sink.Close()) })
	s.locate(t)
	return s
}

func closed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// reopen forgets what the writer knows of the topic, as one does that begins after the topic was created again.
func (s *stage) reopen(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil {
		closed(t, s.sink.Close())
	}
	var err error
	s.sink, err = kafka.Open(t.Context(), kafka.Config{
		Brokers: []string{s.brokers}, Topics: kafka.Topics{Create: true, Partitions: s.partitions},
	}, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
}

// locate returns the pair as the cluster would know it from now on.
func (s *stage) locate(t testing.TB) kafkasync.Pair {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	pair, err := s.sink.Locate(t.Context(), s.topic, s.delay)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// change is an update of a row, as one of many writers' rules make a message of it.
func (s *stage) change(id int) kafkasync.Message {
	s.seq++
	return kafkasync.Message{
		Topic: s.topic, Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, `{"id":%d}`, id),
		Op: kafkasync.Updated, Pipeline: "shop", Table: "public.products", Seq: s.seq,
		Committed: time.Now(), Pos: "0/16B3748", Delay: s.delay,
		Extra: []kafkasync.Header{{Key: "trace", Value: fmt.Appendf(nil, "t-%d", s.seq)}},
	}
}

// publish writes a change of each row from first on, n of them, and returns once they are acknowledged.
func (s *stage) publish(t testing.TB, first, n int) {
	t.Helper()
	if err := s.write(t.Context(), func() (all []kafkasync.Message) {
		for id := first; id < first+n; id++ {
			all = append(all, s.change(id))
		}
		return all
	}); err != nil {
		t.Fatal(err)
	}
}

// write publishes what make makes.
func (s *stage) write(ctx context.Context, made func() []kafkasync.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sink.Publish(ctx, made())
}

func (s *stage) group() string { return delayer.GroupOf(s.topic, s.delay) }

// ask bounds a question to the brokers.
func ask[T any](t testing.TB, question func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	answer, err := question(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// places are offsets by partition.
type places map[int32]int64

func (p places) sum() (sum int64) {
	for _, offset := range p {
		sum += offset
	}
	return sum
}

// ends returns where the partitions end.
func (s *stage) ends(t testing.TB) places {
	t.Helper()
	return ask(t, s.endsNow)
}

func (s *stage) endsNow(ctx context.Context) (places, error) {
	described, err := s.admin.DescribeTopics(ctx, ck.NewTopicCollectionOfTopicNames([]string{s.topic}))
	if err != nil {
		return nil, err
	}
	asked := map[ck.TopicPartition]ck.OffsetSpec{}
	for _, p := range described.TopicDescriptions[0].Partitions {
		asked[ck.TopicPartition{Topic: &s.topic, Partition: int32(p.Partition)}] = ck.LatestOffsetSpec
	}
	answer, err := s.admin.ListOffsets(ctx, asked)
	if err != nil {
		return nil, err
	}
	found := places{}
	for p, one := range answer.ResultInfos {
		if one.Error.Code() != ck.ErrNoError {
			return nil, one.Error
		}
		found[p.Partition] = int64(one.Offset)
	}
	return found, nil
}

// committed returns what the group has committed.
func (s *stage) committed(t testing.TB) places {
	t.Helper()
	return ask(t, func(ctx context.Context) (places, error) { return s.committedNow(ctx, map[int32]string{}) })
}

func (s *stage) committedNow(ctx context.Context, notes map[int32]string) (places, error) {
	request := kmsg.NewPtrOffsetFetchRequest() // librdkafka crashes where the group's coordinator is not ready
	request.Group = s.group()
	response, err := request.RequestWith(ctx, s.client)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return nil, err
	}
	found := places{}
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			if topic.Topic != s.topic || p.Offset < 0 {
				continue
			}
			found[p.Partition] = p.Offset
			if p.Metadata != nil {
				notes[p.Partition] = *p.Metadata
			}
		}
	}
	return found, nil
}

// holders returns which partitions each member of the group has, by its client.id.
func (s *stage) holders(t testing.TB) map[string][]int32 {
	t.Helper()
	answer := ask(t, func(ctx context.Context) (ck.DescribeConsumerGroupsResult, error) {
		return s.admin.DescribeConsumerGroups(ctx, []string{s.group()})
	})
	found := map[string][]int32{}
	for _, member := range answer.ConsumerGroupDescriptions[0].Members {
		for _, p := range member.Assignment.TopicPartitions {
			found[member.ClientID] = append(found[member.ClientID], p.Partition)
		}
	}
	return found
}

// held waits until exactly these members have all partitions between them, and each of them some.
func (s *stage) held(t testing.TB, names ...string) map[string][]int32 {
	t.Helper()
	var found map[string][]int32
	eventually(t, time.Minute, func() string {
		found = s.holders(t)
		sum := 0
		for _, partitions := range found {
			sum += len(partitions)
		}
		for _, name := range names {
			if len(found[name]) == 0 {
				return fmt.Sprintf("%s has no partitions: %v", name, found)
			}
		}
		if sum != s.partitions || len(found) != len(names) {
			return fmt.Sprintf("got the partitions %v, want all %d with %v", found, s.partitions, names)
		}
		return ""
	})
	return found
}

// drained waits until the group has committed all that there is: nothing waits any more.
func (s *stage) drained(t testing.TB) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		ends, committed, notes, err := s.look(t)
		if err != nil {
			return err.Error() // a broker that has just come back, or a partition that is just made
		}
		for p, end := range ends {
			if committed[p] != end {
				return fmt.Sprintf("partition %d: committed %d (%s), want its end %d", p, committed[p], notes[p], end)
			}
		}
		return ""
	})
}

// waiting waits until the group has told of each partition that is not empty that a message in it is not due.
func (s *stage) waiting(t testing.TB) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		ends, _, notes, err := s.look(t)
		if err != nil {
			return err.Error()
		}
		for p, end := range ends {
			var id string
			var seen, at, next int64
			if _, err := fmt.Sscanf(notes[p], "1 %s %d %d %d", &id, &seen, &at, &next); end > 0 && (err != nil || next == 0) {
				return fmt.Sprintf("partition %d, which ends at %d: got the note %q, want one with a time", p, end, notes[p])
			}
		}
		return ""
	})
}

// look asks for the ends, and for what the group has committed.
func (s *stage) look(t testing.TB) (ends, committed places, notes map[int32]string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	notes = map[int32]string{}
	if committed, err = s.committedNow(ctx, notes); err != nil { // first: it lies behind the ends
		return nil, nil, nil, err
	}
	ends, err = s.endsNow(ctx)
	return ends, committed, notes, err
}

// read returns all that is on the topic, each partition in its order.
func (s *stage) read(t testing.TB) []entry {
	t.Helper()
	from, left := map[int32]kgo.Offset{}, int64(0)
	ends := s.ends(t)
	for p, end := range ends {
		from[p] = kgo.NewOffset().AtStart()
		left += end
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: from}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := make([]entry, 0, left)
	for at := (places{}); at.sum() < left; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("reading topic %s, which ends at %v, at %v: %v", s.topic, ends, at, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < ends[r.Partition] {
				all = append(all, parse(t, r))
				at[r.Partition] = r.Offset + 1
			}
		})
	}
	return all
}

// entry is a record of a topic and when the broker wrote it.
type entry struct {
	kafkasync.Message

	at      time.Time
	headers []kgo.RecordHeader
}

func parse(t testing.TB, r *kgo.Record) entry {
	t.Helper()
	const logAppendTime = 1
	if r.Attrs.TimestampType() != logAppendTime {
		t.Fatalf("partition %d, offset %d: its time is not the broker's", r.Partition, r.Offset)
	}
	e := entry{at: r.Timestamp, headers: r.Headers, Message: kafkasync.Message{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value,
	}}
	for _, h := range r.Headers {
		if err := e.SetHeader(h.Key, h.Value); err != nil {
			t.Fatalf("partition %d, offset %d: %v", r.Partition, r.Offset, err)
		}
	}
	return e
}

// settings are those of a delayer for the stage.
func (s *stage) settings(name string, pairs ...kafkasync.Pair) delayer.Config {
	clock := delayer.NewClock(time.Now)
	return delayer.Config{
		Name: s.topic, Delay: s.delay, Brokers: []string{s.brokers}, Clock: clock,
		Properties: map[string]string{"client.id": name},
		Pairs:      func() ([]kafkasync.Pair, <-chan struct{}) { return pairs, nil },
		OpenSink: func(ctx context.Context) (sink.Sink, error) {
			return kafka.Open(ctx, kafka.Config{Brokers: []string{s.brokers}}, kafka.Options{
				Appended: clock.Appended, InFlight: kafka.DefaultInFlight / 2,
			})
		},
	}
}

// running is a delayer of this process.
type running struct {
	*delayer.Delayer

	log *text
	end func()
}

// run runs a delayer, again and again as a node does, until end is called or the test ends.
func (s *stage) run(t testing.TB, pairs ...kafkasync.Pair) *running {
	t.Helper()
	r := &running{log: &text{}}
	cfg := s.settings("here", pairs...)
	cfg.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.Delayer, err = delayer.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		supervise(ctx, r.Delayer, cfg.Logger)
	}()
	r.end = func() {
		cancel()
		<-done
	}
	t.Cleanup(func() {
		r.end()
		if t.Failed() {
			t.Logf("the delayer said:\n%s", r.log)
		}
	})
	return r
}

// supervise is what a node does.
func supervise(ctx context.Context, d *delayer.Delayer, log *slog.Logger) {
	for ctx.Err() == nil {
		err := d.Run(ctx)
		if ctx.Err() != nil {
			return
		}
		d.Status().SetError(err)
		log.Warn("the delayer starts again", "err", err)
		timer := time.NewTimer(200 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// counts returns what the delayer knows of the stage's topic.
func (r *running) counts(s *stage) delayer.Counts {
	all, _ := r.Status().Snapshot()
	for _, c := range all {
		if c.Topic == s.topic {
			return c
		}
	}
	return delayer.Counts{}
}

// eventually asks until the answer is "", and fails the test with the last answer if that takes too long.
func eventually(t testing.TB, limit time.Duration, problem func() string) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for said := problem(); said != ""; said = problem() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %s: %s", limit, said)
		}
	}
}

// passes waits until a moment has come that is part of the story, such as the end of a delay.
func passes(t testing.TB, moment time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// text is what a process or a delayer prints, readable while it runs.
type text struct {
	mu  sync.Mutex
	all strings.Builder
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all.String()
}

func TestTwoDelaysOnOneTopicAreEachOnTime(t *testing.T) {
	t.Parallel()
	short := newStage(t, devtest.Kafka(t).Brokers(), 3, time.Second)
	long := &stage{
		brokers: short.brokers, topic: short.topic, delay: 3 * time.Second, partitions: 3,
		admin: short.admin, client: short.client, sink: short.sink, seq: 1000,
	}
	for _, s := range []*stage{short, long} {
		s.run(t, s.locate(t))
		s.held(t, "here")
	}
	for range 10 {
		short.publish(t, 0, 30)
		long.publish(t, 0, 30) // the same rows
	}
	long.drained(t)
	short.drained(t)
	all := short.read(t)
	for _, s := range []*stage{short, long} {
		v := judge(all, s.delay)
		report(t, v)
		if v.instants != 300 {
			t.Errorf("got %d messages with a delay of %s, want 300", v.instants, s.delay)
		}
		if late := v.percentile(100); late > 3*time.Second {
			t.Errorf("delay %s: got a message that was %s late", s.delay, late)
		}
	}
}
