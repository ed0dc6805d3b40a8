package rdkafka

// #include "bulk.h"
import "C"

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/kafkasync/kafkasync"
)

// keep is how large a buffer may be to be used again.
const keep = 1 << 20

// PartitionByKey is the partition on which every client finds the key; without one it is any.
const PartitionByKey int32 = -1

// ErrAlone is why Produce stops before a record: its partition's first one is not acknowledged
// yet, and others must not overtake it. The next report may end that.
var ErrAlone = errors.New("the first record of the partition is not acknowledged yet")

// Batch is records on their way to librdkafka, laid out as bulk.h says. The zero
// value is empty. Add copies, so what it was given can be reused.
type Batch struct {
	records []C.ks_record
	bytes   []byte
}

// Add appends a record. A nil key or value is none; cost, below 2^32, comes back in the Report. What differs from record to record
// should be the last header: the others are then taken from a record that is acknowledged.
func (b *Batch) Add(t *Topic, partition int32, cost int64, key, value []byte, headers []kafkasync.Header) {
	b.records = append(b.records, C.ks_record{
		topic: C.uintptr_t(uintptr(unsafe.Pointer(t.handle))), partition: C.int32_t(partition), cost: C.uint32_t(cost),
		at: C.uint64_t(len(b.bytes)), key: length(key), value: length(value), headers: C.int32_t(len(headers)),
	})
	b.bytes = append(b.bytes, key...)
	b.bytes = append(b.bytes, value...)
	for i := range headers {
		h := &headers[i]
		b.bytes = binary.NativeEndian.AppendUint32(b.bytes, uint32(len(h.Key)))
		b.bytes = binary.NativeEndian.AppendUint32(b.bytes, uint32(len(h.Value)))
		b.bytes = append(b.bytes, h.Key...)
		b.bytes = append(b.bytes, h.Value...)
	}
}

func length(b []byte) C.int64_t {
	if b == nil {
		return -1
	}
	return C.int64_t(len(b))
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.records) }

// Size is how many bytes the records take here.
func (b *Batch) Size() int { return len(b.bytes) }

// Cost is the sum of the costs from record n on.
func (b *Batch) Cost(n int) int64 {
	var sum int64
	for i := range b.records[n:] {
		sum += int64(b.records[n+i].cost)
	}
	return sum
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.records = b.records[:0]
	if b.bytes = b.bytes[:0]; cap(b.bytes) > keep {
		b.bytes = nil
	}
}

// Produce hands the records over, in order, beginning with number from, until
// librdkafka refuses one or ErrAlone. It returns how many it took, and why not the
// next one. It sends nothing itself and never waits; Flush tells that no more is to come.
func (p *Producer) Produce(b *Batch, from int) (int, error) {
	if from == len(b.records) {
		return 0, nil
	}
	done := C.ks_produce(C.ks_target{p.handle, p.headers}, &b.records[from], C.int(len(b.records)-from), (*C.char)(unsafe.Pointer(unsafe.SliceData(b.bytes))))
	if done.alone != 0 {
		return int(done.taken), ErrAlone
	}
	return int(done.taken), failure(done.err)
}

// Flush has librdkafka send what it holds back for linger.ms, and returns true once Poll has taken the
// reports of all records, false after the limit. It cannot be cancelled.
func (p *Producer) Flush(limit time.Duration) bool {
	return C.rd_kafka_flush(p.handle, C.int(limit.Milliseconds())) == 0
}
