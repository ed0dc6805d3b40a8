package rdkafka

// #include "consume.h"
import "C"

import (
	"encoding/binary"
	"iter"
	"time"
	"unsafe"
)

// Partition is an assigned partition's own queue.
type Partition struct{ queue *C.ks_partition }

// Close gives up what was fetched and not taken. It comes before Unassign.
func (p *Partition) Close() { C.ks_close(p.queue) }

func closeAll(partitions []*Partition) {
	for _, p := range partitions {
		p.Close()
	}
}

// Records is what was taken from a partition at once, in order. Its bytes are
// valid until the next Take into it. The zero value is empty.
type Records struct {
	taken []C.ks_taken
	bytes []byte
	count int
}

// Take replaces what r holds with what has arrived, without waiting: at most
// most records, of which the first always fits and all together take no more than
// size bytes. An error is what librdkafka says in the place of a record, a
// ck.Error; what came before it has been taken.
func (p *Partition) Take(r *Records, most, size int) error {
	if len(r.taken) < most {
		r.taken = make([]C.ks_taken, most)
	}
	if len(r.bytes) < size {
		r.bytes = make([]byte, size)
	}
	for {
		done := C.ks_take(p.queue, &r.taken[0], C.int(most), (*C.char)(unsafe.Pointer(&r.bytes[0])), C.uint64_t(len(r.bytes)))
		r.count = int(done.records)
		if r.count > 0 || done.need == 0 {
			return failure(done.err)
		}
		r.bytes = make([]byte, int(done.need)) // a record that is larger than all that it shares room with
	}
}

// Len is the number of records.
func (r *Records) Len() int { return r.count }

// Size is how many bytes r occupies.
func (r *Records) Size() int { return len(r.bytes) }

// Offset is a record's place in its partition.
func (r *Records) Offset(i int) int64 { return int64(r.taken[i].offset) }

// Timestamp is the time of a record, and whether the broker set it (LogAppendTime) or who wrote it.
// It is zero if the record has none.
func (r *Records) Timestamp(i int) (at time.Time, appended bool) {
	t := &r.taken[i]
	if t.timestamp < 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(t.timestamp)), t.appended != 0
}

// Key is a record's key; nil if it has none.
func (r *Records) Key(i int) []byte {
	return part(r.bytes, uint64(r.taken[i].at), int64(r.taken[i].key))
}

// Value is a record's value; nil if it has none.
func (r *Records) Value(i int) []byte {
	t := &r.taken[i]
	return part(r.bytes, uint64(t.at)+uint64(max(t.key, 0)), int64(t.value))
}

// part cuts the capacity, so that nobody can append into what follows.
func part(b []byte, at uint64, length int64) []byte {
	if length < 0 {
		return nil
	}
	end := at + uint64(length)
	return b[at:end:end]
}

// Headers are those of a record, in order.
func (r *Records) Headers(i int) iter.Seq2[[]byte, []byte] {
	t := &r.taken[i]
	return func(yield func(name, value []byte) bool) {
		rest := r.bytes[uint64(t.at)+uint64(max(t.key, 0))+uint64(max(t.value, 0)):]
		for range int(t.headers) {
			name, value := binary.NativeEndian.Uint32(rest), binary.NativeEndian.Uint32(rest[4:])
			end := 8 + name + value
			if !yield(rest[8:8+name:8+name], rest[8+name:end:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}
