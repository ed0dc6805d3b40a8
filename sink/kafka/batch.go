package kafka

import (
	"github.com/kafkasync/kafkasync"
	"github.com/kafkasync/kafkasync/internal/rdkafka"
)

const (
	// batchRecords is how many records go to librdkafka in one call: enough to make
	// the call cheap, few enough that a context that ends is seen.
	batchRecords = 512
	batchBytes   = 256 << 10
)

// batch is records that librdkafka is to be given next.
type batch struct {
	records  rdkafka.Batch
	messages []*kafkasync.Message // of each record
	cost     int64                // of those that librdkafka has not taken

	headers []kafkasync.Header // reused
	values  []byte             // reused
}

func (b *batch) add(topic *rdkafka.Topic, partition int32, m *kafkasync.Message, cost int64) {
	b.headers, b.values = m.AppendHeaders(b.headers[:0], b.values[:0])
	b.records.Add(topic, partition, cost, m.Key, m.Value, b.headers)
	b.messages = append(b.messages, m)
	b.cost += cost
}

func (b *batch) full() bool {
	return b.records.Len() >= batchRecords || b.records.Size() >= batchBytes
}

func (b *batch) reset() {
	b.records.Reset()
	clear(b.messages) // they are the caller's
	b.messages, b.cost = b.messages[:0], 0
}
