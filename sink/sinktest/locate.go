package sinktest

import (
	"reflect"
	"testing"
	"time"

	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/sink"
)

func located(t *testing.T, h Harness) {
	const before, after, delay = 100, 50, 5 * time.Minute
	topic, partitions := h.Topic(t)
	s := h.Open(t)
	fresh := locate(t, s, topic, delay)
	if fresh == nil {
		return
	}
	if fresh.Topic != topic || fresh.Delay != delay || !reflect.DeepEqual(fresh.Ends, make([]int64, partitions)) {
		t.Errorf("of a new topic: got %+v, want %s, %s and the beginning of %d partitions", *fresh, topic, delay, partitions)
	}
	publish(t, s, Messages(topic, 1, before))
	pair := locate(t, s, topic, delay)
	if pair.ID != fresh.ID || len(pair.Ends) != int(partitions) {
		t.Fatalf("of the topic in use: got %+v, want the same id as in %+v and as many partitions", *pair, *fresh)
	}
	publish(t, s, Messages(topic, before+1, after))
	closeSink(t, s)
	for _, r := range h.Read(t, topic, before+after) {
		if end := pair.Ends[r.Partition]; (r.Seq > before) != (r.Offset >= end) {
			t.Errorf("got seq %d at %d on partition %d that ended at %d, want it on the other side", r.Seq, r.Offset, r.Partition, end)
		}
	}
	if _, err := s.(sink.Locator).Locate(t.Context(), topic, delay); err == nil {
		t.Error("locating after Close: got nil, want an error")
	}
}

func recreated(t *testing.T, h Harness) {
	topic, partitions := h.Topic(t)
	s := h.Open(t)
	publish(t, s, Messages(topic, 1, 10))
	was := locate(t, s, topic, time.Minute)
	closeSink(t, s)
	if was == nil {
		return
	}
	h.Drop(t, topic)
	s = h.Open(t)
	is := locate(t, s, topic, time.Minute)
	closeSink(t, s)
	if is.ID == was.ID || !reflect.DeepEqual(is.Ends, make([]int64, partitions)) {
		t.Errorf("got %+v after %+v, want another id and the beginnings", *is, *was)
	}
}

// locate returns nil if the sink is no Locator, which it need not be.
func locate(t *testing.T, s sink.Sink, topic string, delay time.Duration) *kafkasync.Pair {
	t.Helper()
	locator, ok := s.(sink.Locator)
	if !ok {
		return nil
	}
	pair, err := locator.Locate(t.Context(), topic, delay)
	if err != nil {
		t.Fatalf("locating topic %s: %v", topic, err)
	}
	return &pair
}
