package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// stage is a topic on a real Kafka, and who writes to it.
type stage struct {
	brokers string
	topic   string // and the name of the consumer
	client  *kgo.Client
	seq     int64
}

func newStage(t testing.TB, partitions int) *stage {
	t.Helper()
	return newStageOn(t, devtest.Kafka(t).Brokers(), partitions)
}

func newStageOn(t testing.TB, brokers string, partitions int) *stage {
	t.Helper()
	s := &stage{brokers: brokers, topic: devtest.Topic(t)}
	s.connect(t)
	s.create(t, s.topic, partitions)
	return s
}

// connect forgets what the writer knows of the topic.
func (s *stage) connect(t testing.TB) {
	t.Helper()
	var err error
	s.client, err = kgo.NewClient(kgo.SeedBrokers(s.brokers), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
}

func (s *stage) create(t testing.TB, topic string, partitions int) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = topic, int32(partitions), 1
	req.Topics = append(req.Topics, one)
	resp := request[*kmsg.CreateTopicsResponse](t, s, req)
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatalf("creating topic %s: %v", topic, err)
	}
	// The broker has said yes before all of it knows.
	eventually(t, "the topic is there", func() bool {
		found := s.lookUp(t, topic)
		return found.ErrorCode == 0 && len(found.Partitions) == partitions &&
			!slices.ContainsFunc(found.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 })
	})
}

func (s *stage) lookUp(t testing.TB, topic string) kmsg.MetadataResponseTopic {
	t.Helper()
	meta := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	meta.Topics = append(meta.Topics, asked)
	return request[*kmsg.MetadataResponse](t, s, meta).Topics[0]
}

// request asks Kafka something.
func request[R kmsg.Response](t testing.TB, s *stage, req kmsg.Request) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		resp, err := s.client.Request(ctx, req)
		if err == nil {
			return resp.(R)
		}
		if !kerr.IsRetriable(err) || ctx.Err() != nil {
			t.Fatalf("%T: %v", req, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// change is the message of a change of a row.
func (s *stage) change(id int) kafkasync.Message {
	s.seq++
	return kafkasync.Message{
		Topic: s.topic, Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, `{"id":%d}`, id), Op: kafkasync.Updated,
		Pipeline: "shop", Table: "public.products", Seq: s.seq, Committed: time.Now().Truncate(time.Millisecond).UTC(), Pos: "0/16B3748",
	}
}

// publish writes a change of rows from first on, n of them, to a partition.
func (s *stage) publish(t testing.TB, partition int32, first, n int) {
	t.Helper()
	var all []kafkasync.Message
	for id := first; id < first+n; id++ {
		all = append(all, s.change(id))
	}
	s.put(t, partition, all...)
}

func (s *stage) put(t testing.TB, partition int32, all ...kafkasync.Message) {
	t.Helper()
	var records []*kgo.Record
	for i := range all {
		r := &kgo.Record{Topic: s.topic, Partition: partition, Key: all[i].Key, Value: all[i].Value}
		headers, _ := all[i].AppendHeaders(nil, nil)
		for _, h := range headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		records = append(records, r)
	}
	s.raw(t, records...)
}

func (s *stage) raw(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("publishing: %v", err)
	}
}

// config is what the tests change one thing of.
func (s *stage) config() consumer.Config {
	return consumer.Config{
		Brokers: []string{s.brokers}, Topics: []string{s.topic}, Name: s.topic, RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond,
		Kafka: map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "200", "topic.metadata.refresh.interval.ms": "500"},
	}
}

// running is a consumer at work.
type running struct {
	*consumer.Consumer
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	log    *text
}

// run starts a consumer, which ends with the test.
func run(t testing.TB, cfg consumer.Config, h consumer.Handler) *running {
	t.Helper()
	r := &running{done: make(chan struct{}), log: &text{}}
	cfg.Logger = slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	if r.Consumer, err = consumer.New(cfg); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		defer close(r.done)
		r.err = r.Run(ctx, h)
	}()
	t.Cleanup(func() {
		_ = r.end(t)
		if t.Failed() {
			t.Logf("the consumer said:\n%s", r.log)
		}
	})
	return r
}

// end ends the consumer and returns what Run has returned.
func (r *running) end(t testing.TB) error {
	t.Helper()
	r.cancel()
	return r.wait(t)
}

func (r *running) wait(t testing.TB) error {
	t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(patience):
		t.Error("Run has not returned")
		return nil
	}
}

// committed is what the group has committed of each partition; -1: nothing.
func (s *stage) committed(t testing.TB, partitions int) []int64 {
	t.Helper()
	return s.committedOf(t, s.topic, partitions)
}

func (s *stage) committedOf(t testing.TB, topic string, partitions int) []int64 {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = s.topic
	one := kmsg.NewOffsetFetchRequestTopic()
	one.Topic = topic
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = s.topic
	asked := kmsg.NewOffsetFetchRequestGroupTopic()
	asked.Topic = topic
	for p := range int32(partitions) {
		one.Partitions, asked.Partitions = append(one.Partitions, p), append(asked.Partitions, p)
	}
	req.Topics, group.Topics = append(req.Topics, one), append(group.Topics, asked)
	req.Groups = append(req.Groups, group)
	resp := request[*kmsg.OffsetFetchResponse](t, s, req)
	found := slices.Repeat([]int64{-1}, partitions)
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				found[p.Partition] = p.Offset
			}
		}
	}
	return found
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if is() {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("waited in vain: %s", what)
}

// text is what was written, by whichever goroutine.
type text struct {
	mu sync.Mutex
	b  []byte
}

func (w *text) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, b...)
	return len(b), nil
}

func (w *text) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.b)
}

// recorder is a handler that remembers what it was handed.
type recorder struct {
	mu       sync.Mutex
	messages []kafkasync.Message
	batches  int
}

func (r *recorder) Handle(_ context.Context, batch []kafkasync.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages, r.batches = append(r.messages, batch...), r.batches+1
	return nil
}

func (r *recorder) all() []kafkasync.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// offsets are those that were handed over of a partition, in order.
func (r *recorder) offsets(partition int32) []int64 {
	var found []int64
	for _, m := range r.all() {
		if m.Partition == partition {
			found = append(found, m.Offset)
		}
	}
	return found
}

func upTo(n int64) (all []int64) {
	for i := range n {
		all = append(all, i)
	}
	return all
}
