package delayer

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/devstack/devtest"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

// conformDelay is the one that the suite's groups re-send.
const conformDelay = 5 * time.Minute

// harness is how the suite gets at one kind of Kafka.
type harness struct {
	// topic makes a topic that nobody has used, with two partitions.
	topic func(t *testing.T) string
	// write appends n messages with the delay to a partition, one a millisecond.
	write func(t *testing.T, topic string, partition int32, n int)
	// purge deletes a partition's records before an offset.
	purge func(t *testing.T, topic string, partition int32, before int64)
	// join makes a membership in a group. The end of the test closes it.
	join func(t *testing.T, name string) (Group, Offsets)
}

func TestMemoryIsAGroup(t *testing.T) {
	conform(t, func(t *testing.T, run func(*testing.T, harness)) {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			run(t, harness{
				topic: func(*testing.T) string {
					m.create("products", 2, false)
					return "products"
				},
				write: func(t *testing.T, topic string, partition int32, n int) {
					for i := range n {
						msg := conformMessage(topic, i)
						headers, _ := msg.AppendHeaders(nil, nil)
						m.writeRecord(topic, int(partition), memRecord{key: msg.Key, value: msg.Value, headers: headers})
						<-time.After(time.Millisecond)
					}
				},
				purge: func(_ *testing.T, topic string, partition int32, before int64) { m.purge(topic, partition, before) },
				join: func(t *testing.T, name string) (Group, Offsets) {
					x, o := m.join(&process{}, GroupOf(name, conformDelay))
					t.Cleanup(x.close)
					return x, o
				},
			})
			for _, wrong := range m.broken() {
				t.Error(wrong)
			}
		})
	})
}

func TestKafkaIsAGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real server, and -short starts none")
	}
	conform(t, func(t *testing.T, run func(*testing.T, harness)) {
		run(t, kafkaHarness(t, devtest.Kafka(t).Brokers(), func() string { return devtest.Topic(t) }))
	})
}

// kfake takes what librdkafka sends, and starts in no time.
func TestKfakeIsAGroup(t *testing.T) {
	t.Parallel()
	conform(t, func(t *testing.T, run func(*testing.T, harness)) {
		t.Parallel() // they wait for most of the time
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		run(t, kafkaHarness(t, strings.Join(cluster.ListenAddrs(), ","), func() string { return "products" }))
	})
}

func conformMessage(topic string, i int) kafkasync.Message {
	return kafkasync.Message{
		Topic: topic, Key: fmt.Appendf(nil, "%d", i), Value: fmt.Appendf(nil, `{"id":%d}`, i), Op: kafkasync.Updated,
		Pipeline: "shop", Table: "public.products", Seq: int64(i + 1), Committed: time.UnixMilli(1), Delay: conformDelay,
	}
}

func kafkaHarness(t *testing.T, brokers string, name func() string) harness {
	admin, err := ck.NewAdminClient(&ck.ConfigMap{"bootstrap.servers": brokers, "log_level": 0, "enable.metrics.push": false})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	return harness{
		topic: func(t *testing.T) string {
			topic := name()
			made, err := admin.CreateTopics(t.Context(), []ck.TopicSpecification{{
				Topic: topic, NumPartitions: 2, ReplicationFactor: 1, Config: map[string]string{"message.timestamp.type": "LogAppendTime"},
			}})
			if err != nil || made[0].Error.Code() != ck.ErrNoError {
				t.Fatal(made, err)
			}
			return topic
		},
		write: func(t *testing.T, topic string, partition int32, n int) { produce(t, brokers, topic, partition, n) },
		purge: func(t *testing.T, topic string, partition int32, before int64) {
			at := ck.TopicPartition{Topic: &topic, Partition: partition, Offset: ck.Offset(before)}
			done, err := admin.DeleteRecords(t.Context(), []ck.TopicPartition{at})
			if err != nil || done.DeleteRecordsResults[0].TopicPartition.Error != nil {
				t.Fatal(done, err)
			}
		},
		join: func(t *testing.T, name string) (Group, Offsets) {
			cfg := Config{
				Name: name, Delay: conformDelay, Brokers: strings.Split(brokers, ","), Logger: slog.New(slog.DiscardHandler),
				Properties: map[string]string{"max.poll.interval.ms": "6000"}, // so that a silent member leaves
			}
			group, offsets, done, err := cfg.openKafka(4)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(done)
			return group, offsets
		},
	}
}

func produce(t *testing.T, brokers, topic string, partition int32, n int) {
	t.Helper()
	p, err := ck.NewProducer(&ck.ConfigMap{"bootstrap.servers": brokers, "linger.ms": 0, "enable.metrics.push": false})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answers := make(chan ck.Event, 1)
	for i := range n {
		msg := conformMessage(topic, i)
		own, _ := msg.AppendHeaders(nil, nil)
		var headers []ck.Header
		for _, h := range own {
			headers = append(headers, ck.Header{Key: h.Key, Value: h.Value})
		}
		err := p.Produce(&ck.Message{
			TopicPartition: ck.TopicPartition{Topic: &topic, Partition: partition}, Key: msg.Key, Value: msg.Value, Headers: headers,
		}, answers)
		if err != nil {
			t.Fatal(err)
		}
		if m := (<-answers).(*ck.Message); m.TopicPartition.Error != nil {
			t.Fatal(m.TopicPartition.Error)
		}
		<-time.After(time.Millisecond)
	}
}

// conform puts a Group, its Feeds and its Offsets through everything that is asked of them.
func conform(t *testing.T, with func(*testing.T, func(*testing.T, harness))) {
	tests := []struct {
		name string
		run  func(*testing.T, harness)
	}{
		{"offsets and notes that are committed are read back", committedOffsets},
		{"a commit that does not wait is told of", committedLater},
		{"a member that the group has gone on without is refused", refused},
		{"a feed starts at the offset that it is assigned at", startsAtOffset},
		{"a partition moves to a member that joins, and goes on where it was committed", moves},
		{"what is taken is bounded and in order", bounded},
		{"a partition that was given back can be taken again", givenBack},
		{"an offset behind the end is out of range", behindTheEnd},
		{"an offset whose record is deleted is out of range", deletedOffset},
		{"waking ends a poll, or else the next one", woken},
		{"a survey tells what is there", surveyed},
		{"a time leads to the first record that is not older", atTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { with(t, tt.run) })
	}
}

// conformed is a membership that the suite drives.
type conformed struct {
	Group

	t       *testing.T
	offsets Offsets
	topic   string
	decoder *decoder
	feeds   map[int32]Feed
	lost    int // partitions
}

func enroll(t *testing.T, h harness, topic string) *conformed {
	t.Helper()
	group, offsets := h.join(t, topic)
	x := &conformed{Group: group, t: t, offsets: offsets, topic: topic, decoder: newDecoder(conformDelay), feeds: map[int32]Feed{}}
	t.Cleanup(func() { // before the group is closed
		for _, f := range x.feeds {
			f.Close()
		}
	})
	if err := group.Subscribe([]string{topic}); err != nil {
		t.Fatal(err)
	}
	return x
}

// until polls, and answers what is asked, until the condition holds.
func (x *conformed) until(what string, ok func() bool, others ...*conformed) {
	x.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			x.t.Fatalf("waiting for %s: it did not happen", what)
		}
		for _, one := range append(others, x) {
			one.turn(20 * time.Millisecond)
		}
	}
}

// turn polls once. What is assigned is read from where it is committed, or from its beginning.
func (x *conformed) turn(limit time.Duration) any {
	x.t.Helper()
	event, err := x.Poll(limit)
	if err != nil {
		x.t.Fatal(err)
	}
	switch e := event.(type) {
	case rdkafka.Assigned:
		for i := range e.Places {
			if found := x.survey(e.Places[i].Partition); found.Committed >= 0 {
				e.Places[i].Offset = found.Committed
			} else {
				e.Places[i].Offset = found.Begin
			}
		}
		x.assign(e.Places)
	case rdkafka.Revoked:
		if e.Lost {
			x.lost += len(e.Places)
		}
		x.unassign(e.Places)
	}
	return event
}

func (x *conformed) assign(places []rdkafka.Place) {
	x.t.Helper()
	feeds, err := x.Assign(places)
	if err != nil || len(feeds) != len(places) {
		x.t.Fatalf("got %d feeds, error %v, want %d", len(feeds), err, len(places))
	}
	for i, p := range places {
		x.feeds[p.Partition] = feeds[i]
	}
}

func (x *conformed) unassign(places []rdkafka.Place) {
	x.t.Helper()
	for _, p := range places {
		if f := x.feeds[p.Partition]; f != nil {
			f.Close()
			delete(x.feeds, p.Partition)
		}
	}
	if err := x.Unassign(places); err != nil {
		x.t.Fatal(err)
	}
}

func (x *conformed) survey(partition int32) Partition {
	x.t.Helper()
	found, err := x.offsets.Survey(x.t.Context(), []string{x.topic})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, p := range found {
		if p.Number == partition {
			return p
		}
	}
	x.t.Fatalf("got %v, want partition %d among them", found, partition)
	panic("unreachable")
}

// all waits until the member has both partitions.
func (x *conformed) all() {
	x.t.Helper()
	x.until("both partitions", func() bool { return len(x.feeds) == 2 })
}

// read takes from a partition until it has n messages, and returns their offsets.
func (x *conformed) read(partition int32, n, most, size int) (offsets []int64) {
	x.t.Helper()
	c := &chunk{}
	x.until("records", func() bool {
		c.reset(false)
		taken, strange, err := x.feeds[partition].Take(c, x.decoder, most, size)
		if strange != nil || err != nil || taken > most || taken != len(c.held) {
			x.t.Fatalf("got %d records taken, %d held, strange %v, error %v, want no more than %d", taken, len(c.held), strange, err, most)
		}
		for i := range c.held {
			if want := fmt.Sprintf(`{"id":%d}`, c.held[i].Offset); string(c.held[i].Value) != want || !c.held[i].appended && x.topic != "products" {
				x.t.Fatalf("got the value %s, want %s, of LogAppendTime", c.held[i].Value, want)
			}
			offsets = append(offsets, c.held[i].Offset)
		}
		return len(offsets) >= n
	})
	return offsets
}

func committedOffsets(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 1, 3)
	x := enroll(t, h, topic)
	x.all()
	if p := x.survey(1); p.Committed != -1 || p.Note != "" {
		t.Errorf("got %d and %q, want nothing committed", p.Committed, p.Note)
	}
	for offset := int64(1); offset <= 2; offset++ {
		text := note{id: "x", end: 3, at: 4, next: offset}.String()
		if err := x.Commit([]rdkafka.Place{{Topic: topic, Partition: 1, Offset: offset, Metadata: text}}, true); err != nil {
			t.Fatal(err)
		}
		if p := x.survey(1); p.Committed != offset || p.Note != text {
			t.Errorf("got %d and %q, want %d and %q", p.Committed, p.Note, offset, text)
		}
	}
	if p := x.survey(0); p.Committed != -1 {
		t.Errorf("got %d committed of the other partition, want nothing", p.Committed)
	}
}

func committedLater(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 3)
	x := enroll(t, h, topic)
	x.all()
	if err := x.Commit([]rdkafka.Place{{Topic: topic, Offset: 2}}, false); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if e, ok := x.turn(time.Second).(rdkafka.Committed); ok {
			if p := x.survey(0); e.Err != nil || p.Committed != 2 {
				t.Errorf("got %v and %d committed, want 2", e.Err, p.Committed)
			}
			return
		}
	}
	t.Error("nothing was told of the commit")
}

func refused(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 3)
	silent := enroll(t, h, topic)
	silent.all()
	other := enroll(t, h, topic)
	other.all()
	if err := other.Commit([]rdkafka.Place{{Topic: topic, Offset: 2}}, true); err != nil {
		t.Fatal(err)
	}
	if err := silent.Commit([]rdkafka.Place{{Topic: topic, Offset: 1}}, true); err == nil {
		t.Error("the commit of a member that was silent for too long succeeded")
	}
	if p := other.survey(0); p.Committed != 2 {
		t.Errorf("got %d committed, want 2", p.Committed)
	}
	// Before it is told that it has lost a partition it may be asked for the other one, which it has lost as well.
	silent.until("the loss", func() bool { return silent.lost > 0 }, other)
	silent.until("a share", func() bool { return len(silent.feeds) == 1 && len(other.feeds) == 1 }, other)
}

func startsAtOffset(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 5)
	h.write(t, topic, 1, 5)
	x := enroll(t, h, topic)
	for len(x.feeds) == 0 {
		event, err := x.Poll(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := event.(rdkafka.Assigned); ok {
			for i := range e.Places {
				e.Places[i].Offset = 3 + int64(e.Places[i].Partition)
			}
			x.assign(e.Places)
		}
	}
	if got := fmt.Sprint(x.read(0, 2, 100, 1<<20), x.read(1, 1, 100, 1<<20)); got != "[3 4] [4]" {
		t.Errorf("got offsets %s, want [3 4] [4]", got)
	}
}

func moves(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 6)
	h.write(t, topic, 1, 6)
	one := enroll(t, h, topic)
	one.all()
	one.read(0, 6, 100, 1<<20)
	if err := one.Commit([]rdkafka.Place{{Topic: topic, Partition: 0, Offset: 4}, {Topic: topic, Partition: 1, Offset: 4}}, true); err != nil {
		t.Fatal(err)
	}
	two := enroll(t, h, topic)
	two.until("one partition each", func() bool { return len(one.feeds) == 1 && len(two.feeds) == 1 }, one)
	for p := range two.feeds {
		if got := fmt.Sprint(two.read(p, 2, 100, 1<<20)); got != "[4 5]" {
			t.Errorf("got offsets %s, want [4 5]", got)
		}
	}
	for p := range one.feeds {
		h.write(t, topic, p, 1) // with the value of the first message
		if got := one.survey(p).End; got != 7 {
			t.Errorf("got the end %d, want 7", got)
		}
		if err := one.Commit([]rdkafka.Place{{Topic: topic, Partition: p, Offset: 5}}, true); err != nil {
			t.Errorf("the member that kept a partition could not commit: %v", err)
		}
	}
}

func bounded(t *testing.T, h harness) {
	topic := h.topic(t)
	const n = 100
	h.write(t, topic, 0, n)
	x := enroll(t, h, topic)
	x.all()
	for i, offset := range append(x.read(0, n/2, 7, 1<<20), x.read(0, n/2-7, 1000, 1)...) { // one always fits
		if offset != int64(i) {
			t.Fatalf("got offset %d in place %d, want them in order", offset, i)
		}
	}
}

func givenBack(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 5)
	x := enroll(t, h, topic)
	x.all()
	x.read(0, 5, 100, 1<<20)
	places := []rdkafka.Place{{Topic: topic, Partition: 0, Offset: 2, Metadata: "note"}}
	x.unassign(places)
	x.assign(places)
	if got := fmt.Sprint(x.read(0, 3, 100, 1<<20)); got != "[2 3 4]" {
		t.Errorf("got offsets %s, want [2 3 4]", got)
	}
	if err := x.Commit(places, true); err != nil {
		t.Error(err)
	}
}

// outOfRange reads partition 0 from an offset that is not there.
func outOfRange(t *testing.T, x *conformed, offset int64) {
	t.Helper()
	places := []rdkafka.Place{{Topic: x.topic, Offset: offset}}
	x.unassign(places)
	x.assign(places)
	x.until("an error", func() bool {
		n, _, err := x.feeds[0].Take(&chunk{}, x.decoder, 100, 1<<20)
		if n > 0 || err != nil && !isOutOfRange(err) && !isPassing(err) {
			t.Fatalf("got %d records, error %v, want that the offset is out of range", n, err)
		}
		return isOutOfRange(err)
	})
}

func behindTheEnd(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 5)
	x := enroll(t, h, topic)
	x.all()
	outOfRange(t, x, 1000)
}

func deletedOffset(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 0, 5)
	x := enroll(t, h, topic)
	x.all()
	h.purge(t, topic, 0, 3)
	outOfRange(t, x, 1)
	if p := x.survey(0); p.Begin != 3 || p.End != 5 {
		t.Errorf("got %d to %d, want 3 to 5", p.Begin, p.End)
	}
}

func woken(t *testing.T, h harness) {
	x := enroll(t, h, h.topic(t))
	x.all()
	quiet := func() { // nothing is about to happen
		for began := time.Now(); time.Since(began) < time.Second; {
			x.turn(time.Second)
		}
	}
	quiet()
	x.Wake()
	began := time.Now()
	x.turn(20 * time.Second)
	timer := time.AfterFunc(100*time.Millisecond, x.Wake)
	defer timer.Stop()
	x.turn(20 * time.Second)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("got %s until two polls were woken, want much less", took)
	}
}

func surveyed(t *testing.T, h harness) {
	topic := h.topic(t)
	h.write(t, topic, 1, 3)
	x := enroll(t, h, topic)
	x.all() // kfake knows no group before
	offsets := x.offsets
	found, err := offsets.Survey(t.Context(), []string{topic, "nobody-has-this"})
	if err != nil || len(found) != 2 {
		t.Fatalf("got %v, error %v, want two partitions", found, err)
	}
	for _, p := range found {
		want := Partition{Topic: topic, ID: p.ID, Number: p.Number, End: 3 * int64(p.Number), Committed: -1}
		if p != want || p.ID == "" {
			t.Errorf("got %+v, want %+v with an id", p, want)
		}
	}
	if found, err := offsets.Survey(t.Context(), nil); len(found) != 0 || err != nil {
		t.Errorf("got %v, error %v for no topics, want nothing", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := offsets.Survey(ctx, []string{topic}); err == nil {
		t.Error("a survey whose context has ended succeeded")
	}
}

func atTime(t *testing.T, h harness) {
	topic := h.topic(t)
	before := time.Now().Add(-time.Hour)
	h.write(t, topic, 1, 3)
	_, offsets := h.join(t, topic)
	for _, tt := range []struct {
		what      string
		partition int32
		at        time.Time
		want      int64
	}{
		{"before all", 1, before, 0},
		{"behind all", 1, time.Now().Add(time.Hour), 3},
		{"of an empty partition", 0, before, 0},
	} {
		if got, err := offsets.At(t.Context(), topic, tt.partition, tt.at); got != tt.want || err != nil {
			t.Errorf("a time %s: got %d, error %v, want %d", tt.what, got, err, tt.want)
		}
	}
}
