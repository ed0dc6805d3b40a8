package main

// #cgo CFLAGS: -I${SRCDIR}/../internal/rdkafka
// #include <stdlib.h>
// #include "relay.h"
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unsafe"
)

// relayWord is the first argument of this program where it is to be the bare loop; the order follows.
const relayWord = "relay"

// relayAsked returns the order if the arguments are that of the bare loop.
func relayAsked(args []string) (order string, ok bool) {
	if len(args) != 2 || args[0] != relayWord {
		return "", false
	}
	return args[1], true
}

// relayOrder says what the bare loop is to do.
type relayOrder struct {
	Brokers  string
	From, To string
	Linger   int // milliseconds
	// Backoff is after how many milliseconds a consumer whose queue was full asks for more; 0: as librdkafka does by itself.
	Backoff int
	Ends    []int64
}

// runRelay is what a process of ours does that is to be the bare loop: it re-sends,
// and stays there to be looked at until hold ends.
func runRelay(text string, hold io.Reader) error {
	var o relayOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return fmt.Errorf("reading the order %q: %w", text, err)
	}
	if err := o.run(hold); err != nil {
		return fmt.Errorf("re-sending %s to %s: %w", o.From, o.To, err)
	}
	return nil
}

func (o relayOrder) run(hold io.Reader) error {
	if len(o.Ends) > C.RELAY_PARTITIONS {
		return fmt.Errorf("%d partitions are too many, want at most %d", len(o.Ends), C.RELAY_PARTITIONS)
	}
	consumer, err := newBareConsumer(o.Brokers, o.Backoff)
	if err != nil {
		return err
	}
	defer C.rd_kafka_destroy(consumer)
	producer, err := newBareProducer(o.Brokers, o.Linger)
	if err != nil {
		return err
	}
	defer C.rd_kafka_destroy(producer)
	r := C.relay{consumer: consumer, producer: producer}
	for i, end := range o.Ends {
		r.ends[i] = C.int64_t(end)
	}
	from, to := C.CString(o.From), C.CString(o.To)
	defer C.free(unsafe.Pointer(from))
	defer C.free(unsafe.Pointer(to))
	C.relay_open(&r, from, to, C.int(len(o.Ends)))
	defer C.relay_close(&r)
	C.relay_run(&r)
	if failure := C.GoString(&r.failure[0]); failure != "" {
		return errors.New(failure)
	}
	_, err = io.Copy(io.Discard, hold)
	return err
}

// newBareConsumer sets nothing that bounds or widens a queue: those of librdkafka are the measure.
func newBareConsumer(brokers string, backoff int) (*C.rd_kafka_t, error) {
	properties := [][2]string{
		{"bootstrap.servers", brokers},
		{"group.id", "bare"},
		{"enable.auto.commit", "false"},
		{"auto.offset.reset", "error"},
	}
	if backoff > 0 {
		properties = append(properties, [2]string{"fetch.queue.backoff.ms", strconv.Itoa(backoff)})
	}
	return newClient(C.RD_KAFKA_CONSUMER, 0, properties)
}

func newBareProducer(brokers string, linger int) (*C.rd_kafka_t, error) {
	return newClient(C.RD_KAFKA_PRODUCER, C.RD_KAFKA_EVENT_DR|C.RD_KAFKA_EVENT_ERROR, [][2]string{
		{"bootstrap.servers", brokers},
		{"acks", "all"},
		{"enable.idempotence", "true"},
		{"message.timeout.ms", "0"},
		{"partitioner", "murmur2_random"},
		{"linger.ms", strconv.Itoa(linger)},
	})
}

// newClient starts librdkafka. Its log goes to stderr.
func newClient(kind C.rd_kafka_type_t, events C.int, properties [][2]string) (*C.rd_kafka_t, error) {
	const size = 512
	said := (*C.char)(C.calloc(size, 1))
	defer C.free(unsafe.Pointer(said))
	conf := C.rd_kafka_conf_new()
	C.rd_kafka_conf_set_events(conf, events)
	for _, p := range properties {
		name, value := C.CString(p[0]), C.CString(p[1])
		result := C.rd_kafka_conf_set(conf, name, value, said, size)
		C.free(unsafe.Pointer(name))
		C.free(unsafe.Pointer(value))
		if result != 0 {
			C.rd_kafka_conf_destroy(conf)
			return nil, fmt.Errorf("setting %s: %s", p[0], C.GoString(said))
		}
	}
	client := C.rd_kafka_new(kind, conf, said, size)
	if client == nil {
		C.rd_kafka_conf_destroy(conf) // else it is the client's
		return nil, fmt.Errorf("starting librdkafka: %s", C.GoString(said))
	}
	return client, nil
}
