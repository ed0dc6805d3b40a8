package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/consumer"
)

// refuse is a handler that does all but the rows of some ids, and counts how often these were tried.
type refuse struct {
	recorder

	refused func(m *kafkasync.Message) bool
	tries   atomic.Int32
	most    atomic.Int32 // messages of the largest batch that was tried again
}

var errRefused = errors.New("the mapping does not take it")

func (r *refuse) Handle(ctx context.Context, batch []kafkasync.Message) error {
	var failed []error
	var done []kafkasync.Message
	for _, m := range batch {
		if !r.refused(&m) {
			done = append(done, m)
			continue
		}
		if r.tries.Add(1) > 1 {
			r.most.Store(max(r.most.Load(), int32(len(batch))))
		}
		failed = append(failed, fmt.Errorf("indexing: %w", consumer.Failed(m, errRefused)))
	}
	return errors.Join(errors.Join(failed...), r.recorder.Handle(ctx, done))
}

func row(id string) func(*kafkasync.Message) bool {
	return func(m *kafkasync.Message) bool { return string(m.Key) == id }
}

// letters reads what is in a topic.
func (s *stage) letters(t testing.TB, topic string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found []*kgo.Record
	for len(found) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("reading %s: %v", topic, err)
		}
		found = append(found, fetches.Records()...)
	}
	return found
}

func headersOf(r *kgo.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

// T7: one id of 1000 fails always.
func TestOneMessageOfAThousandGoesToTheDeadLetterTopic(t *testing.T) {
	s := newStage(t, 1)
	dead := s.topic + "-dead"
	s.create(t, dead, 1)
	bad := s.change(500)
	bad.Delay, bad.Extra = 5*time.Minute, []kafkasync.Header{{Key: "trace", Value: []byte("x")}, {Key: "dead-error", Value: []byte("of an earlier life")}}
	s.publish(t, 0, 0, 500)
	s.put(t, 0, bad)
	s.publish(t, 0, 501, 499)
	s.raw(t, &kgo.Record{Topic: s.topic, Key: []byte("k"), Value: []byte("by hand"), Headers: []kgo.RecordHeader{{Key: "seq", Value: []byte("none")}}})
	s.publish(t, 0, 1001, 1)

	cfg := s.config()
	cfg.Retries, cfg.DeadLetters = 3, dead
	h := &refuse{refused: row("500")}
	c := run(t, cfg, h)
	eventually(t, "all is committed", func() bool { return s.committed(t, 1)[0] == 1002 })
	if got := h.offsets(0); len(got) != 1000 || slices.Contains(got, 500) || !slices.IsSorted(got) {
		t.Errorf("got %d messages done, want the 1000 others once", len(got))
	}
	if h.tries.Load() != 4 || h.most.Load() != 1 {
		t.Errorf("it was tried %d times, beside %d others: want 4 times and alone", h.tries.Load(), h.most.Load()-1)
	}
	letters := s.letters(t, dead, 2)
	slices.SortFunc(letters, func(a, b *kgo.Record) int { return len(a.Value) - len(b.Value) })
	first, second := headersOf(letters[1]), headersOf(letters[0])
	if string(letters[0].Value) != "by hand" || string(letters[0].Key) != "k" {
		first, second = second, first
		letters[0], letters[1] = letters[1], letters[0]
	}
	if string(letters[1].Key) != "500" || string(letters[1].Value) != `{"id":500}` {
		t.Errorf("got key %q, value %q, want those of the message", letters[1].Key, letters[1].Value)
	}
	for name, want := range map[string]string{
		"op": "u", "table": "public.products", "delay": "300000", "trace": "x", "seq": fmt.Sprint(bad.Seq), "dead-consumer": s.topic, "dead-topic": s.topic,
		"dead-partition": "0", "dead-offset": "500", "dead-attempts": "4", "dead-error": errRefused.Error(),
	} {
		if first[name] != want {
			t.Errorf("header %s: got %q, want %q", name, first[name], want)
		}
	}
	if second["seq"] != "none" || second["dead-offset"] != "1000" || !strings.Contains(second["dead-error"], "no message of kafkasync") {
		t.Errorf("got %v, want the record with its headers and why it cannot be read", second)
	}
	if n := c.Status().Buried; n != 2 {
		t.Errorf("the status says %d, want 2", n)
	}
}

func TestWithoutADeadLetterTopicItIsTriedForEverAndTheOffsetWaits(t *testing.T) {
	s := newStage(t, 2)
	s.publish(t, 0, 0, 10)
	cfg := s.config()
	cfg.Retries, cfg.RetryMax = 1, 10*time.Millisecond
	var heal atomic.Bool
	h := &refuse{refused: func(m *kafkasync.Message) bool { return string(m.Key) == "4" && m.Partition == 0 && !heal.Load() }}
	c := run(t, cfg, h)
	eventually(t, "it is tried again and again", func() bool { return h.tries.Load() > 20 })
	s.publish(t, 1, 0, 10)
	eventually(t, "what lies before it is committed, and so is the other partition", func() bool { return slices.Equal(s.committed(t, 2), []int64{4, 10}) })
	eventually(t, "it shows", func() bool {
		p := c.Status().Partitions
		return len(p) == 2 && errors.Is(p[0].Failing, errRefused) && p[0].Done == 4
	})
	if got := h.offsets(0); len(got) != 9 {
		t.Errorf("got %v done, want the 9 others once", got)
	}
	heal.Store(true)
	eventually(t, "it goes on", func() bool { return s.committed(t, 2)[0] == 10 })
	if got := h.offsets(0); len(got) != 10 {
		t.Errorf("got %v done, want each once", got)
	}
}

func TestARecordThatCannotBeReadIsNotPassedOver(t *testing.T) {
	s := newStage(t, 1)
	s.publish(t, 0, 0, 2)
	s.raw(t, &kgo.Record{Topic: s.topic, Value: []byte(`{"id":7}`)})
	s.publish(t, 0, 2, 2)
	var r recorder
	c := run(t, s.config(), &r)
	eventually(t, "it shows", func() bool {
		p := c.Status().Partitions
		return len(p) == 1 && p[0].Attempts > 2 && strings.Contains(p[0].Failing.Error(), "no message of kafkasync")
	})
	eventually(t, "what lies before it is committed", func() bool { return s.committed(t, 1)[0] == 2 })
}

func TestAMissingDeadLetterTopicEndsRun(t *testing.T) {
	s := newStage(t, 1)
	cfg := s.config()
	cfg.DeadLetters = s.topic + "-dead"
	if err := run(t, cfg, &recorder{}).wait(t); err == nil || !strings.Contains(err.Error(), "--create --topic "+cfg.DeadLetters) {
		t.Errorf("got %v, want an error that says how to create it", err)
	}
}
