// Package rdkafka is a Kafka producer that talks to librdkafka in batches: many
// records go down in one call, and what happened to many comes back in one.
// Calls from Go to C, and an event for each record, were most of what a record cost.
//
// It uses the librdkafka that confluent-kafka-go brings along and links; so there
// is one librdkafka in the program, and errors are confluent-kafka-go's.
//
// It promises that a record's cost comes back once, with its acknowledgement. It
// never calls from C into Go, and never lets C keep a pointer of Go's.
//
// What is C's: the client, its main queue and the topics, from New and Topic to Close.
// An event belongs to the call of Poll that took it.
package rdkafka

// #include <stdlib.h>
// #include "bulk.h"
import "C"

import (
	"fmt"
	"maps"
	"slices"
	"time"
	"unsafe"

	ck "github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// errorText is how much of an error's text is taken.
const errorText = 512

// Producer is an instance of librdkafka. One goroutine may call Poll while
// another calls the rest.
type Producer struct {
	client *C.rd_kafka_t
	queue  *C.rd_kafka_queue_t // reports, errors and log lines
	topics []*Topic
}

// Topic is librdkafka's handle of a topic; it ends with its producer.
type Topic struct {
	name   string
	handle *C.rd_kafka_topic_t
}

// NewProducer starts librdkafka with its own properties. It does not wait for a broker.
func NewProducer(properties map[string]string) (*Producer, error) {
	conf := C.rd_kafka_conf_new()
	names := slices.Sorted(maps.Keys(properties))
	const plugins = "plugin.library.paths" // first: they bring properties of their own
	if at, ok := slices.BinarySearch(names, plugins); ok {
		names = slices.Insert(slices.Delete(names, at, at+1), 0, plugins)
	}
	for _, name := range names {
		if err := set(conf, name, properties[name]); err != nil {
			C.rd_kafka_conf_destroy(conf)
			return nil, err
		}
	}
	// Without the log queue librdkafka would write to stderr.
	if err := set(conf, "log.queue", "true"); err != nil {
		C.rd_kafka_conf_destroy(conf)
		return nil, err
	}
	C.rd_kafka_conf_set_events(conf, C.RD_KAFKA_EVENT_DR|C.RD_KAFKA_EVENT_ERROR|C.RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH)

	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	client := C.rd_kafka_new(C.RD_KAFKA_PRODUCER, conf, text, errorText)
	if client == nil {
		C.rd_kafka_conf_destroy(conf) // else it is the client's
		return nil, ck.NewError(ck.ErrInvalidArg, C.GoString(text), false)
	}
	p := &Producer{client: client, queue: C.rd_kafka_queue_get_main(client)}
	if code := C.rd_kafka_set_log_queue(client, p.queue); code != 0 {
		p.Close()
		return nil, fmt.Errorf("reading librdkafka's log: %w", failure(code))
	}
	return p, nil
}

func set(conf *C.rd_kafka_conf_t, name, value string) error {
	cName, cValue := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(cName))
	defer C.free(unsafe.Pointer(cValue))
	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	if C.rd_kafka_conf_set(conf, cName, cValue, text, errorText) != 0 {
		return ck.NewError(ck.ErrInvalidArg, C.GoString(text), false)
	}
	return nil
}

// Close gives up what is not acknowledged. No other call may be under way or follow.
func (p *Producer) Close() {
	// Without purging, librdkafka would try to deliver before it goes. These flags it does not refuse.
	C.rd_kafka_purge(p.client, C.RD_KAFKA_PURGE_F_QUEUE|C.RD_KAFKA_PURGE_F_INFLIGHT|C.RD_KAFKA_PURGE_F_NON_BLOCKING)
	for _, t := range p.topics {
		C.rd_kafka_topic_destroy(t.handle)
	}
	C.rd_kafka_queue_destroy(p.queue)
	C.rd_kafka_destroy(p.client)
}

// Topic returns a handle that records and questions can name. It asks no broker.
func (p *Producer) Topic(name string) (*Topic, error) {
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	handle := C.rd_kafka_topic_new(p.client, cName, nil)
	if handle == nil { // the name is all it looks at
		return nil, ck.NewError(ck.ErrInvalidArg, fmt.Sprintf("%q cannot be the name of a topic", name), false)
	}
	t := &Topic{name: name, handle: handle}
	p.topics = append(p.topics, t)
	return t, nil
}

// Name is the topic's name.
func (t *Topic) Name() string { return t.name }

// Reach returns nil once a broker has answered. It cannot be cancelled.
func (p *Producer) Reach(limit time.Duration) error {
	return failure(C.ks_ask(p.client, nil, C.int(limit.Milliseconds())).err)
}

// Partitions asks how many partitions a topic has, and how many of them have no
// leader. From then on librdkafka knows them too. It cannot be cancelled.
func (p *Producer) Partitions(t *Topic, limit time.Duration) (count, leaderless int32, err error) {
	found := C.ks_ask(p.client, t.handle, C.int(limit.Milliseconds()))
	return int32(found.count), int32(found.leaderless), failure(found.err)
}

// FatalError returns what ended the client for good, or nil.
func (p *Producer) FatalError() error {
	text := (*C.char)(C.malloc(errorText))
	defer C.free(unsafe.Pointer(text))
	if code := C.rd_kafka_fatal_error(p.client, text, errorText); code != 0 {
		return ck.NewError(ck.ErrorCode(code), C.GoString(text), true)
	}
	return nil
}

// InjectFatalError makes librdkafka raise a fatal error, for tests.
func (p *Producer) InjectFatalError(code ck.ErrorCode, reason string) error {
	cReason := C.CString(reason)
	defer C.free(unsafe.Pointer(cReason))
	return failure(C.rd_kafka_test_fatal_error(p.client, C.rd_kafka_resp_err_t(code), cReason))
}

// failure is what a code stands for; nil for 0.
func failure(code C.rd_kafka_resp_err_t) error {
	if code == 0 {
		return nil
	}
	return ck.NewError(ck.ErrorCode(code), "", false)
}
