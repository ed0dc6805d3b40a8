package sinktest

import (
	"fmt"
	"time"

	"github.com/kafkasync/kafkasync"
)

// Messages returns n updates of different rows, with sequence numbers from first on.
func Messages(topic string, first int64, n int) []kafkasync.Message {
	msgs := make([]kafkasync.Message, n)
	for i := range msgs {
		seq := first + int64(i)
		msgs[i] = kafkasync.Message{
			Topic: topic, Key: fmt.Append(nil, seq), Value: fmt.Appendf(nil, `{"id":%d}`, seq),
			Op: kafkasync.Updated, Pipeline: "shop", Table: "public.products", Seq: seq,
			Committed: time.UnixMilli(1700000000000 + seq).UTC(), Pos: "0/16B3748", Delay: 5 * time.Minute,
		}
	}
	return msgs
}

// Show returns everything a message says, for comparing and for reading.
func Show(m kafkasync.Message) string {
	text := func(b []byte) string {
		if b == nil {
			return "none"
		}
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%s[%d]@%d key=%s value=%s op=%s pipeline=%s table=%s seq=%d ts=%d pos=%s delay=%s delayed=%s",
		m.Topic, m.Partition, m.Offset, text(m.Key), text(m.Value), m.Op, m.Pipeline, m.Table, m.Seq,
		m.Committed.UnixMilli(), m.Pos, m.Delay, m.Delayed)
}
