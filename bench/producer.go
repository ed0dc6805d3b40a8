package main

// #include <stdlib.h>
// #include "relay.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkasync/kafkasync"
)

// partitions is how many a topic has that kafkasync creates by default.
const partitions = 12

// sameRecords is the workload of the producer's part.
const sameRecords = "same records, no database"

// published returns how many records the topic has had; 0 if there is no topic.
func (b *bench) published(ctx context.Context) (int64, error) {
	offsets, err := b.openOffsets()
	if err != nil {
		return 0, err
	}
	defer offsets.close()
	ends, err := offsets.ends(ctx, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return 0, nil
	}
	return total(ends), err
}

// produce writes what the bulk UPDATE makes of the table into a new topic, in C, straight
// through librdkafka with nothing in the way: what Kafka takes on this machine.
func (b *bench) produce(ctx context.Context, into filled) (s sample, err error) {
	offsets, err := b.openOffsets()
	if err != nil {
		return s, err
	}
	defer offsets.close()
	if err := offsets.create(ctx, into.name); err != nil {
		return s, err
	}
	producer, err := newBareProducer(b.kafka.Brokers(), 5)
	if err != nil {
		return s, err
	}
	defer C.rd_kafka_destroy(producer)
	before, err := usageOf(os.Getpid(), 0)
	if err != nil {
		return s, err
	}
	began := time.Now()
	if err := b.produceAll(ctx, producer, into); err != nil {
		return s, fmt.Errorf("producing: %w", err)
	}
	s.rows, s.took = b.o.rows, time.Since(began)
	after, err := usageOf(os.Getpid(), 0)
	s.spent(before, after)
	return s, err
}

// produceAll returns once a record of each row of the table is acknowledged: with the key, value and headers of ours.
func (b *bench) produceAll(ctx context.Context, producer *C.rd_kafka_t, into filled) error {
	to := C.CString(into.name)
	defer C.free(unsafe.Pointer(to))
	headers, free := b.bareHeaders()
	defer free()
	r := C.relay{producer: producer, crowd: cBool(into.crowd)}
	C.relay_open(&r, nil, to, 0)
	defer C.relay_close(&r)
	const step = 10_000 // so that an end of ctx is noticed
	seq := time.Now().UnixMicro()
	for id := 1; id <= b.o.rows && r.failure[0] == 0; id += step {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		C.relay_write(&r, &headers[0], C.int64_t(id), C.int(min(step, b.o.rows+1-id)), C.int64_t(seq+int64(id)))
	}
	C.relay_flush(&r)
	if r.failure[0] != 0 {
		return errors.New(C.GoString(&r.failure[0]))
	}
	return nil
}

// bareHeaders are those that kafkasync writes, in C's memory.
func (b *bench) bareHeaders() (headers *[C.RELAY_HEADERS]C.relay_header, free func()) {
	called := names{table: "public.products", pos: "0/16B3748"}
	if b.db != nil {
		called = b.db.names()
	}
	m := kafkasync.Message{Op: kafkasync.Updated, Pipeline: databaseName, Table: called.table, Committed: time.Now(), Pos: called.pos, Delay: 6 * time.Hour}
	all, _ := m.AppendHeaders(nil, nil)
	headers = (*[C.RELAY_HEADERS]C.relay_header)(C.calloc(C.RELAY_HEADERS, C.sizeof_relay_header))
	for i, h := range all {
		headers[i].name = C.CString(h.Key)
		if h.Key != "seq" {
			headers[i].value = C.CString(string(h.Value))
		}
	}
	return headers, func() {
		for _, h := range headers {
			C.free(unsafe.Pointer(h.name))
			C.free(unsafe.Pointer(h.value))
		}
		C.free(unsafe.Pointer(headers))
	}
}
